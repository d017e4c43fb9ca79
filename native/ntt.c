/* Tables of roots, and transforms in natural order. */
#include "ntt_ops.h"
#include "api/ntt.h"
#include "field61.h"
#include "ntt.h"

#define MAX_LOG 24
#define PART ((size_t)1 << 14) /* entries of a task */
#define LARGE_LOG 16           /* a single row of so many points is cut into tasks */

static size_t root_count(int log_size) { return (size_t)1 << (log_size - 3 > 6 ? log_size - 3 : 6); }
static size_t cube_count(int log_size) { return (size_t)1 << (log_size - 4); }

struct ntt_tables zkds_ntt_view(const uint64_t *tables, int log_size) {
    const uint64_t *last = tables + 2 * root_count(log_size) + 2 * cube_count(log_size);
    return (struct ntt_tables){tables, tables + 2 * root_count(log_size), last};
}

size_t zkds_ntt_tables_words(int log_size) {
    if (log_size < NTT_MIN_LOG + 1 || log_size > MAX_LOG) return 0;
    return 2 * root_count(log_size) + 2 * cube_count(log_size) + 14 * ((size_t)1 << (log_size - 2));
}

static K1 load(const uint64_t *pairs, size_t index) { return (K1){pairs[2 * index], pairs[2 * index + 1]}; }
static void store(uint64_t *pairs, size_t index, K1 x) {
    pairs[2 * index] = x.re;
    pairs[2 * index + 1] = x.im;
}

/* e(frac(t) / divisor) for t < count: bit b of t adds 1 / (2^(b + 1) divisor) of a turn. */
static void fill_mirrored(uint64_t *pairs, size_t count, const uint64_t *roots, int log_divisor) {
    store(pairs, 0, (K1){1, 0});
    for (int b = 0; (size_t)1 << b < count; b++) {
        size_t half = (size_t)1 << b;
        K1 root = load(roots, (size_t)(b + 1 + log_divisor));
        for (size_t t = 0; t < half; t++) store(pairs, half + t, k_mul(load(pairs, t), root));
    }
}

struct powers_job {
    const uint64_t *bases;
    uint64_t *last;
    size_t nodes;
};

static void powers_task(void *context, size_t task, int worker) {
    const struct powers_job *job = context;
    const size_t end = (task + 1) * PART < job->nodes ? (task + 1) * PART : job->nodes;
    (void)worker;
    for (size_t t = task * PART; t < end; t++) {
        K1 base = load(job->bases, t), power = base;
        for (int j = 0; j < 7; j++, power = k_mul(power, base)) {
            uint64_t *vector = job->last + 112 * (t / 8) + 16 * j;
            vector[t % 8] = power.re;
            vector[8 + t % 8] = power.im;
        }
    }
}

int zkds_ntt_tables(const uint64_t *roots, int log_size, uint64_t *tables) {
    if (!zkds_ntt_tables_words(log_size)) return ZKDS_BAD_ARGUMENT;
    size_t nodes = (size_t)1 << (log_size - 2);
    uint64_t *square = tables, *cube = tables + 2 * root_count(log_size), *last = cube + 2 * cube_count(log_size);
    uint64_t *eighth = zkds_alloc(16 * nodes);
    if (!eighth) return ZKDS_OUT_OF_MEMORY;
    fill_mirrored(square, root_count(log_size), roots, 1);
    for (size_t t = 0; t < cube_count(log_size); t++) store(cube, t, k_mul(load(square, t), load(square, 2 * t)));
    fill_mirrored(eighth, nodes, roots, 3);
    struct powers_job job = {eighth, last, nodes};
    zkds_parallel((nodes + PART - 1) / PART, powers_task, &job);
    free(eighth);
    return ZKDS_OK;
}

/* ---- natural order ----------------------------------------------------------------------------------------------- */

struct rows_job {
    struct ntt_tables tables;
    const uint64_t *in;
    uint64_t *out;
    int log_size, inverse, coset;
    K1 twist; /* inverse of the root of order 2n */
    int failed;
    uint64_t *buffer; /* of a single row */
    int levels;       /* of its tree, above the parts that are tasks */
};

static size_t mirrored(size_t x, int bits) {
    size_t result = 0;
    for (int b = 0; b < bits; b++) result |= (x >> b & 1) << (bits - 1 - b);
    return result;
}

static void short_transform(K1 *x, size_t size, size_t node, const struct ntt_tables *tables) {
    if (size == 1) return;
    K1 s = load(tables->roots, node);
    for (size_t j = 0; j < size / 2; j++) {
        K1 low = x[j], high = k_mul(x[j + size / 2], s);
        x[j] = k_add(low, high);
        x[j + size / 2] = k_sub(low, high);
    }
    short_transform(x, size / 2, 2 * node, tables);
    short_transform(x + size / 2, size / 2, 2 * node + 1, tables);
}

static int is_blocked(const struct rows_job *job) { return job->log_size >= NTT_MIN_LOG; }
static size_t root_node(const struct rows_job *job) { return job->coset && !job->inverse; }

/* Coefficients (pairs, natural), blocked from 2^NTT_MIN_LOG points on; conjugated on the way back. */
static void gather(const struct rows_job *job, const uint64_t *in, uint64_t *buffer, size_t first, size_t end) {
    const int blocked = is_blocked(job);
    for (size_t j = first; j < end; j++) {
        uint64_t re = in[2 * j], im = job->inverse ? f_sub(0, in[2 * j + 1]) : in[2 * j + 1];
        uint64_t *at = blocked ? buffer + 16 * (j / 8) + j % 8 : buffer + 2 * j;
        at[0] = re;
        at[blocked ? 8 : 1] = im;
    }
}

static K1 power_of(K1 base, size_t exponent) {
    K1 power = {1, 0};
    for (; exponent; exponent >>= 1, base = k_mul(base, base))
        if (exponent & 1) power = k_mul(power, base);
    return power;
}

/* What a value at `index` counts. The inverse of the plain transform is its conjugate over n; the coset's coefficients come
 * multiplied by r^index. */
static K1 scale_at(const struct rows_job *job, size_t index) {
    const K1 scale = {job->inverse ? (uint64_t)1 << ((61 - job->log_size) % 61) : 1, 0};
    return job->inverse && job->coset ? k_mul(scale, power_of(job->twist, index)) : scale;
}

/* A value to its place; its scale becomes that of the next one. */
static void put(const struct rows_job *job, K1 value, K1 *scale, uint64_t *out, size_t index) {
    if (job->inverse) {
        value.im = f_sub(0, value.im);
        value = k_mul(value, *scale);
        if (job->coset) *scale = k_mul(*scale, job->twist);
    }
    store(out, index, value);
}

static void scatter_short(const struct rows_job *job, const uint64_t *buffer, uint64_t *out) {
    K1 scale = scale_at(job, 0);
    for (size_t j = 0; j < (size_t)1 << job->log_size; j++)
        put(job, load(buffer, mirrored(j, job->log_size)), &scale, out, j);
}

/* Values in natural order: the lanes of a vector lie 2^(log_size - 3) apart, neighbours in one lane side by side. */
static void scatter(const struct rows_job *job, const uint64_t *buffer, uint64_t *out, size_t first, size_t end) {
    const int bits = job->log_size - 3;
    K1 scales[8];
    for (size_t lane = 0; lane < 8; lane++) scales[lane] = scale_at(job, (mirrored(lane, 3) << bits) + first);
    for (size_t j = first; j < end; j++) {
        const uint64_t *vector = buffer + 16 * mirrored(j, bits);
        for (size_t lane = 0; lane < 8; lane++)
            put(job, (K1){vector[lane], vector[8 + lane]}, &scales[lane], out, (mirrored(lane, 3) << bits) + j);
    }
}

/* ---- rows, a task each ----------------------------------------------------------------------------------------------- */

static void row_task(void *context, size_t row, int worker) {
    struct rows_job *job = context;
    const size_t size = (size_t)1 << job->log_size;
    uint64_t *buffer = zkds_alloc(16 * size);
    (void)worker;
    if (!buffer) {
        __atomic_store_n(&job->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    uint64_t *out = job->out + 2 * size * row;
    gather(job, job->in + 2 * size * row, buffer, 0, size);
    if (is_blocked(job)) {
        OPS(ntt)->transform(buffer, job->log_size, root_node(job), &job->tables);
        scatter(job, buffer, out, 0, size / 8);
    } else {
        short_transform((K1 *)buffer, size, root_node(job), &job->tables);
        scatter_short(job, buffer, out);
    }
    free(buffer);
}

/* ---- one large row, its parts tasks ---------------------------------------------------------------------------------- */

static void gather_task(void *context, size_t task, int worker) {
    const struct rows_job *job = context;
    (void)worker;
    gather(job, job->in, job->buffer, task * PART, (task + 1) * PART);
}

static void subtree_task(void *context, size_t task, int worker) {
    const struct rows_job *job = context;
    const int log_size = job->log_size - job->levels;
    (void)worker;
    OPS(ntt)->transform(job->buffer + (task << (log_size + 1)), log_size, (root_node(job) << job->levels) + task, &job->tables);
}

static void scatter_task(void *context, size_t task, int worker) {
    const struct rows_job *job = context;
    (void)worker;
    scatter(job, job->buffer, job->out, task * PART / 8, (task + 1) * PART / 8);
}

static void transform_large(struct rows_job *job) {
    const size_t parts = ((size_t)1 << job->log_size) / PART;
    job->levels = job->log_size % 2 ? 2 : 3; /* what is left is odd */
    job->buffer = zkds_alloc((size_t)16 << job->log_size);
    if (!job->buffer) {
        job->failed = 1;
        return;
    }
    zkds_parallel(parts, gather_task, job);
    OPS(ntt)->descend(job->buffer, job->log_size, job->log_size - job->levels, root_node(job), &job->tables);
    zkds_parallel((size_t)1 << job->levels, subtree_task, job);
    zkds_parallel(parts, scatter_task, job);
    free(job->buffer);
}

int zkds_ntt(const uint64_t *tables, int tables_log_size, const uint64_t *in, uint64_t *out, size_t rows, int log_size,
             int inverse, const uint64_t *coset_root) {
    if (!zkds_ntt_tables_words(tables_log_size) || log_size < 0 || log_size > tables_log_size) return ZKDS_BAD_ARGUMENT;
    struct rows_job job = {.tables = zkds_ntt_view(tables, tables_log_size), .in = in, .out = out, .log_size = log_size,
                           .inverse = inverse, .coset = coset_root != NULL, .twist = {1, 0}};
    if (coset_root) job.twist = (K1){coset_root[0], f_sub(0, coset_root[1])};
    if (rows == 1 && log_size >= LARGE_LOG)
        transform_large(&job);
    else
        zkds_parallel(rows, row_task, &job);
    return job.failed ? ZKDS_OUT_OF_MEMORY : ZKDS_OK;
}
