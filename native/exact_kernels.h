/* Tiles of exact matrix products: a few rows times one or two vectors of columns, the sums in registers.
 *
 * Wide entries are biased to 52 unsigned bits, so that a product is two instructions where there is IFMA: its low and its high
 * 52 bits, added up in two 64-bit lanes. Elsewhere it is four products of 26-bit halves in three sums. Digits are signed 32-bit
 * numbers: one product, one addition. */
#if defined(ZKDS_IFMA)
#define EXACT_WIDE_ROWS 6 /* 24 of 32 registers hold sums */
#define EXACT_DIGIT_ROWS 8
#else
#define EXACT_WIDE_ROWS 2
#define EXACT_DIGIT_ROWS 4
#endif

#define EXACT_MERGED 3 /* runs of a vector, beyond which its lanes are packed one by one */

/* What a packing adds to every entry, and the terms that it takes. */
struct exact_terms {
    const int64_t *offsets;
    size_t count;
    uint64_t bias, limit;
};

/* A vector of columns in a few runs. */
INLINE uint64_t exact_pack_vector(const int64_t *values, const struct exact_terms *terms, const struct exact_run *runs,
                                  size_t run_count, size_t width, uint64_t *out, uint64_t *sums) {
    const V bias = v_set1(terms->bias), limit = v_set1(terms->limit);
    V seen = v_zero(), sum = v_zero();
    uint64_t lanes[8], any = 0;
    for (size_t k = 0; k < terms->count; k++, out += width) {
        const int64_t *from = values + terms->offsets[k];
        V value = v_zero();
        if (runs[0].length == 8)
            value = v_load(from + runs[0].offset);
        else
            for (size_t r = 0; r < run_count; r++) {
                const unsigned mask = (1u << runs[r].length) - 1, first = (unsigned)(runs[r].lane % 8);
                value = v_merge(value, mask << first, (const uint64_t *)from + (runs[r].offset - (int64_t)first));
            }
        const V biased = v_add(value, bias);
        seen = v_or(seen, v_add(value, limit));
        sum = v_add(sum, biased);
        v_store(out, biased);
    }
    v_store(sums, sum);
    v_store(lanes, seen);
    for (int i = 0; i < 8; i++) any |= lanes[i];
    return any;
}

static uint64_t exact_pack_lane(const int64_t *values, const struct exact_terms *terms, size_t width, uint64_t *out,
                                uint64_t *lane_sum) {
    uint64_t seen = 0, sum = 0;
    for (size_t k = 0; k < terms->count; k++, out += width) {
        const uint64_t value = (uint64_t)values[terms->offsets[k]], biased = value + terms->bias;
        seen |= value + terms->limit;
        sum += biased;
        *out = biased;
    }
    *lane_sum = sum;
    return seen;
}

static uint64_t exact_pack(const int64_t *values, const int64_t *offsets, size_t terms, const struct exact_run *runs,
                           size_t run_count, size_t width, uint64_t bias, uint64_t limit, uint64_t *out, uint64_t *sums) {
    const struct exact_terms all = {offsets, terms, bias, limit};
    uint64_t seen = 0;
    for (size_t r = 0, count; r < run_count; r += count) {
        const size_t vector = runs[r].lane / 8;
        uint64_t *to = out + 8 * vector, *sum = sums + 8 * vector;
        for (count = 1; r + count < run_count && runs[r + count].lane / 8 == vector;) count++;
        if (width < 8 || count > EXACT_MERGED) {
            for (size_t i = r; i < r + count; i++)
                for (size_t lane = 0; lane < runs[i].length; lane++)
                    seen |= exact_pack_lane(values + runs[i].offset + lane, &all, width, out + runs[i].lane + lane,
                                            sums + runs[i].lane + lane);
        } else if (runs[r].length == 8) {
            seen |= exact_pack_vector(values, &all, &(struct exact_run){0, 8, runs[r].offset}, 1, width, to, sum);
        } else if (count == 2) {
            seen |= exact_pack_vector(values, &all, runs + r, 2, width, to, sum);
        } else {
            seen |= exact_pack_vector(values, &all, runs + r, count, width, to, sum);
        }
    }
    return seen;
}

/* low + 2^52 high = the sum of products a b of biased entries, a = left + 2^51: with the sums of both,
 * sum left right = low + 2^51 (2 high - sum a - sum b + 2^51 terms), and the bracket fits an int64. */
INLINE void exact_wide_add(V low, V high, V sums, V constant, int64_t *quotient, uint64_t *remainder) {
    V q = v_add(v_sub(v_add(high, high), sums), v_add(constant, v_srl(low, EXACT_WIDE_BITS)));
    v_store(quotient, v_add(v_load(quotient), q));
    v_store(remainder, v_add(v_load(remainder), v_and(low, v_set1(EXACT_QUOTIENT - 1))));
}

INLINE void exact_wide_tile(const uint64_t *left, const uint64_t *left_sums, int rows, const uint64_t *right,
                            const uint64_t *right_sums, int vectors, size_t terms, int64_t *quotient, uint64_t *remainder,
                            size_t pitch) {
    const V constant = v_set1((uint64_t)terms << EXACT_WIDE_BITS);
#if defined(ZKDS_IFMA)
    V low[EXACT_WIDE_ROWS][2], high[EXACT_WIDE_ROWS][2];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) low[r][v] = high[r][v] = v_zero();
    for (size_t k = 0; k < terms; k++, left += EXACT_WIDE_ROWS, right += 8 * vectors) {
        V b[2];
        for (int v = 0; v < vectors; v++) b[v] = v_load(right + 8 * v);
        for (int r = 0; r < rows; r++) {
            const V a = v_set1(left[r]);
            for (int v = 0; v < vectors; v++) {
                low[r][v] = v_madd52lo(low[r][v], a, b[v]);
                high[r][v] = v_madd52hi(high[r][v], a, b[v]);
            }
        }
    }
#else
    const V mask = v_set1((1 << 26) - 1);
    V low[EXACT_WIDE_ROWS][2], middle[EXACT_WIDE_ROWS][2], high[EXACT_WIDE_ROWS][2];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) low[r][v] = middle[r][v] = high[r][v] = v_zero();
    for (size_t k = 0; k < terms; k++, left += EXACT_WIDE_ROWS, right += 8 * vectors)
        for (int v = 0; v < vectors; v++) {
            const V b = v_load(right + 8 * v), b0 = v_and(b, mask), b1 = v_srl(b, 26);
            for (int r = 0; r < rows; r++) {
                const V a0 = v_set1(left[r] & ((1 << 26) - 1)), a1 = v_set1(left[r] >> 26);
                low[r][v] = v_add(low[r][v], v_mul32(a0, b0));
                middle[r][v] = v_add(middle[r][v], v_add(v_mul32(a0, b1), v_mul32(a1, b0)));
                high[r][v] = v_add(high[r][v], v_mul32(a1, b1));
            }
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            low[r][v] = v_add(low[r][v], v_sll(v_and(middle[r][v], mask), 26));
            high[r][v] = v_add(high[r][v], v_srl(middle[r][v], 26));
        }
#endif
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            const V sums = v_add(v_set1(left_sums[r]), v_load(right_sums + 8 * v));
            exact_wide_add(low[r][v], high[r][v], sums, constant, quotient + (size_t)r * pitch + 8 * v,
                           remainder + (size_t)r * pitch + 8 * v);
        }
}

INLINE void exact_digit_tile(const uint64_t *left, int rows, const uint64_t *right, int vectors, size_t terms, uint64_t *sums,
                             size_t pitch) {
    V total[EXACT_DIGIT_ROWS][2];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) total[r][v] = v_load(sums + (size_t)r * pitch + 8 * v);
    for (size_t k = 0; k < terms; k++, left += EXACT_DIGIT_ROWS, right += 8 * vectors) {
        V b[2];
        for (int v = 0; v < vectors; v++) b[v] = v_load(right + 8 * v);
        for (int r = 0; r < rows; r++) {
            const V a = v_set1(left[r]);
            for (int v = 0; v < vectors; v++) total[r][v] = v_add(total[r][v], v_mul32s(a, b[v]));
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) v_store(sums + (size_t)r * pitch + 8 * v, total[r][v]);
}

/* One copy of a tile for each number of rows, so that its sums are registers. */
#define EXACT_CASE(n, tile)                                                                                            \
    case n:                                                                                                            \
        tile(n);                                                                                                       \
        break;
#define EXACT_WIDE_CASE(n)                                                                                             \
    if (vectors == 2)                                                                                                  \
        exact_wide_tile(left, left_sums, n, right, right_sums, 2, terms, quotient, remainder, pitch);                  \
    else                                                                                                               \
        exact_wide_tile(left, left_sums, n, right, right_sums, 1, terms, quotient, remainder, pitch)
#define EXACT_DIGIT_CASE(n)                                                                                            \
    if (vectors == 2)                                                                                                  \
        exact_digit_tile(left, n, right, 2, terms, sums, pitch);                                                       \
    else                                                                                                               \
        exact_digit_tile(left, n, right, 1, terms, sums, pitch)

static void exact_wide(const uint64_t *left, const uint64_t *left_sums, int rows, const uint64_t *right,
                       const uint64_t *right_sums, int vectors, size_t terms, int64_t *quotient, uint64_t *remainder,
                       size_t pitch) {
    switch (rows) {
        EXACT_CASE(1, EXACT_WIDE_CASE)
        EXACT_CASE(2, EXACT_WIDE_CASE)
#if EXACT_WIDE_ROWS > 2
        EXACT_CASE(3, EXACT_WIDE_CASE)
        EXACT_CASE(4, EXACT_WIDE_CASE)
        EXACT_CASE(5, EXACT_WIDE_CASE)
        EXACT_CASE(6, EXACT_WIDE_CASE)
#endif
    default:
        break;
    }
}

static void exact_digits(const uint64_t *left, int rows, const uint64_t *right, int vectors, size_t terms, uint64_t *sums,
                         size_t pitch) {
    switch (rows) {
        EXACT_CASE(1, EXACT_DIGIT_CASE)
        EXACT_CASE(2, EXACT_DIGIT_CASE)
        EXACT_CASE(3, EXACT_DIGIT_CASE)
        EXACT_CASE(4, EXACT_DIGIT_CASE)
#if EXACT_DIGIT_ROWS > 4
        EXACT_CASE(5, EXACT_DIGIT_CASE)
        EXACT_CASE(6, EXACT_DIGIT_CASE)
        EXACT_CASE(7, EXACT_DIGIT_CASE)
        EXACT_CASE(8, EXACT_DIGIT_CASE)
#endif
    default:
        break;
    }
}
#undef EXACT_CASE
#undef EXACT_WIDE_CASE
#undef EXACT_DIGIT_CASE

static const struct exact_shape exact_shape = {EXACT_WIDE_ROWS, EXACT_DIGIT_ROWS};
const struct exact_ops ISA(exact_ops) = {&exact_shape, exact_pack, exact_wide, exact_digits};
