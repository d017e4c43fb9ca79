/* Trees of fractions: checks, weights, and the split over threads. */
#include "fraction_ops.h"
#include "field61.h"

#define NODE_GRAIN 1024    /* node vectors a task: p and q take 256 KiB, and the levels above them half as much, a quarter, ... */
#define LOW_BITS 8         /* pairs below one high weight: 2^8; KACC_TERMS allows 2^9 */
#define MAX_ROUND_TASKS 64
#define MAX_REST 40

/* ---- levels ------------------------------------------------------------------------------------------------------ */

struct level_job {
    const zkds_leaves *leaves;
    size_t first_vector;
    uint64_t *q_out;
    size_t vectors;
};

struct tree_job {
    const zkds_leaves *leaves; /* NULL: level 0 is given */
    size_t first_vector;
    uint64_t *const *p, *const *q;
    size_t levels, vectors;
};

static size_t job_count(const struct level_job *job, size_t from) {
    return job->vectors - from < NODE_GRAIN ? job->vectors - from : NODE_GRAIN;
}

static void leaf_values_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct level_job *job = context;
    size_t from = task * NODE_GRAIN;
    OPS(fraction)->leaf_values(job->leaves, job->first_vector + from, job_count(job, from), job->q_out + 16 * from);
}

static size_t task_count(size_t vectors) { return (vectors + NODE_GRAIN - 1) / NODE_GRAIN; }

/* The levels above a subtree of the lowest level, while they are in the second-level cache. */
static void subtree_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct tree_job *job = context;
    size_t from = task * NODE_GRAIN, count = job->vectors < NODE_GRAIN ? job->vectors : NODE_GRAIN;
    if (job->leaves)
        OPS(fraction)->leaf_grandparents(job->leaves, job->first_vector + 4 * from, count, job->p[0] + 16 * from,
                                         job->q[0] + 16 * from);
    for (size_t level = 1; level < job->levels && count > 1; level++) {
        from /= 2;
        count /= 2;
        OPS(fraction)->parents(job->p[level - 1] + 32 * from, job->q[level - 1] + 32 * from, count, job->p[level] + 16 * from,
                               job->q[level] + 16 * from);
    }
}

/* The segments must be contiguous and cover the leaves [first, end). */
static int leaves_cover(const zkds_leaves *leaves, size_t first, size_t end) {
    if (leaves->segment_count == 0) return 0;
    const zkds_leaf_segment *s = leaves->segments;
    for (size_t j = 0; j < leaves->segment_count; j++) {
        if (s[j].first >= s[j].end || s[j].width > 3) return 0;
        if (j && s[j].first != s[j - 1].end) return 0;
    }
    return s[0].first <= first && end <= s[leaves->segment_count - 1].end;
}

int zkds_leaf_values(const zkds_leaves *leaves, size_t first_leaf, size_t vectors, uint64_t *q) {
    if (first_leaf % 8 || !leaves_cover(leaves, first_leaf, first_leaf + 8 * vectors)) return ZKDS_BAD_ARGUMENT;
    struct level_job job = {.leaves = leaves, .first_vector = first_leaf / 8, .q_out = q, .vectors = vectors};
    zkds_parallel(task_count(vectors), leaf_values_task, &job);
    return ZKDS_OK;
}

int zkds_fraction_levels(const zkds_leaves *leaves, size_t first_leaf, uint64_t *const *p, uint64_t *const *q, size_t levels,
                         size_t vectors) {
    if (levels < 1 || vectors < 1 || (vectors & (vectors - 1)) || vectors >> (levels - 1) == 0) return ZKDS_BAD_ARGUMENT;
    if (leaves && (first_leaf % 8 || !leaves_cover(leaves, first_leaf, first_leaf + 32 * vectors))) return ZKDS_BAD_ARGUMENT;
    struct tree_job job = {leaves, first_leaf / 8, p, q, levels, vectors};
    zkds_parallel(task_count(vectors), subtree_task, &job);
    for (size_t level = 1, count = vectors / 2; level < levels; level++, count /= 2) /* what no subtree reached */
        if (vectors > NODE_GRAIN && count < vectors / NODE_GRAIN)
            OPS(fraction)->parents(p[level - 1], q[level - 1], count, p[level], q[level]);
    return ZKDS_OK;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

struct round_job {
    struct fraction_round round;
    KWeight low_weights[1 << LOW_BITS];
    size_t high_count, tasks;
    void (*kernel)(const struct fraction_round *, size_t, size_t, uint64_t *);
    uint64_t sums[MAX_ROUND_TASKS][32];
};

/* eq(point, x) for all x below 2^count, count coordinates. */
static void eq_values(const uint64_t *point, size_t count, K1 *out) {
    out[0] = (K1){1, 0};
    for (size_t b = 0; b < count; b++) {
        K1 z = {point[2 * b], point[2 * b + 1]};
        for (size_t x = 0; x < (size_t)1 << b; x++) {
            K1 high = k_mul(out[x], z);
            out[x + ((size_t)1 << b)] = high;
            out[x] = k_sub(out[x], high);
        }
    }
}

static void set_low_weights(KWeight *weights, const uint64_t *point, size_t count) {
    K1 eq[1 << LOW_BITS];
    eq_values(point, count, eq);
    for (size_t x = 0; x < (size_t)1 << count; x++) weights[x] = k_weight(eq[x]);
}

static void round_task(void *context, size_t task, int worker) {
    (void)worker;
    struct round_job *job = context;
    size_t from = task * job->high_count / job->tasks, to = (task + 1) * job->high_count / job->tasks;
    job->kernel(&job->round, from, to, job->sums[task]);
}

/* sum over tasks and lanes, each lane with its eq weight: at 0 and at infinity. */
static void add_up(const struct round_job *job, const uint64_t *lanes, uint64_t *sums) {
    K1 eq[8];
    eq_values(lanes, 3, eq);
    for (size_t k = 0; k < 2; k++) {
        K1 total = {0, 0};
        for (size_t task = 0; task < job->tasks; task++)
            for (size_t lane = 0; lane < 8; lane++) {
                const uint64_t *vector = job->sums[task] + 16 * k;
                total = k_add(total, k_mul(eq[lane], (K1){vector[lane], vector[8 + lane]}));
            }
        sums[2 * k] = total.re;
        sums[2 * k + 1] = total.im;
    }
}

static int run_round(struct fraction_round round, void (*kernel)(const struct fraction_round *, size_t, size_t, uint64_t *),
                     const uint64_t *lanes, const uint64_t *rest, size_t rest_count, uint64_t *sums) {
    if (rest_count > MAX_REST) return ZKDS_BAD_ARGUMENT;
    size_t low_bits = rest_count < LOW_BITS ? rest_count : LOW_BITS;
    struct round_job *job = zkds_alloc(sizeof *job);
    K1 *high = zkds_alloc(sizeof *high << (rest_count - low_bits));
    if (!job || !high) {
        free(job);
        free(high);
        return ZKDS_OUT_OF_MEMORY;
    }
    set_low_weights(job->low_weights, rest, low_bits);
    eq_values(rest + 2 * low_bits, rest_count - low_bits, high);
    job->round = round;
    job->round.low_count = (size_t)1 << low_bits;
    job->round.low_weights = job->low_weights;
    job->round.high_weights = (const uint64_t *)high;
    job->high_count = (size_t)1 << (rest_count - low_bits);
    job->tasks = job->high_count < MAX_ROUND_TASKS ? job->high_count : MAX_ROUND_TASKS;
    job->kernel = kernel;
    zkds_parallel(job->tasks, round_task, job);
    add_up(job, lanes, sums);
    free(high);
    free(job);
    return ZKDS_OK;
}

int zkds_fraction_round(const uint64_t *p, const uint64_t *q, const uint64_t *challenge, const uint64_t *lambda, int merge,
                        uint64_t *p_out, uint64_t *q_out, const uint64_t *lanes, const uint64_t *rest, size_t rest_count,
                        uint64_t *sums) {
    struct fraction_round round = {
        .p = p, .q = q, .p_out = p_out, .q_out = q_out, .challenge = challenge, .lambda = lambda, .merge = merge};
    return run_round(round, OPS(fraction)->fraction_round, lanes, rest, rest_count, sums);
}

int zkds_fraction_last_fold(const uint64_t *p, const uint64_t *q, const uint64_t *challenge, const uint64_t *lambda, int merge,
                            uint64_t *p_out, uint64_t *q_out) {
    struct fraction_round round = {
        .p = p, .q = q, .p_out = p_out, .q_out = q_out, .challenge = challenge, .lambda = lambda, .merge = merge};
    OPS(fraction)->fraction_fold(&round, 0, 1);
    return ZKDS_OK;
}

int zkds_product_round(const uint64_t *q, const uint64_t *challenge, uint64_t *q_out, const uint64_t *lanes,
                       const uint64_t *rest, size_t rest_count, uint64_t *sums) {
    struct fraction_round round = {.q = q, .q_out = q_out, .challenge = challenge};
    return run_round(round, OPS(fraction)->product_round, lanes, rest, rest_count, sums);
}

/* Whether there are leaves for a round: `vectors` of them for each child of a parent. */
static int has_leaves(const zkds_leaves *leaves, size_t first_leaf, const uint64_t *challenge, size_t rest_count, size_t vectors) {
    if (rest_count > MAX_REST || first_leaf % 8) return 0;
    size_t parents = (size_t)(challenge ? 4 : 2) << rest_count;
    return leaves_cover(leaves, first_leaf, first_leaf + 8 * vectors * 2 * parents);
}

int zkds_leaf_parents_round(const zkds_leaves *leaves, size_t first_leaf, const uint64_t *challenge, const uint64_t *lambda,
                            uint64_t *p_out, uint64_t *q_out, const uint64_t *lanes, const uint64_t *rest, size_t rest_count,
                            uint64_t *sums) {
    if (!has_leaves(leaves, first_leaf, challenge, rest_count, 2)) return ZKDS_BAD_ARGUMENT;
    struct fraction_round round = {.leaves = leaves, .first_vector = first_leaf / 8, .p_out = p_out, .q_out = q_out,
                                   .challenge = challenge, .lambda = lambda, .merge = 1};
    return run_round(round, OPS(fraction)->fraction_round, lanes, rest, rest_count, sums);
}

int zkds_leaf_round(const zkds_leaves *leaves, size_t first_leaf, const uint64_t *challenge, uint64_t *q_out,
                    const uint64_t *lanes, const uint64_t *rest, size_t rest_count, uint64_t *sums) {
    if (!has_leaves(leaves, first_leaf, challenge, rest_count, 1)) return ZKDS_BAD_ARGUMENT;
    struct fraction_round round = {
        .leaves = leaves, .first_vector = first_leaf / 8, .q_out = q_out, .challenge = challenge};
    return run_round(round, OPS(fraction)->product_round, lanes, rest, rest_count, sums);
}

int zkds_product_last_fold(const uint64_t *q, const uint64_t *challenge, uint64_t *q_out) {
    struct fraction_round round = {.q = q, .q_out = q_out, .challenge = challenge};
    OPS(fraction)->product_fold(&round, 0, 1);
    return ZKDS_OK;
}
