/* Tables of roots, and transforms in natural order. */
#include "ntt_ops.h"
#include "api/ntt.h"
#include "field61.h"
#include "ntt.h"

#define MAX_LOG 24

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

int zkds_ntt_tables(const uint64_t *roots, int log_size, uint64_t *tables) {
    if (!zkds_ntt_tables_words(log_size)) return ZKDS_BAD_ARGUMENT;
    size_t nodes = (size_t)1 << (log_size - 2);
    uint64_t *square = tables, *cube = tables + 2 * root_count(log_size), *last = cube + 2 * cube_count(log_size);
    uint64_t *eighth = zkds_alloc(16 * nodes);
    if (!eighth) return ZKDS_OUT_OF_MEMORY;
    fill_mirrored(square, root_count(log_size), roots, 1);
    for (size_t t = 0; t < cube_count(log_size); t++) store(cube, t, k_mul(load(square, t), load(square, 2 * t)));
    fill_mirrored(eighth, nodes, roots, 3);
    for (size_t t = 0; t < nodes; t++) {
        K1 base = load(eighth, t), power = base;
        for (int j = 0; j < 7; j++, power = k_mul(power, base)) {
            uint64_t *vector = last + 112 * (t / 8) + 16 * j;
            vector[t % 8] = power.re;
            vector[8 + t % 8] = power.im;
        }
    }
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

/* Coefficients (pairs, natural) -> values in the tree's order (blocked from 2^NTT_MIN_LOG points on, else pairs). */
static void forward(const struct rows_job *job, const uint64_t *in, uint64_t *buffer, int conjugate, size_t node) {
    size_t size = (size_t)1 << job->log_size;
    int blocked = job->log_size >= NTT_MIN_LOG;
    for (size_t j = 0; j < size; j++) {
        uint64_t re = in[2 * j], im = conjugate ? f_sub(0, in[2 * j + 1]) : in[2 * j + 1];
        uint64_t *at = blocked ? buffer + 16 * (j / 8) + j % 8 : buffer + 2 * j;
        at[0] = re;
        at[blocked ? 8 : 1] = im;
    }
    if (blocked)
        OPS(ntt)->transform(buffer, job->log_size, node, &job->tables);
    else
        short_transform((K1 *)buffer, size, node, &job->tables);
}

static K1 value_at(const struct rows_job *job, const uint64_t *buffer, size_t index) {
    size_t s = mirrored(index, job->log_size);
    if (job->log_size < NTT_MIN_LOG) return load(buffer, s);
    return (K1){buffer[16 * (s / 8) + s % 8], buffer[16 * (s / 8) + 8 + s % 8]};
}

static void row_task(void *context, size_t row, int worker) {
    (void)worker;
    struct rows_job *job = context;
    size_t size = (size_t)1 << job->log_size;
    uint64_t *buffer = zkds_alloc(16 * size), *out = job->out + 2 * size * row;
    if (!buffer) {
        __atomic_store_n(&job->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    forward(job, job->in + 2 * size * row, buffer, job->inverse, job->coset && !job->inverse);
    /* The inverse of the plain transform is its conjugate over n; the coset's coefficients come multiplied by r^j. */
    K1 scale = {job->inverse ? (uint64_t)1 << ((61 - job->log_size) % 61) : 1, 0};
    for (size_t j = 0; j < size; j++) {
        K1 value = value_at(job, buffer, j);
        if (job->inverse) {
            value.im = f_sub(0, value.im);
            value = k_mul(value, scale);
            if (job->coset) scale = k_mul(scale, job->twist);
        }
        store(out, j, value);
    }
    free(buffer);
}

int zkds_ntt(const uint64_t *tables, int tables_log_size, const uint64_t *in, uint64_t *out, size_t rows, int log_size,
             int inverse, const uint64_t *coset_root) {
    if (!zkds_ntt_tables_words(tables_log_size) || log_size < 0 || log_size > tables_log_size) return ZKDS_BAD_ARGUMENT;
    struct rows_job job = {zkds_ntt_view(tables, tables_log_size), in, out, log_size, inverse, coset_root != NULL, {1, 0}, 0};
    if (coset_root) job.twist = (K1){coset_root[0], f_sub(0, coset_root[1])};
    zkds_parallel(rows, row_task, &job);
    return job.failed ? ZKDS_OUT_OF_MEMORY : ZKDS_OK;
}
