/* Linear combinations of rows and columns, and the tables of the recursive opening. */
#include "codeword_ops.h"
#include "api/codeword.h"
#include "field61.h"

static K1 load(const uint64_t *pairs, size_t index) { return (K1){pairs[2 * index], pairs[2 * index + 1]}; }
static void store(uint64_t *pairs, size_t index, K1 x) {
    pairs[2 * index] = x.re;
    pairs[2 * index + 1] = x.im;
}
static K1 conjugate(K1 x) { return (K1){x.re, f_sub(0, x.im)}; }
static K1 k_power(K1 base, size_t exponent) {
    K1 result = {1, 0};
    for (; exponent; exponent >>= 1, base = k_mul(base, base))
        if (exponent & 1) result = k_mul(result, base);
    return result;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

#define COMBINE_VECTORS 64 /* a task */

struct combine_job {
    const struct zkds_matrix *matrix;
    const uint64_t *weights, *limbs;
    uint64_t *combined;
};

/* Rows that have cells at columns column .. column + 7, wholly. */
static size_t whole_rows(const struct zkds_matrix *m, size_t column) {
    size_t end = column + 8;
    return m->cell_count < end ? 0 : ((m->cell_count - end) >> m->log_data) + 1;
}

static void combine_partial(const struct combine_job *job, size_t row, size_t column) {
    const struct zkds_matrix *m = job->matrix;
    size_t start = (row << m->log_data) + column;
    if (start >= m->cell_count) return;
    uint32_t padded[8] = {0};
    memcpy(padded, m->cells + start, 4 * (m->cell_count - start));
    OPS(codeword)->combine(job->combined + 2 * column, padded, 0, 1, job->limbs + 6 * row, 1);
}

static void combine_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct combine_job *job = context;
    const struct zkds_matrix *m = job->matrix;
    size_t data = (size_t)1 << m->log_data, first = 8 * COMBINE_VECTORS * task;
    size_t last = first + 8 * COMBINE_VECTORS < data ? first + 8 * COMBINE_VECTORS : data;
    memset(job->combined + 2 * first, 0, 16 * (last - first));
    for (size_t column = first, next; column < last; column = next) { /* runs of columns with equally many whole rows */
        size_t rows = whole_rows(m, column);
        for (next = column + 8; next < last && whole_rows(m, next) == rows;) next += 8;
        for (size_t row = 0; row < rows; row += COMBINE_ROWS) {
            size_t count = rows - row < COMBINE_ROWS ? rows - row : COMBINE_ROWS;
            OPS(codeword)->combine(job->combined + 2 * column, m->cells + (row << m->log_data) + column, data, count,
                                   job->limbs + 6 * row, (next - column) / 8);
        }
        for (size_t c = column; c < next; c += 8)
            if (rows < 2 * m->packed_rows) combine_partial(job, rows, c);
    }
    for (size_t row = 0; row < m->element_rows; row++)
        OPS(codeword)->add_multiple(job->combined + 2 * first, m->elements + 2 * (data * row + first),
                                    job->weights + 2 * (2 * m->packed_rows + row), (last - first) / 8);
}

static void combine_tails(const struct zkds_matrix *m, const uint64_t *weights, uint64_t *out) {
    for (size_t t = 0; t < m->tail; t++) {
        K1 sum = {0, 0};
        for (size_t row = 0; row < m->packed_rows; row++) {
            K1 tail = load(m->tails, row * m->tail + t);
            sum = k_add(sum, k_mul(load(weights, 2 * row), (K1){tail.re, 0}));
            sum = k_add(sum, k_mul(load(weights, 2 * row + 1), (K1){tail.im, 0}));
        }
        for (size_t row = 0; row < m->element_rows; row++)
            sum = k_add(sum, k_mul(load(weights, 2 * m->packed_rows + row), load(m->tails, (m->packed_rows + row) * m->tail + t)));
        store(out, t, sum);
    }
}

int zkds_combine_rows(const struct zkds_matrix *matrix, const uint64_t *weights, uint64_t *combined, uint64_t *combined_tail) {
    size_t rows = 2 * matrix->packed_rows, tasks = (((size_t)1 << matrix->log_data) + 8 * COMBINE_VECTORS - 1) / (8 * COMBINE_VECTORS);
    if (matrix->log_data < 3 || matrix->cell_count > rows << matrix->log_data) return ZKDS_BAD_ARGUMENT;
    uint64_t *limbs = zkds_alloc(48 * rows + 64);
    if (!limbs) return ZKDS_OUT_OF_MEMORY;
    for (size_t i = 0; i < 2 * rows; i++)
        for (int l = 0; l < 3; l++) limbs[3 * i + (size_t)l] = weights[i] >> (21 * l) & 0x1fffff;
    struct combine_job job = {matrix, weights, limbs, combined};
    zkds_parallel(tasks, combine_task, &job);
    combine_tails(matrix, weights, combined_tail);
    free(limbs);
    return ZKDS_OK;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

struct columns_job {
    const uint64_t *columns, *a, *b;
    size_t rows;
    uint64_t *out;
};

static void columns_task(void *context, size_t column, int worker) {
    (void)worker;
    const struct columns_job *job = context;
    K1 at_point = {0, 0}, at_inverse = {0, 0};
    for (size_t row = 0; row < job->rows; row++) {
        const uint64_t *pair = job->columns + 4 * (column * job->rows + row);
        K1 c = load(pair, 0), d = load(pair, 1), a = load(job->a, row), b = load(job->b, row);
        at_point = k_add(at_point, k_add(k_mul(a, c), k_mul(b, conjugate(d))));
        at_inverse = k_add(at_inverse, k_add(k_mul(a, d), k_mul(b, conjugate(c))));
    }
    store(job->out, 2 * column, at_point);
    store(job->out, 2 * column + 1, at_inverse);
}

int zkds_combine_columns(const uint64_t *columns, size_t count, size_t rows, const uint64_t *a, const uint64_t *b, uint64_t *out) {
    struct columns_job job = {columns, a, b, rows, out};
    zkds_parallel(count, columns_task, &job);
    return ZKDS_OK;
}

/* ---- powers ------------------------------------------------------------------------------------------------------ */

#define POWERS 64 /* exponents a task */

struct powers_job {
    const uint64_t *points, *coefficients;
    size_t count, size;
    uint64_t *out;
};

static void weights_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct powers_job *job = context;
    size_t first = task * POWERS, count = job->size - first < POWERS ? job->size - first : POWERS;
    memset(job->out + 2 * first, 0, 16 * count);
    for (size_t j = 0; j < job->count; j++) {
        K1 point = load(job->points, j), term = k_mul(load(job->coefficients, j), k_power(point, first));
        for (size_t x = first; x < first + count; x++, term = k_mul(term, point)) store(job->out, x, k_add(load(job->out, x), term));
    }
}

int zkds_power_weights(const uint64_t *points, const uint64_t *coefficients, size_t count, uint64_t *out, size_t size) {
    struct powers_job job = {points, coefficients, count, size, out};
    zkds_parallel((size + POWERS - 1) / POWERS, weights_task, &job);
    return ZKDS_OK;
}

static void evaluate_task(void *context, size_t j, int worker) {
    (void)worker;
    const struct powers_job *job = context;
    K1 point = load(job->points, j), value = {0, 0};
    for (size_t x = job->size; x-- > 0;) value = k_add(k_mul(value, point), load(job->coefficients, x));
    store(job->out, j, value);
}

int zkds_evaluate_powers(const uint64_t *polynomial, size_t size, const uint64_t *points, size_t count, uint64_t *out) {
    struct powers_job job = {points, polynomial, count, size, out};
    zkds_parallel(count, evaluate_task, &job);
    return ZKDS_OK;
}

/* ---- tables of the recursive opening ------------------------------------------------------------------------------ */

#define HALF_VECTORS 512 /* a task */

struct half_job {
    const uint64_t *x, *y;
    uint64_t *table;
    const uint64_t *r;
    size_t half;
    uint64_t *sums; /* four words a task */
};

static size_t half_span(const struct half_job *job, size_t task) {
    return job->half - task * HALF_VECTORS < HALF_VECTORS ? job->half - task * HALF_VECTORS : HALF_VECTORS;
}

static void round_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct half_job *job = context;
    size_t at = 16 * HALF_VECTORS * task, high = at + 16 * job->half;
    OPS(codeword)->half_products(job->x + at, job->x + high, job->y + at, job->y + high, half_span(job, task), job->sums + 4 * task);
}

int zkds_half_round(const uint64_t *x, const uint64_t *y, size_t half_vectors, uint64_t *message) {
    size_t tasks = (half_vectors + HALF_VECTORS - 1) / HALF_VECTORS;
    struct half_job job = {.x = x, .y = y, .half = half_vectors, .sums = zkds_alloc(32 * tasks + 64)};
    if (!job.sums) return ZKDS_OUT_OF_MEMORY;
    zkds_parallel(tasks, round_task, &job);
    K1 zero = {0, 0}, infinity = {0, 0};
    for (size_t task = 0; task < tasks; task++) {
        zero = k_add(zero, load(job.sums, 2 * task));
        infinity = k_add(infinity, load(job.sums, 2 * task + 1));
    }
    store(message, 0, zero);
    store(message, 1, infinity);
    free(job.sums);
    return ZKDS_OK;
}

static void bind_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct half_job *job = context;
    uint64_t *low = job->table + 16 * HALF_VECTORS * task;
    OPS(codeword)->bind_half(low, low + 16 * job->half, job->r, half_span(job, task));
}

int zkds_bind_half(uint64_t *table, size_t half_vectors, const uint64_t *r) {
    struct half_job job = {.table = table, .r = r, .half = half_vectors};
    zkds_parallel((half_vectors + HALF_VECTORS - 1) / HALF_VECTORS, bind_task, &job);
    return ZKDS_OK;
}
