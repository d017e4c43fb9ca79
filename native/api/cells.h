/* The committed vector (uint32 cells) against sums of eq weights on aligned subcubes: the batching sumcheck.
 *
 * Pairs are (real, imaginary). Piece j gives the cells offsets[j] + x, 0 <= x < 2^a, a = firsts[j + 1] - firsts[j], the
 * weights claim_weights[claims[j]] * scales[j] * eq(coordinates[firsts[j] .. firsts[j + 1]], x). offsets[j] is a multiple of 2^a,
 * a <= 40 and the piece ends at or before 2^40. V is zero at and beyond `cells`, any number. */
struct zkds_pieces {
    size_t count;
    const uint64_t *offsets;       /* (count) */
    const uint64_t *firsts;        /* (count + 1) */
    const uint64_t *coordinates;   /* (firsts[count], 2) */
    const uint64_t *scales;        /* (count, 2) */
    const uint32_t *claims;        /* (count) */
    const uint64_t *claim_weights; /* (claims, 2) */
};

/* form (2^streamed, 2^streamed, 2): entry (i, j) is the sum over all x that are 0 in the index bits 3 .. 3 + streamed - 1 of
 * V[x + 8 i] W[x + 8 j]; 1 <= streamed <= 6. */
int zkds_cells_correlate(const uint32_t *vector, size_t cells, int streamed, const struct zkds_pieces *pieces, uint64_t *form);
/* V with the index bits 3 .. 3 + streamed - 1 bound to point (streamed, 2): table blocked (vectors, 2, 8), 0 <= streamed <= 6. */
int zkds_cells_fold(const uint32_t *vector, size_t cells, int streamed, const uint64_t *point, uint64_t *table, size_t vectors);
/* W with the same bits bound: table blocked (vectors, 2, 8); no piece may reach beyond it. */
int zkds_cells_weights(const struct zkds_pieces *pieces, int streamed, const uint64_t *point, uint64_t *table, size_t vectors);
/* value (2): the multilinear extension of W at point (variables, 2), 0 <= variables <= 40; no piece may end beyond 2^variables. */
int zkds_cells_evaluate(const struct zkds_pieces *pieces, const uint64_t *point, int variables, uint64_t *value);
/* The weights of the binary boxes of a tensor (docs/protocol.md, section 4) at a point: dimension d has lengths[d] >= 1 indices and
 * the next ceil(log2 lengths[d]) coordinates of point, lowest index bit first. A box of starts s and sides 2^a weighs
 * prod_d eq(point_d[a_d:], s_d >> a_d). result (count, boxes, 2): scales (count, 2) times these, boxes in their order. */
int zkds_box_weights(
    const uint64_t *lengths, size_t dimensions, const uint64_t *point, const uint64_t *scales, size_t count, uint64_t *result);
