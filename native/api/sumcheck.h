/* The rounds of a sumcheck that bind the variables of the vectors (index bits 3 and up). */

/* `length` elements, zero beyond: kind ZKDS_TABLE_K (blocked, length a multiple of 8), ZKDS_TABLE_F or ZKDS_TABLE_U32.
 * `bound` receives the K table with one variable less, ceil(length / 16) vectors; it may be `entries` itself (kind K). */
struct zkds_table {
    const void *entries;
    uint64_t *bound;
    size_t length;
    int kind;
};
/* coefficient * prod of `degree` tables, 1 <= degree <= 4 */
struct zkds_term {
    uint64_t coefficient[2];
    int32_t factors[4];
    int32_t degree;
};

/* Bind the lowest vector variable of every table to r (NULL: bind nothing, the first round; otherwise each table describes its
 * bound self afterwards), then sum the terms over all pairs of vectors (low, high) of the tables so obtained:
 *
 *   message[k] = sum over pairs and lanes of eq * sum_t coefficient_t prod_j (value at node k of table_j's pair),    k < degree,
 *
 * nodes in the order 0, infinity (high - low; only terms of this degree count), 2, 3; `degree` scalars (re, im). degree 0 only
 * binds. eq_point: (re, im) for all `variables` index bits of the sumcheck, NULL: no eq factor. The weights are those of the
 * bits 0, 1, 2 and of the bits above `bit`, the one that this round is about. Adjacent terms of equal coefficient share its
 * multiplication. */
int zkds_sumcheck_round(struct zkds_table *tables, size_t table_count, const struct zkds_term *terms, size_t term_count, int degree,
                        const uint64_t *r, const uint64_t *eq_point, size_t variables, size_t bit, uint64_t *message);

/* The rounds inside the vectors, once every table is one vector of K: `vectors` holds table_count of them, and the first 2^lanes
 * entries of each are its table. Bind index bit bit - 1 to r (NULL: nothing, the first round): entry x <- entry 2x + r (entry
 * 2x + 1 - entry 2x), in place; then the sums of the round for `bit`, as above; bit = lanes only binds, and entry 0 is the value.
 * eq_point: (re, im) for the index bits 0..lanes-1, or NULL. */
int zkds_sumcheck_lane_round(uint64_t *vectors, size_t table_count, const struct zkds_term *terms, size_t term_count, int degree,
                             const uint64_t *r, const uint64_t *eq_point, size_t lanes, size_t bit, uint64_t *message);
