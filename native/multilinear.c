/* Tables of eq and evaluation, split over threads. */
#include "multilinear_ops.h"
#include "field61.h"
#include "field_ops.h"

_Static_assert(EQ_CHUNK / 8 <= KACC_TERMS, "a chunk must fit an accumulator");

/* eq(point, x) = low[x mod 2^EQ_LOW] high[x div 2^EQ_LOW]: low is blocked, high an array of (re, im). */
struct split_eq {
    uint64_t *low;
    K1 *high;
    size_t low_variables, low_vectors, high_count;
};

static void split_eq_free(struct split_eq *eq) {
    free(eq->low);
    free(eq->high);
}

static int split_eq_init(struct split_eq *eq, const uint64_t *point, size_t variables, K1 scale) {
    K1 pairs[EQ_CHUNK];
    eq->low_variables = variables < EQ_LOW ? variables : EQ_LOW;
    size_t low_count = (size_t)1 << eq->low_variables;
    eq->low_vectors = (low_count + 7) / 8;
    eq->high_count = (size_t)1 << (variables - eq->low_variables);
    eq->low = zkds_alloc(eq->low_vectors * 16 * sizeof *eq->low);
    eq->high = malloc(eq->high_count * sizeof *eq->high);
    if (!eq->low || !eq->high) {
        split_eq_free(eq);
        return ZKDS_OUT_OF_MEMORY;
    }
    k_eq_expand(point, eq->low_variables, (K1){1, 0}, pairs);
    k_eq_expand(point + 2 * eq->low_variables, variables - eq->low_variables, scale, eq->high);
    memset(eq->low, 0, eq->low_vectors * 16 * sizeof *eq->low);
    for (size_t x = 0; x < low_count; x++) {
        eq->low[16 * (x / 8) + x % 8] = pairs[x].re;
        eq->low[16 * (x / 8) + 8 + x % 8] = pairs[x].im;
    }
    return ZKDS_OK;
}

#define HIGHS_PER_TASK 32

struct eq_job {
    const struct split_eq *eq;
    uint64_t *out;
};

static void eq_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct eq_job *job = context;
    size_t vectors = job->eq->low_vectors, high = task * HIGHS_PER_TASK;
    for (size_t end = high + HIGHS_PER_TASK; high < end && high < job->eq->high_count; high++)
        OPS(field)->k_scale(job->eq->low, &job->eq->high[high].re, job->out + 16 * high * vectors, vectors);
}

int zkds_eq_table(const uint64_t *point, size_t variables, const uint64_t *scale, uint64_t *out) {
    struct split_eq eq;
    if (variables > 40) return ZKDS_BAD_ARGUMENT;
    int code = split_eq_init(&eq, point, variables, (K1){scale[0], scale[1]});
    if (code != ZKDS_OK) return code;
    struct eq_job job = {&eq, out};
    zkds_parallel((eq.high_count + HIGHS_PER_TASK - 1) / HIGHS_PER_TASK, eq_task, &job);
    split_eq_free(&eq);
    return ZKDS_OK;
}

#define CHUNKS_PER_TASK 16

struct evaluate_job {
    const void *table;
    int kind;
    size_t length, chunks;
    const struct split_eq *eq;
    uint64_t *sums; /* eight lanes a worker */
};

static void evaluate_task(void *context, size_t task, int worker) {
    const struct evaluate_job *job = context;
    size_t from = task * CHUNKS_PER_TASK;
    size_t to = job->chunks - from < CHUNKS_PER_TASK ? job->chunks : from + CHUNKS_PER_TASK;
    OPS(multilinear)->evaluate(job->table, job->kind, job->length, job->eq->low, &job->eq->high[0].re, from, to,
                               job->sums + 16 * worker);
}

int zkds_evaluate(const void *table, int kind, size_t length, const uint64_t *point, size_t variables, uint64_t *value) {
    if (variables > 40 || kind < ZKDS_TABLE_K || kind > ZKDS_TABLE_U32) return ZKDS_BAD_ARGUMENT;
    size_t capacity = (size_t)1 << variables;
    if (kind == ZKDS_TABLE_K && capacity < 8) capacity = 8;
    if (length > capacity) return ZKDS_BAD_ARGUMENT;
    struct split_eq eq;
    int code = split_eq_init(&eq, point, variables, (K1){1, 0});
    if (code != ZKDS_OK) return code;
    size_t workers = (size_t)zkds_threads();
    uint64_t *sums = calloc(16 * workers, sizeof *sums);
    if (!sums) {
        split_eq_free(&eq);
        return ZKDS_OUT_OF_MEMORY;
    }
    struct evaluate_job job = {table, kind, length, (length + EQ_CHUNK - 1) / EQ_CHUNK, &eq, sums};
    zkds_parallel((job.chunks + CHUNKS_PER_TASK - 1) / CHUNKS_PER_TASK, evaluate_task, &job);
    K1 total = {0, 0};
    for (size_t i = 0; i < 16 * workers; i++) {
        uint64_t *part = i % 16 < 8 ? &total.re : &total.im;
        *part = f_add(*part, sums[i]);
    }
    value[0] = total.re;
    value[1] = total.im;
    free(sums);
    split_eq_free(&eq);
    return ZKDS_OK;
}
