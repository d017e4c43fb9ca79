/* Tensors in the committed vector: boxes are cut into tasks of neighbouring cells, these into runs along one dimension. */
#include "columns_ops.h"
#include "boxes.h"

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

static void run_task(void *context, size_t task, int worker) {
    struct job *job = context;
    const struct part part = part_of(job->boxes, job->tasks, task);
    const struct grid grid = grid_of(job->boxes, job->boxes->strides, part.box);
    const int64_t stride = grid.strides[grid.dimensions - 1];
    struct cursor cursor = cursor_at(&grid, part.first);
    uint32_t *places[ZKDS_MAX_DIGITS];
    int misfits = 0;
    (void)worker;
    for (size_t cell = part.first, count; cell < part.end; cell += count, advance(&grid, &cursor, count)) {
        count = run_length(&grid, &cursor, part.end - cell);
        for (size_t j = 0; j < job->digits->count; j++)
            places[j] = job->vector + job->boxes->places[j * job->boxes->count + part.box] + cell;
        if (job->in)
            misfits |= OPS(columns)->write(job->in + cursor.entry, stride, count, job->digits, places);
        else
            OPS(columns)->read((const uint32_t *const *)places, count, job->digits, job->out + cursor.entry, stride);
    }
    if (misfits) __atomic_store_n(&job->misfits, 1, __ATOMIC_RELAXED);
}

static int run(struct job *job) {
    const struct zkds_digits *digits = job->digits;
    if (digits->count < 1 || digits->count > ZKDS_MAX_DIGITS || digits->radix < 2 || digits->radix > 1ULL << 32 ||
        digits->reach > 1ULL << 63 || job->boxes->dimensions > ZKDS_MAX_DIMENSIONS)
        return ZKDS_BAD_ARGUMENT;
    size_t *tasks = tasks_of(job->boxes);
    if (!tasks) return ZKDS_OUT_OF_MEMORY;
    job->tasks = tasks;
    zkds_parallel(tasks[job->boxes->count], run_task, job);
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
