/* Sums of squares of products of two polynomials, entry by entry of a matrix (rows, columns), chunk by chunk:
 *
 *     w = scale sum_j weights_j X^(stride j) - sum_r (sum_i outer_ri X^i) (sum_j inner_rj X^j)         g = the same sum of others
 *     out[chunk][m] = coefficient m of the sum of (w g)^2 over the entries of the chunk
 *
 * An entry's number is row * columns + column; chunk c holds the numbers from c 2^chunk_log. columns is a power of two. */
struct zkds_low_rank {
    size_t rank, outer_digits, inner_digits;
    const int16_t *outer; /* row o: (rank, outer_digits) at outer + o * outer_row */
    size_t outer_row;
    const int16_t *inner; /* (rank, inner_digits, columns) */
};
struct zkds_product_squares {
    size_t rows, columns;
    const int16_t *weights; /* (rows, weight_digits, columns) */
    size_t weight_digits, stride;
    const int16_t *scale; /* (scale_terms) coefficients */
    size_t scale_terms;
    struct zkds_low_rank update, gradient;
    int chunk_log;
    size_t terms; /* of out: at least those of (w g)^2 */
};
enum { ZKDS_SQUARES_MAX_TERMS = 96 }; /* of w, of g */
/* The caller answers for this: no coefficient of w or g reaches 2^15, of their product 2^31, of a chunk's sum 2^63, even if the
 * terms of a sum had one sign. out: (chunks, terms). */
int zkds_product_squares(const struct zkds_product_squares *job, int64_t *out);
