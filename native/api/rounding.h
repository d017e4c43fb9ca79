/* Exact sums of integers, entry by entry, rounded once: what the fixed-point semantics computes beside matrix products. */

/* An int64 array of any strides: entry i of the shape lies at values[sum_d i_d strides[d]]. NULL: 0. */
struct zkds_strided {
    const int64_t *values;
    const int64_t *strides; /* (dimensions) */
};
/* hi 2^32 + lo + left right + addend 2^addend_shift at every entry of a shape, below 2^126 in absolute value. */
struct zkds_total {
    struct zkds_strided hi, lo, left, right, addend;
    int addend_shift;
};
/* With half = 2^(shift - 1), 1 <= shift <= 62, value = floor((total + half) / 2^shift), or the nearest int64, and remainder =
 * (total + half) mod 2^shift, in C order. No side of the shape is 0. */
int zkds_round(const struct zkds_total *total, const uint64_t *shape, size_t dimensions, int shift, int64_t *value,
               int64_t *remainder);

/* sum of squares = out[1] 2^64 + out[0], for |values| < 2^47 and fewer than 2^32 of them. */
int zkds_sum_of_squares(const int64_t *values, size_t count, uint64_t out[2]);

/* The least and the largest of at least one value. */
int zkds_range(const int64_t *values, size_t count, int64_t *least, int64_t *largest);
