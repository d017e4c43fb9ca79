/* Trees of fractions and the sumchecks of their layers (LogUp-GKR).
 *
 * A level of a tree is a pair of blocked K tables, numerators p and denominators q. The children of node vector v are the
 * adjacent vectors 2v and 2v + 1 of the level below: (p, q) = (p0 q1 + p1 q0, q0 q1). The lowest level of the lookup side,
 * the leaves, has p = 1 and q formed on the fly from the uint32 cells; neither it nor the level above is ever stored.
 *
 * A round takes the parents in pairs (2w, 2w + 1), the two values of the variable to be bound, and returns
 * sum over w and lanes of eq(rest, w) eq(lanes, lane) term at 0 and at infinity: four numbers, (re, im) of each. `rest` holds
 * rest_count coordinates, one for each bit of w, and `lanes` three; (re, im) pairs, canonical.
 */
typedef struct {
    uint64_t first, end;    /* leaves [first, end) of the whole leaf space */
    uint64_t re, im;        /* alpha - beta tag */
    uint64_t width;         /* columns of the tuple: 1 to 3; 0: a public row that reads no cell */
    uint64_t second, third; /* cells at which the second and third columns begin */
} zkds_leaf_segment;

/* q = constant - v0 - beta2 v1 - beta3 v2 for the leaves of the segments: sorted, contiguous, covering all that is asked for.
 * v0 is the cell of the leaf's own index. `shift` is added to every leaf. */
typedef struct {
    const uint32_t *cells;
    const zkds_leaf_segment *segments;
    size_t segment_count;
    uint64_t beta2[2], beta3[2], shift[2];
} zkds_leaves;

/* q of `vectors` leaf vectors from leaf first_leaf, a multiple of 8. */
int zkds_leaf_values(const zkds_leaves *leaves, size_t first_leaf, size_t vectors, uint64_t *q);
/* Levels of a tree, from the lowest: p[j] and q[j] have `vectors` >> j vectors, `vectors` a power of two, at least one each.
 * Level 0 is formed from the leaves, its children's children (four leaf vectors for each of its vectors), or given if `leaves`
 * is NULL. */
int zkds_fraction_levels(const zkds_leaves *leaves, size_t first_leaf, uint64_t *const *p, uint64_t *const *q, size_t levels,
                         size_t vectors);

/* A round of term = p0 q1 + q0 (p1 + lambda q1). Without `challenge`: evaluates (p, q), which has 2^(rest_count + 1) parents.
 * With it: first folds the previous variable, from 2^(rest_count + 2) parents into (p_out, q_out), then evaluates those.
 * `merge`: p1 is still without lambda q1; the fold puts it in. */
int zkds_fraction_round(const uint64_t *p, const uint64_t *q, const uint64_t *challenge, const uint64_t *lambda, int merge,
                        uint64_t *p_out, uint64_t *q_out, const uint64_t *lanes, const uint64_t *rest, size_t rest_count,
                        uint64_t *sums);
/* The same for a layer whose children are the parents of leaves, formed from the leaves from first_leaf; p1 without lambda q1. */
int zkds_leaf_parents_round(const zkds_leaves *leaves, size_t first_leaf, const uint64_t *challenge, const uint64_t *lambda,
                            uint64_t *p_out, uint64_t *q_out, const uint64_t *lanes, const uint64_t *rest, size_t rest_count,
                            uint64_t *sums);
/* The last fold: two parents into one. */
int zkds_fraction_last_fold(const uint64_t *p, const uint64_t *q, const uint64_t *challenge, const uint64_t *lambda, int merge,
                            uint64_t *p_out, uint64_t *q_out);

/* The same for term = q0 q1; the leaf form reads the leaves from first_leaf instead of a table. */
int zkds_product_round(const uint64_t *q, const uint64_t *challenge, uint64_t *q_out, const uint64_t *lanes,
                       const uint64_t *rest, size_t rest_count, uint64_t *sums);
int zkds_leaf_round(const zkds_leaves *leaves, size_t first_leaf, const uint64_t *challenge, uint64_t *q_out,
                    const uint64_t *lanes, const uint64_t *rest, size_t rest_count, uint64_t *sums);
int zkds_product_last_fold(const uint64_t *q, const uint64_t *challenge, uint64_t *q_out);
