/* A matrix left^T right: left (rank, rows), right (rank, columns), row-major; entries below 2^51 in absolute value. */
struct zkds_outer {
    const int64_t *left, *right;
    size_t rank;
};

enum { ZKDS_SQUARES_WORDS = 9, ZKDS_SQUARES_FACTOR_BITS = 51, ZKDS_SQUARES_MAX_RANK = 4096, ZKDS_SQUARES_MAX_START_BITS = 100 };

/* sum over all entries of (w g)^2, exactly: w = 2^shift start - moved, g = gradient; start (rows, columns), row-major. The sum has
 * 9 words, lowest first: below 2^102 4096 = 2^114 each and 2^100 more, w and g are below 2^115, a square is below 2^460, and so
 * many as fit a memory add 64 bits at most. Nothing is computed for a larger entry, rank or |2^shift start|. */
int zkds_sum_of_squared_products(const int64_t *start, size_t rows, size_t columns, int shift, const struct zkds_outer *moved,
                                 const struct zkds_outer *gradient, uint64_t *sum);
