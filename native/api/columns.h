/* Tensors of integers in the committed vector: digit by digit, each of them box by box (zkds/commit/layout.py).
 *
 * Digit j of a value v is floor((v + offset) / radix^j) mod radix; v + offset, modulo 2^64, is below `reach`, which is at most
 * radix^count and 2^63. 2 <= radix <= 2^32. */
struct zkds_digits {
    size_t count;
    uint64_t radix, offset, reach;
};
/* Box b has the entries starts[b] + x, 0 <= x < sides[b], of a tensor whose entry i lies at values[sum_d i_d strides[d]]. In
 * the vector they follow each other, the last dimension running fastest, digit j from cell places[j][b] on. Boxes don't overlap. */
struct zkds_boxes {
    size_t dimensions, count;
    const int64_t *strides; /* (dimensions) */
    const uint64_t *starts; /* (count, dimensions) */
    const uint64_t *sides;  /* (count, dimensions), none of them 0 */
    const uint64_t *places; /* (digits, count) */
};
enum { ZKDS_MAX_DIMENSIONS = 16, ZKDS_MAX_DIGITS = 64 };

/* *fits: whether all values did; if not, the cells are unspecified. */
int zkds_write_digits(const int64_t *values, const struct zkds_digits *digits, const struct zkds_boxes *boxes, uint32_t *vector,
                      int *fits);
/* values = sum_j digit_j radix^j - offset, modulo 2^64, from any cells. */
int zkds_read_digits(const uint32_t *vector, const struct zkds_digits *digits, const struct zkds_boxes *boxes, int64_t *values);

/* counts[cell] += 1 for all cells starts[r], ..., starts[r] + lengths[r] - 1 of the vector, r < runs. *found: whether all of
 * them are below `bound`; if not, counts are unspecified. */
int zkds_histogram(const uint32_t *vector, const uint64_t *starts, const uint64_t *lengths, size_t runs, uint32_t *counts,
                   size_t bound, int *found);
