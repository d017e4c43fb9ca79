/* Tensors in the committed vector: boxes are cut into tasks of neighbouring cells, these into runs along one dimension. */
#include "columns_ops.h"

#define TASK_CELLS ((size_t)1 << 15)  /* of every digit */
#define COUNT_CELLS ((size_t)1 << 20) /* of a task of counting */

struct job {
    const struct zkds_digits *digits;
    const struct zkds_boxes *boxes;
    const int64_t *in;
    int64_t *out;          /* one of them is NULL */
    uint32_t *vector;
    const size_t *tasks;   /* (boxes + 1): the first task of every box */
    int misfits;           /* atomic */
};

/* ---- runs of one box ------------------------------------------------------------------------------------------------ */

/* A box without dimensions of one entry, neighbouring dimensions that are one run in the tensor taken together. */
struct grid {
    size_t dimensions;
    size_t sides[ZKDS_MAX_DIMENSIONS];
    int64_t strides[ZKDS_MAX_DIMENSIONS];
    int64_t first; /* the tensor's entry of the box's first cell */
};

static struct grid grid_of(const struct zkds_boxes *boxes, size_t box) {
    struct grid grid = {.dimensions = 0, .first = 0};
    const uint64_t *starts = boxes->starts + box * boxes->dimensions, *sides = boxes->sides + box * boxes->dimensions;
    for (size_t d = 0; d < boxes->dimensions; d++) {
        const int64_t stride = boxes->strides[d];
        const size_t last = grid.dimensions - 1;
        grid.first += (int64_t)starts[d] * stride;
        if (sides[d] == 1) continue;
        if (grid.dimensions && grid.strides[last] == stride * (int64_t)sides[d]) {
            grid.sides[last] *= sides[d];
            grid.strides[last] = stride;
        } else {
            grid.sides[grid.dimensions] = sides[d];
            grid.strides[grid.dimensions++] = stride;
        }
    }
    if (!grid.dimensions) {
        grid.sides[0] = 1;
        grid.strides[0] = 1;
        grid.dimensions = 1;
    }
    return grid;
}

static size_t box_cells(const struct zkds_boxes *boxes, size_t box) {
    size_t cells = 1;
    for (size_t d = 0; d < boxes->dimensions; d++) cells *= boxes->sides[box * boxes->dimensions + d];
    return cells;
}

/* A cell of a box, and the entry that it belongs to. */
struct cursor {
    size_t index[ZKDS_MAX_DIMENSIONS];
    int64_t entry;
};

static struct cursor cursor_at(const struct grid *grid, size_t cell) {
    struct cursor cursor = {.entry = grid->first};
    for (size_t d = grid->dimensions; d-- > 0; cell /= grid->sides[d]) {
        cursor.index[d] = cell % grid->sides[d];
        cursor.entry += (int64_t)cursor.index[d] * grid->strides[d];
    }
    return cursor;
}

/* On to the end of the cell's run or less, `count` cells later. */
static void advance(const struct grid *grid, struct cursor *cursor, size_t count) {
    size_t d = grid->dimensions - 1;
    cursor->index[d] += count;
    cursor->entry += (int64_t)count * grid->strides[d];
    for (; d > 0 && cursor->index[d] == grid->sides[d]; d--) {
        cursor->entry += grid->strides[d - 1] - (int64_t)grid->sides[d] * grid->strides[d];
        cursor->index[d] = 0;
        cursor->index[d - 1]++;
    }
}

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */

static size_t box_of(const struct job *job, size_t task) {
    size_t low = 0, high = job->boxes->count; /* tasks[low] <= task < tasks[high] */
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (job->tasks[middle] <= task)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void run_task(void *context, size_t task, int worker) {
    struct job *job = context;
    const size_t box = box_of(job, task), cells = box_cells(job->boxes, box), first = (task - job->tasks[box]) * TASK_CELLS;
    const size_t end = first + TASK_CELLS < cells ? first + TASK_CELLS : cells;
    const struct grid grid = grid_of(job->boxes, box);
    const size_t last = grid.dimensions - 1;
    struct cursor cursor = cursor_at(&grid, first);
    uint32_t *places[ZKDS_MAX_DIGITS];
    int misfits = 0;
    (void)worker;
    for (size_t cell = first, count; cell < end; cell += count, advance(&grid, &cursor, count)) {
        const size_t run = grid.sides[last] - cursor.index[last];
        count = run < end - cell ? run : end - cell;
        for (size_t j = 0; j < job->digits->count; j++)
            places[j] = job->vector + job->boxes->places[j * job->boxes->count + box] + cell;
        if (job->in)
            misfits |= OPS(columns)->write(job->in + cursor.entry, grid.strides[last], count, job->digits, places);
        else
            OPS(columns)->read((const uint32_t *const *)places, count, job->digits, job->out + cursor.entry, grid.strides[last]);
    }
    if (misfits) __atomic_store_n(&job->misfits, 1, __ATOMIC_RELAXED);
}

static int run(struct job *job) {
    const struct zkds_digits *digits = job->digits;
    const size_t count = job->boxes->count;
    if (digits->count < 1 || digits->count > ZKDS_MAX_DIGITS || digits->radix < 2 || digits->radix > 1ULL << 32 ||
        digits->reach > 1ULL << 63 || job->boxes->dimensions > ZKDS_MAX_DIMENSIONS)
        return ZKDS_BAD_ARGUMENT;
    size_t *tasks = malloc((count + 1) * sizeof *tasks);
    if (!tasks) return ZKDS_OUT_OF_MEMORY;
    tasks[0] = 0;
    for (size_t box = 0; box < count; box++)
        tasks[box + 1] = tasks[box] + (box_cells(job->boxes, box) + TASK_CELLS - 1) / TASK_CELLS;
    job->tasks = tasks;
    zkds_parallel(tasks[count], run_task, job);
    free(tasks);
    return ZKDS_OK;
}

int zkds_write_digits(const int64_t *values, const struct zkds_digits *digits, const struct zkds_boxes *boxes, uint32_t *vector,
                      int *fits) {
    struct job job = {.digits = digits, .boxes = boxes, .in = values, .vector = vector};
    const int code = run(&job);
    *fits = !job.misfits;
    return code;
}

int zkds_read_digits(const uint32_t *vector, const struct zkds_digits *digits, const struct zkds_boxes *boxes, int64_t *values) {
    struct job job = {.digits = digits, .boxes = boxes, .out = values, .vector = (uint32_t *)vector};
    return run(&job);
}

/* ---- counting ------------------------------------------------------------------------------------------------------- */

struct count_job {
    const uint32_t *vector;
    const uint64_t *starts, *lengths;
    size_t runs, cells; /* of all runs together */
    uint32_t *counts;   /* (workers, bound) */
    size_t bound;
    int missing; /* atomic */
};

static int count_run(const uint32_t *cells, size_t count, uint32_t *counts, size_t bound) {
    for (size_t i = 0; i < count; i++) {
        if (cells[i] >= bound) return 0;
        counts[cells[i]]++;
    }
    return 1;
}

static void count_task(void *context, size_t task, int worker) {
    struct count_job *job = context;
    size_t first = task * COUNT_CELLS, left = job->cells - first < COUNT_CELLS ? job->cells - first : COUNT_CELLS, r = 0;
    for (; first >= job->lengths[r]; r++) first -= job->lengths[r];
    for (; left; r++, first = 0) {
        const size_t here = job->lengths[r] - first < left ? job->lengths[r] - first : left;
        if (!count_run(job->vector + job->starts[r] + first, here, job->counts + (size_t)worker * job->bound, job->bound))
            __atomic_store_n(&job->missing, 1, __ATOMIC_RELAXED);
        left -= here;
    }
}

int zkds_histogram(const uint32_t *vector, const uint64_t *starts, const uint64_t *lengths, size_t runs, uint32_t *counts,
                   size_t bound, int *found) {
    struct count_job job = {.vector = vector, .starts = starts, .lengths = lengths, .runs = runs, .counts = counts, .bound = bound};
    for (size_t r = 0; r < runs; r++) job.cells += lengths[r];
    const size_t tasks = (job.cells + COUNT_CELLS - 1) / COUNT_CELLS, workers = (size_t)zkds_threads();
    if (tasks < 2 || workers < 2 || bound > job.cells / workers) { /* several tables would take longer to add up */
        for (size_t r = 0; r < runs; r++)
            if (!count_run(vector + starts[r], lengths[r], counts, bound)) job.missing = 1;
    } else {
        job.counts = calloc(workers * bound, sizeof *job.counts);
        if (!job.counts) return ZKDS_OUT_OF_MEMORY;
        zkds_parallel(tasks, count_task, &job);
        for (size_t worker = 0; worker < workers; worker++)
            for (size_t i = 0; i < bound; i++) counts[i] += job.counts[worker * bound + i];
        free(job.counts);
    }
    *found = !job.missing;
    return ZKDS_OK;
}
