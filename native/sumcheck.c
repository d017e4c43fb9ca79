/* Sumcheck rounds: the blocks of a round, split over threads. */
#include "sumcheck_ops.h"
#include "field61.h"

#define BLOCKS_PER_TASK 8
#define MAX_VARIABLES 40

struct sumcheck_job {
    const struct sumcheck_round *round;
    size_t first, last; /* blocks of this wave */
    unsigned char *flags;
    uint64_t *sums;
};

static void sumcheck_task(void *context, size_t task, int worker) {
    const struct sumcheck_job *job = context;
    size_t from = job->first + task * BLOCKS_PER_TASK;
    size_t to = job->last - from < BLOCKS_PER_TASK ? job->last : from + BLOCKS_PER_TASK;
    OPS(sumcheck)->blocks(job->round, from, to, job->flags + (size_t)worker * job->round->table_count,
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

/* eq weights of the pairs in a block, zero beyond the last variable, and of the blocks. One allocation, at *low. */
static int eq_weights(const uint64_t *point, size_t variables, K1 **low, K1 **high) {
    size_t low_variables = variables < SUMCHECK_BLOCK_LOG ? variables : SUMCHECK_BLOCK_LOG;
    size_t high_variables = variables - low_variables;
    *low = calloc(SUMCHECK_BLOCK + ((size_t)1 << high_variables), sizeof **low);
    if (!*low) return ZKDS_OUT_OF_MEMORY;
    *high = *low + SUMCHECK_BLOCK;
    k_eq_expand(point, low_variables, (K1){1, 0}, *low);
    k_eq_expand(point + 2 * low_variables, high_variables, (K1){1, 0}, *high);
    return ZKDS_OK;
}

static int arguments_are_valid(const struct sumcheck_round *round, size_t eq_variables, int weighted) {
    if (round->degree < 0 || round->degree > SUMCHECK_NODES || eq_variables > MAX_VARIABLES) return 0;
    for (size_t t = 0; t < round->term_count; t++) {
        const struct zkds_term *term = &round->terms[t];
        if (term->degree < 1 || term->degree > SUMCHECK_NODES) return 0;
        for (int j = 0; j < term->degree; j++)
            if (term->factors[j] < 0 || (size_t)term->factors[j] >= round->table_count) return 0;
    }
    for (size_t t = 0; t < round->table_count; t++) {
        const struct zkds_table *table = &round->tables[t];
        if (table->kind < ZKDS_TABLE_K || table->kind > ZKDS_TABLE_U32) return 0;
        if (table->kind == ZKDS_TABLE_K && table->length % 8 != 0) return 0;
    }
    return !weighted || block_count(round) <= ((size_t)1 << eq_variables) / SUMCHECK_BLOCK + 1;
}

int zkds_sumcheck_round(const struct zkds_table *tables, size_t table_count, const struct zkds_term *terms, size_t term_count,
                        int degree, const uint64_t *r, const uint64_t *eq_point, size_t eq_variables, uint64_t *message) {
    struct sumcheck_round round = {tables, table_count, terms, term_count, degree, r, NULL, NULL};
    if (!arguments_are_valid(&round, eq_variables, eq_point != NULL)) return ZKDS_BAD_ARGUMENT;
    size_t workers = (size_t)zkds_threads();
    K1 *low = NULL, *high = NULL;
    struct sumcheck_job job = {&round, 0, 0, malloc(workers * table_count + 1), calloc(workers * SUMCHECK_NODES * 16, 8)};
    int code = job.flags && job.sums ? ZKDS_OK : ZKDS_OUT_OF_MEMORY;
    if (code == ZKDS_OK && eq_point) code = eq_weights(eq_point, eq_variables, &low, &high);
    if (code == ZKDS_OK) {
        if (low) round.eq_low = &low->re;
        if (high) round.eq_high = &high->re;
        run_blocks(&job, block_count(&round));
        memset(message, 0, (size_t)degree * 16 * sizeof *message);
        for (size_t worker = 0; worker < workers; worker++)
            for (size_t i = 0; i < (size_t)degree * 16; i++)
                message[i] = f_add(message[i], job.sums[worker * SUMCHECK_NODES * 16 + i]);
    }
    free(low);
    free(job.flags);
    free(job.sums);
    return code;
}
