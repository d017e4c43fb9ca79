/* The kernels of the sumcheck family, one table per instruction set. */
#ifndef ZKDS_SUMCHECK_OPS_H
#define ZKDS_SUMCHECK_OPS_H
#include "runtime.h"
#include "field61.h"
#include "multilinear_ops.h" /* brings api/multilinear.h */
#include "api/sumcheck.h"

#define SUMCHECK_BLOCK_LOG 6
#define SUMCHECK_BLOCK ((size_t)1 << SUMCHECK_BLOCK_LOG) /* pairs of vectors that are bound and summed while in L1 */
#define SUMCHECK_NODES 4

struct sumcheck_round {
    const struct zkds_table *tables;
    size_t table_count;
    const struct zkds_term *terms;
    size_t term_count;
    int degree;
    const uint64_t *r; /* NULL: no binding */
    /* eq = low[pair in its block] high[block], high as (re, im); NULL: no weights */
    const KWeight *eq_low;
    const uint64_t *eq_high;
};

struct sumcheck_ops {
    /* Blocks from..to-1, in this order. sums: SUMCHECK_NODES vectors to add to; flags: table_count bytes of scratch. */
    void (*blocks)(const struct sumcheck_round *round, size_t from, size_t to, unsigned char *flags, uint64_t *sums);
};
ZKDS_DECLARE_OPS(sumcheck);

/* Degrees, and factors that name a table. */
int sumcheck_terms_are_valid(const struct zkds_term *terms, size_t term_count, size_t table_count, int degree);

/* The table after binding. */
static inline struct zkds_table sumcheck_bound(const struct zkds_table *table) {
    return (struct zkds_table){table->bound, table->bound, (table->length + 15) / 16 * 8, ZKDS_TABLE_K};
}
#endif
