/* Exact sums and their rounding: tasks are runs of entries, arithmetic is in 128 bits, in one pass over memory. */
#include "boxes.h"
#include "api/rounding.h"
#include <pthread.h>

#define ARRAYS 5
#define TASK_VALUES ((size_t)1 << 16)

struct round_job {
    const struct zkds_total *total;
    const struct zkds_boxes *boxes; /* one: the shape itself */
    const size_t *tasks;
    int shift;
    int64_t *value, *remainder;
};

static const int64_t nothing = 0, still[ZKDS_MAX_DIMENSIONS] = {0};

/* One array of a total, from some cell of the shape on. */
struct entries {
    struct grid grid;
    struct cursor cursor;
    const int64_t *values;
};

static struct entries entries_at(const struct zkds_boxes *boxes, const struct zkds_strided *array, size_t cell) {
    struct entries entries = {.values = array->values ? array->values : &nothing};
    entries.grid = grid_of(boxes, array->values ? array->strides : still, 0);
    entries.cursor = cursor_at(&entries.grid, cell);
    return entries;
}

/* The entries of a run, by a stride of 0, 1 or any other. */
struct run {
    const int64_t *at;
    int64_t stride;
};

INLINE void round_run(const struct round_job *job, const struct run runs[ARRAYS], size_t cell, size_t count) {
    const struct run hi = runs[0], lo = runs[1], left = runs[2], right = runs[3], addend = runs[4];
    const __int128 half = (__int128)1 << (job->shift - 1), unit = (__int128)1 << job->total->addend_shift;
    const uint64_t mask = (1ULL << job->shift) - 1;
    int64_t *value = job->value + cell, *remainder = job->remainder + cell;
    for (int64_t i = 0; i < (int64_t)count; i++) {
        const __int128 product = (__int128)left.at[i * left.stride] * right.at[i * right.stride];
        const __int128 wide = (__int128)hi.at[i * hi.stride] * ((__int128)1 << 32) + lo.at[i * lo.stride];
        const __int128 total = wide + product + addend.at[i * addend.stride] * unit + half;
        const __int128 quotient = total >> job->shift;
        const int64_t nearest = quotient < INT64_MIN ? INT64_MIN : quotient > INT64_MAX ? INT64_MAX : (int64_t)quotient;
        value[i] = nearest;
        remainder[i] = (int64_t)((uint64_t)total & mask);
    }
}

static void round_task(void *context, size_t task, int worker) {
    const struct round_job *job = context;
    const struct part part = part_of(job->boxes, job->tasks, task);
    const struct zkds_total *total = job->total;
    const struct zkds_strided *arrays[ARRAYS] = {&total->hi, &total->lo, &total->left, &total->right, &total->addend};
    struct entries entries[ARRAYS];
    (void)worker;
    for (int a = 0; a < ARRAYS; a++) entries[a] = entries_at(job->boxes, arrays[a], part.first);
    for (size_t cell = part.first, count; cell < part.end; cell += count) {
        struct run runs[ARRAYS];
        count = part.end - cell;
        for (int a = 0; a < ARRAYS; a++) {
            count = run_length(&entries[a].grid, &entries[a].cursor, count);
            runs[a] = (struct run){entries[a].values + entries[a].cursor.entry, entries[a].grid.strides[entries[a].grid.dimensions - 1]};
        }
        round_run(job, runs, cell, count);
        for (int a = 0; a < ARRAYS; a++) advance(&entries[a].grid, &entries[a].cursor, count);
    }
}

int zkds_round(const struct zkds_total *total, const uint64_t *shape, size_t dimensions, int shift, int64_t *value,
               int64_t *remainder) {
    const uint64_t starts[ZKDS_MAX_DIMENSIONS] = {0};
    const struct zkds_boxes boxes = {.dimensions = dimensions, .count = 1, .starts = starts, .sides = shape};
    struct round_job job = {.total = total, .boxes = &boxes, .shift = shift, .value = value, .remainder = remainder};
    if (dimensions > ZKDS_MAX_DIMENSIONS || shift < 1 || shift > 62 || total->addend_shift < 0 || total->addend_shift > 63)
        return ZKDS_BAD_ARGUMENT;
    size_t *tasks = tasks_of(&boxes);
    if (!tasks) return ZKDS_OUT_OF_MEMORY;
    job.tasks = tasks;
    zkds_parallel(tasks[1], round_task, &job);
    free(tasks);
    return ZKDS_OK;
}

/* ---- of whole arrays ------------------------------------------------------------------------------------------------ */

struct fold_job {
    const int64_t *values;
    size_t count;
    pthread_mutex_t lock; /* of what follows */
    unsigned __int128 squares;
    int64_t least, largest;
};

static size_t fold_end(const struct fold_job *job, size_t task) {
    const size_t end = (task + 1) * TASK_VALUES;
    return end < job->count ? end : job->count;
}

static void squares_task(void *context, size_t task, int worker) {
    struct fold_job *job = context;
    const size_t end = fold_end(job, task);
    unsigned __int128 sum = 0;
    (void)worker;
    for (size_t i = task * TASK_VALUES; i < end; i++) sum += (unsigned __int128)((__int128)job->values[i] * job->values[i]);
    pthread_mutex_lock(&job->lock);
    job->squares += sum;
    pthread_mutex_unlock(&job->lock);
}

static void range_task(void *context, size_t task, int worker) {
    struct fold_job *job = context;
    const size_t end = fold_end(job, task);
    int64_t least = INT64_MAX, largest = INT64_MIN;
    (void)worker;
    for (size_t i = task * TASK_VALUES; i < end; i++) {
        least = job->values[i] < least ? job->values[i] : least;
        largest = job->values[i] > largest ? job->values[i] : largest;
    }
    pthread_mutex_lock(&job->lock);
    job->least = least < job->least ? least : job->least;
    job->largest = largest > job->largest ? largest : job->largest;
    pthread_mutex_unlock(&job->lock);
}

static struct fold_job fold(const int64_t *values, size_t count, void (*run)(void *, size_t, int)) {
    struct fold_job job = {.values = values, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER, .least = INT64_MAX,
                           .largest = INT64_MIN};
    zkds_parallel((count + TASK_VALUES - 1) / TASK_VALUES, run, &job);
    return job;
}

int zkds_sum_of_squares(const int64_t *values, size_t count, uint64_t out[2]) {
    const struct fold_job job = fold(values, count, squares_task);
    out[0] = (uint64_t)job.squares;
    out[1] = (uint64_t)(job.squares >> 64);
    return ZKDS_OK;
}

int zkds_range(const int64_t *values, size_t count, int64_t *least, int64_t *largest) {
    const struct fold_job job = fold(values, count, range_task);
    *least = job.least;
    *largest = job.largest;
    return ZKDS_OK;
}
