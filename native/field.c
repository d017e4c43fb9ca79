/* Arithmetic on arrays: split over threads. */
#include "field_ops.h"
#include "field61.h"
#include "api/field.h"

#define GRAIN 8192                /* elements of F a task */
#define GRAIN_VECTORS (GRAIN / 8) /* vectors of K a task */
#define MATMUL_VECTORS 256        /* vectors of a row of a matrix product a task, and */
#define MATMUL_GRAIN 4096         /* about as many products of vectors, of several short rows */

struct job {
    void (*elementwise)(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
    const uint64_t *a, *b; /* b: the second array, or a scalar of K */
    uint64_t *out;
    size_t count;
    size_t grain;
    size_t stride; /* uint64 per unit of count */
};

static size_t tasks_of(const struct job *job) { return (job->count + job->grain - 1) / job->grain; }

static size_t count_of(const struct job *job, size_t from) {
    return job->count - from < job->grain ? job->count - from : job->grain;
}

static void elementwise_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct job *job = context;
    size_t from = task * job->grain, offset = from * job->stride;
    job->elementwise(job->a + offset, job->b + offset, job->out + offset, count_of(job, from));
}

static int elementwise(struct job job) {
    zkds_parallel(tasks_of(&job), elementwise_task, &job);
    return ZKDS_OK;
}

int zkds_f_add(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count) {
    return elementwise((struct job){OPS(field)->f_add, a, b, out, count, GRAIN, 1});
}

int zkds_f_sub(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count) {
    return elementwise((struct job){OPS(field)->f_sub, a, b, out, count, GRAIN, 1});
}

int zkds_f_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count) {
    return elementwise((struct job){OPS(field)->f_mul, a, b, out, count, GRAIN, 1});
}

int zkds_k_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors) {
    return elementwise((struct job){OPS(field)->k_mul, a, b, out, vectors, GRAIN_VECTORS, 16});
}

static void k_scale_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct job *job = context;
    size_t from = task * job->grain;
    OPS(field)->k_scale(job->a + 16 * from, job->b, job->out + 16 * from, count_of(job, from));
}

int zkds_k_scale(const uint64_t *a, const uint64_t *factor, uint64_t *out, size_t vectors) {
    struct job job = {NULL, a, factor, out, vectors, GRAIN_VECTORS, 16};
    zkds_parallel(tasks_of(&job), k_scale_task, &job);
    return ZKDS_OK;
}

/* job.out holds one (re, im) a task */
static void k_dot_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct job *job = context;
    size_t from = task * job->grain;
    OPS(field)->k_dot(job->a + 16 * from, job->b + 16 * from, count_of(job, from), job->out + 2 * task);
}

int zkds_k_dot(const uint64_t *a, const uint64_t *b, size_t vectors, uint64_t *sum) {
    struct job job = {NULL, a, b, NULL, vectors, 8 * GRAIN_VECTORS, 16};
    size_t tasks = tasks_of(&job);
    job.out = calloc(2 * tasks + 1, sizeof *job.out);
    if (!job.out) return ZKDS_OUT_OF_MEMORY;
    zkds_parallel(tasks, k_dot_task, &job);
    sum[0] = sum[1] = 0;
    for (size_t task = 0; task < tasks; task++) {
        sum[0] = f_add(sum[0], job.out[2 * task]);
        sum[1] = f_add(sum[1], job.out[2 * task + 1]);
    }
    free(job.out);
    return ZKDS_OK;
}

struct matmul_job {
    const uint64_t *weights, *tables;
    uint64_t *out;
    size_t rows, count, vectors;
    size_t chunks, rows_a_task;    /* chunks of each row of the result */
    size_t entries;                /* uint64 a vector of the tables: 16 in K, 8 in F */
};

static void matmul_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct matmul_job *job = context;
    size_t row = task / job->chunks * job->rows_a_task, from = task % job->chunks * MATMUL_VECTORS;
    size_t vectors = job->vectors - from < MATMUL_VECTORS ? job->vectors - from : MATMUL_VECTORS;
    for (size_t end = row + job->rows_a_task; row < end && row < job->rows; row++)
        (job->entries == 16 ? OPS(field)->k_combine : OPS(field)->f_combine)(
            job->weights + 2 * row * job->count, job->count, job->tables + job->entries * from, job->vectors, vectors,
            job->out + 16 * (row * job->vectors + from));
}

static int matmul(struct matmul_job job) {
    if (!job.rows || !job.vectors) return ZKDS_OK;
    job.chunks = (job.vectors + MATMUL_VECTORS - 1) / MATMUL_VECTORS;
    size_t chunk = job.vectors < MATMUL_VECTORS ? job.vectors : MATMUL_VECTORS;
    job.rows_a_task = MATMUL_GRAIN / (chunk * (job.count + 1)) + 1;
    zkds_parallel((job.rows + job.rows_a_task - 1) / job.rows_a_task * job.chunks, matmul_task, &job);
    return ZKDS_OK;
}

int zkds_k_matmul(const uint64_t *weights, size_t rows, size_t count, const uint64_t *tables, size_t vectors, uint64_t *out) {
    return matmul((struct matmul_job){weights, tables, out, rows, count, vectors, 0, 0, 16});
}

int zkds_f_matmul(const uint64_t *weights, size_t rows, size_t count, const uint64_t *tables, size_t vectors, uint64_t *out) {
    return matmul((struct matmul_job){weights, tables, out, rows, count, vectors, 0, 0, 8});
}

static void k_bind_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct job *job = context;
    size_t from = task * job->grain;
    OPS(field)->k_bind(job->a + 16 * from, job->b, job->out + 8 * from, count_of(job, from));
}

int zkds_k_bind(const uint64_t *a, const uint64_t *r, uint64_t *out, size_t vectors) {
    struct job job = {NULL, a, r, out, vectors, GRAIN_VECTORS, 16};
    zkds_parallel(tasks_of(&job), k_bind_task, &job);
    return ZKDS_OK;
}

/* ---- tables of integers ------------------------------------------------------------------------------------------ */

struct table_job {
    const int64_t *integers;
    uint64_t *table;
    size_t dimensions, rows, rows_a_task; /* a row is all of the last dimension */
    size_t shape[ZKDS_TABLE_DIMENSIONS], sides[ZKDS_TABLE_DIMENSIONS];
    int64_t strides[ZKDS_TABLE_DIMENSIONS];
};

static void table_row(uint64_t *row, const int64_t *integers, int64_t stride, size_t count) {
    for (size_t j = 0; j < count; j++) {
        const int64_t value = integers[(int64_t)j * stride];
        row[j] = (uint64_t)value + (value < 0 ? P61 : 0);
    }
}

static void table_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct table_job *job = context;
    const size_t last = job->dimensions - 1, side = job->sides[last];
    const size_t first = task * job->rows_a_task, end = first + job->rows_a_task < job->rows ? first + job->rows_a_task : job->rows;
    size_t index[ZKDS_TABLE_DIMENSIONS];
    for (size_t d = last, rest = first; d-- > 0; rest /= job->sides[d]) index[d] = rest % job->sides[d];
    for (size_t row = first; row < end; row++) {
        uint64_t *out = job->table + row * side;
        const int64_t *in = job->integers;
        size_t used = job->shape[last];
        for (size_t d = 0; d < last; d++) {
            in += (int64_t)index[d] * job->strides[d];
            if (index[d] >= job->shape[d]) used = 0;
        }
        if (used) table_row(out, in, job->strides[last], used);
        memset(out + used, 0, 8 * (side - used));
        for (size_t d = last; d-- > 0 && ++index[d] == job->sides[d];) index[d] = 0;
    }
}

int zkds_f_table(const int64_t *integers, size_t dimensions, const uint64_t *shape, const int64_t *strides, const uint64_t *sides,
                 uint64_t *table) {
    struct table_job job = {.integers = integers, .table = table, .rows = 1};
    if (dimensions < 1 || dimensions > ZKDS_TABLE_DIMENSIONS) return ZKDS_BAD_ARGUMENT;
    for (size_t d = 0; d < dimensions; d++) {
        if (shape[d] > sides[d]) return ZKDS_BAD_ARGUMENT;
        const size_t last = job.dimensions - 1; /* neighbouring dimensions that are one run on both sides become one */
        if (d && shape[d] == sides[d] && job.strides[last] == strides[d] * (int64_t)shape[d]) {
            job.shape[last] *= shape[d];
            job.sides[last] *= sides[d];
            job.strides[last] = strides[d];
        } else {
            job.shape[job.dimensions] = shape[d];
            job.sides[job.dimensions] = sides[d];
            job.strides[job.dimensions++] = strides[d];
        }
    }
    for (size_t d = 0; d + 1 < job.dimensions; d++) job.rows *= job.sides[d];
    const size_t side = job.sides[job.dimensions - 1];
    if (!job.rows || !side) return ZKDS_OK;
    job.rows_a_task = side < GRAIN ? GRAIN / side : 1;
    zkds_parallel((job.rows + job.rows_a_task - 1) / job.rows_a_task, table_task, &job);
    return ZKDS_OK;
}

/* ---- weighted sums of integers ------------------------------------------------------------------------------------ */

#define WEIGH_COLUMNS 256 /* of a piece of work */

struct weigh_job {
    const int64_t *values;
    const uint64_t *weights;
    uint64_t *blocked; /* weights of narrow runs, one for every value; else NULL */
    uint64_t *out;
    size_t runs, count, inner, own;
    size_t pieces, pieces_a_run, pieces_a_task;
};

static int is_narrow(size_t inner) { return inner == 1 || inner == 2 || inner == 4; }
static size_t blocked_words(const struct weigh_job *job) { return 16 * ((job->count * job->inner + 7) / 8); }

static void weigh_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct weigh_job *job = context;
    const size_t first = task * job->pieces_a_task, size = job->count * job->inner;
    const size_t end = first + job->pieces_a_task < job->pieces ? first + job->pieces_a_task : job->pieces;
    for (size_t piece = first; piece < end; piece++) {
        const size_t run = piece / job->pieces_a_run, own = job->own == 1 ? 0 : run % job->runs;
        const size_t column = piece % job->pieces_a_run * WEIGH_COLUMNS, left = job->inner - column;
        uint64_t *out = job->out + 2 * (run * job->inner + column);
        if (job->blocked)
            OPS(field)->weigh_narrow(job->values + run * size, job->count, job->inner, job->blocked + own * blocked_words(job), out);
        else
            OPS(field)->weigh(job->values + run * size + column, job->count, job->inner, left < WEIGH_COLUMNS ? left : WEIGH_COLUMNS,
                              job->weights + 2 * own * job->count, out);
    }
}

static int block_weights(struct weigh_job *job) {
    job->blocked = calloc(job->own * blocked_words(job) + 1, sizeof *job->blocked);
    if (!job->blocked) return ZKDS_OUT_OF_MEMORY;
    for (size_t own = 0; own < job->own; own++)
        for (size_t m = 0; m < job->count * job->inner; m++) {
            uint64_t *at = job->blocked + own * blocked_words(job) + 16 * (m / 8) + m % 8;
            const uint64_t *weight = job->weights + 2 * (own * job->count + m / job->inner);
            at[0] = weight[0];
            at[8] = weight[1];
        }
    return ZKDS_OK;
}

int zkds_weigh(const int64_t *values, size_t outer, size_t runs, size_t count, size_t inner, const uint64_t *weights, size_t own,
               uint64_t *out) {
    struct weigh_job job = {.values = values, .weights = weights, .out = out, .runs = runs, .count = count, .inner = inner, .own = own};
    if (own != 1 && own != runs) return ZKDS_BAD_ARGUMENT;
    if (!outer || !runs || !inner) return ZKDS_OK;
    if (is_narrow(inner) && block_weights(&job) != ZKDS_OK) return ZKDS_OUT_OF_MEMORY;
    job.pieces_a_run = (inner + WEIGH_COLUMNS - 1) / WEIGH_COLUMNS;
    job.pieces = outer * runs * job.pieces_a_run;
    job.pieces_a_task = GRAIN / (count * (inner < WEIGH_COLUMNS ? inner : WEIGH_COLUMNS) + 1) + 1;
    zkds_parallel((job.pieces + job.pieces_a_task - 1) / job.pieces_a_task, weigh_task, &job);
    free(job.blocked);
    return ZKDS_OK;
}
