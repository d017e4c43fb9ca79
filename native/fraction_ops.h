/* The kernels of the fraction family, one table per instruction set. */
#ifndef ZKDS_FRACTION_OPS_H
#define ZKDS_FRACTION_OPS_H
#include "runtime.h"
#include "api/fraction.h"

/* One round of a layer's sumcheck; see api/fraction.h. The pairs of parents are numbered high * low_count + low, with
 * weight low_weights[low] * high_weights[high]. */
struct fraction_round {
    const uint64_t *p, *q;     /* input; p is NULL for the product term */
    const zkds_leaves *leaves; /* input instead: leaves as q, or their parents as fractions, from leaf vector first_vector */
    size_t first_vector;
    uint64_t *p_out, *q_out;   /* folded tables */
    const uint64_t *challenge; /* NULL: nothing to fold */
    const uint64_t *lambda;
    int merge;
    size_t low_count;
    const void *low_weights;      /* KWeight */
    const uint64_t *high_weights; /* pairs */
};

struct fraction_ops {
    void (*leaf_values)(const zkds_leaves *leaves, size_t vector, size_t vectors, uint64_t *q);
    void (*leaf_grandparents)(const zkds_leaves *leaves, size_t vector, size_t vectors, uint64_t *p, uint64_t *q);
    void (*parents)(const uint64_t *p, const uint64_t *q, size_t vectors, uint64_t *p_out, uint64_t *q_out);
    /* The high indices [from, to): sums[0..16) at 0 and sums[16..32) at infinity, one blocked K vector each. */
    void (*fraction_round)(const struct fraction_round *round, size_t from, size_t to, uint64_t *sums);
    void (*product_round)(const struct fraction_round *round, size_t from, size_t to, uint64_t *sums);
    /* Output parents [from, to). */
    void (*fraction_fold)(const struct fraction_round *round, size_t from, size_t to);
    void (*product_fold)(const struct fraction_round *round, size_t from, size_t to);
};
ZKDS_DECLARE_OPS(fraction);
#endif
