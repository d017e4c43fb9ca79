/* Sumcheck rounds: the blocks of a round, split over threads. */
#include "sumcheck_ops.h"
#include "field61.h"

#define BLOCKS_PER_TASK 8
#define MAX_VARIABLES 40
#define LANE_VARIABLES 3

struct sumcheck_job {
    const struct sumcheck_round *round;
    size_t first, last; /* blocks of this wave */
    unsigned char *flags; /* flag_stride bytes a worker, on cache lines of their own */
    size_t flag_stride;
    uint64_t *sums;
};

static void sumcheck_task(void *context, size_t task, int worker) {
    const struct sumcheck_job *job = context;
    size_t from = job->first + task * BLOCKS_PER_TASK;
    size_t to = job->last - from < BLOCKS_PER_TASK ? job->last : from + BLOCKS_PER_TASK;
    OPS(sumcheck)->blocks(job->round, from, to, job->flags + (size_t)worker * job->flag_stride,
                          job->sums + (size_t)worker * SUMCHECK_NODES * 16);
}

static void run_wave(struct sumcheck_job *job, size_t first, size_t last) {
    job->first = first;
    job->last = last;
    zkds_parallel((last - first + BLOCKS_PER_TASK - 1) / BLOCKS_PER_TASK, sumcheck_task, job);
}

/* Binding in place, block b reads the vectors of blocks 2b and 2b + 1 and writes those of block b. So blocks first..last-1
 * may run in any order if last <= 2 first: all that they write has been read before. */
static void run_blocks(struct sumcheck_job *job, size_t blocks) {
    if (!job->round->r) {
        run_wave(job, 0, blocks);
        return;
    }
    size_t first = blocks < BLOCKS_PER_TASK ? blocks : BLOCKS_PER_TASK;
    run_wave(job, 0, first); /* one task, in increasing order */
    for (size_t last; first < blocks; first = last) {
        last = blocks - first < first ? blocks : 2 * first;
        run_wave(job, first, last);
    }
}

/* The number of blocks that hold all pairs of the tables, after binding if there is any. */
static size_t block_count(const struct sumcheck_round *round) {
    size_t pairs = 1;
    for (size_t t = 0; t < round->table_count; t++) {
        struct zkds_table table = round->tables[t];
        if (round->r) table = sumcheck_bound(&table);
        if ((table.length + 15) / 16 > pairs) pairs = (table.length + 15) / 16;
    }
    return (pairs + SUMCHECK_BLOCK - 1) / SUMCHECK_BLOCK;
}

/* eq weights of the pairs in a block and of the blocks, for the index bits above the one of this round. */
struct eq_weights {
    KWeight low[SUMCHECK_BLOCK];
    K1 *high;
};

static int eq_weights_init(struct eq_weights *eq, const uint64_t *point, size_t variables) {
    size_t low_variables = variables < SUMCHECK_BLOCK_LOG ? variables : SUMCHECK_BLOCK_LOG;
    size_t high_variables = variables - low_variables;
    K1 low[SUMCHECK_BLOCK];
    eq->high = malloc(((size_t)1 << high_variables) * sizeof *eq->high);
    if (!eq->high) return ZKDS_OUT_OF_MEMORY;
    k_eq_expand(point, low_variables, (K1){1, 0}, low);
    k_eq_expand(point + 2 * low_variables, high_variables, (K1){1, 0}, eq->high);
    for (size_t w = 0; w < (size_t)1 << low_variables; w++) eq->low[w] = k_weight(low[w]);
    return ZKDS_OK;
}

int sumcheck_terms_are_valid(const struct zkds_term *terms, size_t term_count, size_t table_count, int degree) {
    for (size_t t = 0; t < term_count; t++) {
        if (terms[t].degree < 1 || terms[t].degree > SUMCHECK_NODES) return 0;
        for (int j = 0; j < terms[t].degree; j++)
            if (terms[t].factors[j] < 0 || (size_t)terms[t].factors[j] >= table_count) return 0;
    }
    return degree >= 0 && degree <= SUMCHECK_NODES;
}

/* Every table fits the variables from `bit` on: 2^(variables - bit) vectors before this round's binding (of bit - 1). */
static int tables_are_valid(const struct sumcheck_round *round, size_t variables, size_t bit) {
    if (variables > MAX_VARIABLES || bit < LANE_VARIABLES || bit > variables) return 0;
    size_t capacity = (size_t)8 << (variables - bit + (round->r ? 1 : 0));
    for (size_t t = 0; t < round->table_count; t++) {
        const struct zkds_table *table = &round->tables[t];
        if (table->kind < ZKDS_TABLE_K || table->kind > ZKDS_TABLE_U32 || table->length > capacity) return 0;
        if (table->kind == ZKDS_TABLE_K && table->length % 8 != 0) return 0;
        if (round->r && !table->bound) return 0;
    }
    return 1;
}

/* The workers' lane sums -> one scalar for each node. */
static void sum_lanes(const struct sumcheck_job *job, const uint64_t *eq_point, uint64_t *message) {
    K1 weights[8];
    if (eq_point) k_eq_expand(eq_point, LANE_VARIABLES, (K1){1, 0}, weights);
    for (int node = 0; node < job->round->degree; node++) {
        K1 total = {0, 0};
        for (int worker = 0; worker < zkds_threads(); worker++) {
            const uint64_t *sums = job->sums + 16 * (worker * SUMCHECK_NODES + node);
            for (int lane = 0; lane < 8; lane++) {
                K1 x = {sums[lane], sums[8 + lane]};
                total = k_add(total, eq_point ? k_mul(x, weights[lane]) : x);
            }
        }
        message[2 * node] = total.re;
        message[2 * node + 1] = total.im;
    }
}

int zkds_sumcheck_round(struct zkds_table *tables, size_t table_count, const struct zkds_term *terms, size_t term_count, int degree,
                        const uint64_t *r, const uint64_t *eq_point, size_t variables, size_t bit, uint64_t *message) {
    struct sumcheck_round round = {tables, table_count, terms, term_count, degree, r, NULL, NULL};
    if (!sumcheck_terms_are_valid(terms, term_count, table_count, degree) || !tables_are_valid(&round, variables, bit))
        return ZKDS_BAD_ARGUMENT;
    size_t workers = (size_t)zkds_threads(), stride = (table_count + 127) / 64 * 64;
    struct eq_weights eq = {.high = NULL};
    struct sumcheck_job job = {&round, 0, 0, malloc(workers * stride), stride, calloc(workers * SUMCHECK_NODES * 16, 8)};
    int code = job.flags && job.sums ? ZKDS_OK : ZKDS_OUT_OF_MEMORY;
    if (code == ZKDS_OK && eq_point && degree > 0) {
        code = eq_weights_init(&eq, eq_point + 2 * (bit + 1), variables - bit - 1);
        round.eq_low = eq.low;
        round.eq_high = &eq.high[0].re;
    }
    if (code == ZKDS_OK) {
        run_blocks(&job, block_count(&round));
        sum_lanes(&job, eq_point, message);
        for (size_t t = 0; r && t < table_count; t++) tables[t] = sumcheck_bound(&tables[t]);
    }
    free(eq.high);
    free(job.flags);
    free(job.sums);
    return code;
}
