/* Exact products of integer matrices. An array of int64 becomes a matrix by two tables of offsets (entries may repeat: a
 * convolution's windows are such a matrix): entry (r, c) of batch number i is values[i * batch + row[r] + column[c]]. */
struct zkds_view {
    size_t rows, columns;
    const int64_t *row, *column;
    size_t batch;
};
/* An array, and the width of its entries: all of them are at least -2^bits, or 0 if they are unsigned, and below 2^bits, or the
 * product is refused. */
struct zkds_factor {
    const int64_t *values;
    struct zkds_view view;
    int bits, is_unsigned;
};

enum { ZKDS_EXACT_WIDE_BITS = 51, ZKDS_EXACT_DIGIT_BITS = 31, ZKDS_EXACT_MAX_DIGITS = 64 };

/* value = left @ right, hi 2^32 + lo = value, 0 <= lo < 2^32; a value beyond +-2^94 becomes +-2^94. Widths up to 51 bits;
 * columns of left * 2^(left bits + right bits) at most 2^113. */
int zkds_exact_wide(const struct zkds_factor *left, const struct zkds_factor *right, size_t batches,
                    const struct zkds_view *out, int64_t *hi, int64_t *lo);
/* out[d] = sum over i + j = d of left[i] @ right[j] for d < digits. Views are the same for all left[i], and for all
 * right[j]; up to 31 bits, and all sums below 2^63; at most 64 factors on a side and 128 sums. */
int zkds_exact_digits(const struct zkds_factor *left, size_t left_digits, const struct zkds_factor *right, size_t right_digits,
                      size_t batches, const struct zkds_view *out, int64_t *const *sums, size_t digits);
