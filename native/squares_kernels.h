/* Polynomials of SQUARES_LANES entries side by side; a row of lanes for each coefficient. Doubles hold integers below 2^53, so that
 * their products and sums are exact in any order. */
#if defined(ZKDS_BUILD_AVX512)
#define SQUARES_WIDTH 8
#elif defined(ZKDS_BUILD_AVX2)
#define SQUARES_WIDTH 4
#else
#define SQUARES_WIDTH 2
#endif
#define SQUARES_VECTORS (SQUARES_LANES / SQUARES_WIDTH)
#define SQUARES_TILE 5
#define SQUARES_STRIP 12 /* accumulators of a product */
#define SQUARES_PAIR 2

typedef double D __attribute__((vector_size(8 * SQUARES_WIDTH)));
typedef int32_t DInt __attribute__((vector_size(4 * SQUARES_WIDTH)));
typedef int32_t Pairs __attribute__((vector_size(8 * SQUARES_WIDTH)));
typedef uint32_t PairsBits __attribute__((vector_size(8 * SQUARES_WIDTH)));
typedef int16_t S __attribute__((vector_size(8 * SQUARES_WIDTH)));
typedef int8_t Bytes __attribute__((vector_size(8 * SQUARES_WIDTH)));
typedef int8_t HalfBytes __attribute__((vector_size(4 * SQUARES_WIDTH)));
#define SHORTS ((int)(sizeof(S) / sizeof(int16_t)))
#define BYTES ((int)sizeof(Bytes))

INLINE D d_mul_add(D a, D b, D c) {
#ifdef ZKDS_BUILD_AVX512
    return (D)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#else
    return a * b + c;
#endif
}
INLINE D d_load(const double *from) {
    D x;
    memcpy(&x, from, sizeof x);
    return x;
}
INLINE void d_store(double *to, D x) { memcpy(to, &x, sizeof x); }
/* Lanes 0 or 1 times SQUARES_WIDTH and on. */
INLINE D d_half(Pairs x, int half) {
    DInt part;
    memcpy(&part, (const char *)&x + (size_t)half * sizeof part, sizeof part);
    return __builtin_convertvector(part, D);
}
/* Lane by lane c and the sum of two products of int16. */
INLINE Pairs pairs_dot_add(Pairs a, Pairs b, Pairs c) {
#if defined(ZKDS_BUILD_AVX512)
    return (Pairs)_mm512_dpwssd_epi32((__m512i)c, (__m512i)a, (__m512i)b);
#elif defined(ZKDS_BUILD_AVX2)
    return c + (Pairs)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return c + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}
/* The larger of |a| and b >= 0. */
INLINE Pairs pairs_largest(Pairs a, Pairs b) {
#if defined(ZKDS_BUILD_AVX512)
    return (Pairs)_mm512_max_epi32(_mm512_abs_epi32((__m512i)a), (__m512i)b);
#else
    const Pairs negative = a >> 31, size = (a ^ negative) - negative, larger = size > b;
    return (size & larger) | (b & ~larger);
#endif
}
INLINE S s_load(const int16_t *from) {
    S x;
    memcpy(&x, from, sizeof x);
    return x;
}

static void squares_multiply_add(const int16_t *factors, size_t factor_count, const int16_t *in, size_t in_count,
                                 int16_t (*out)[SQUARES_LANES]) {
    for (size_t i = 0; i < factor_count; i++) {
        if (!factors[i]) continue;
        const S factor = factors[i] - (S){0};
        for (size_t j = 0; j < in_count; j++) {
            int16_t *to = out[i + j];
            const int16_t *from = in + j * SQUARES_LANES;
            for (int x = 0; x < SQUARES_LANES; x += SHORTS) {
                const S sum = s_load(to + x) + factor * s_load(from + x);
                memcpy(to + x, &sum, sizeof sum);
            }
        }
    }
}

/* ---- sums of signed rows ------------------------------------------------------------------------------------------- */

#define SQUARES_ROUND 4 /* rows that are added at once */

INLINE Bytes bytes_load(const int8_t *from) {
    Bytes x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* out[j] += the rows j of the first `plus` sources less those of the others */
INLINE void add_rows(const int8_t *const *sources, int plus, int all, size_t rows, int8_t (*out)[SQUARES_LANES]) {
#pragma GCC unroll 4
    for (size_t j = 0; j < rows; j++)
        for (int x = 0; x < SQUARES_LANES; x += BYTES) {
            Bytes sum = bytes_load(out[j] + x);
#pragma GCC unroll 8
            for (int s = 0; s < all; s++) {
                const Bytes row = bytes_load(sources[s] + j * SQUARES_LANES + (size_t)x);
                sum = s < plus ? sum + row : sum - row;
            }
            memcpy(out[j] + x, &sum, sizeof sum);
        }
}

/* add_rows, compiled for each number of rows. */
static void add_some_rows(const int8_t *const *sources, size_t plus, size_t all, size_t rows, int8_t (*out)[SQUARES_LANES]) {
#define CASE(plus, minus)                                                                                              \
    case (SQUARES_ROUND + 1) * (plus) + (minus): add_rows(sources, plus, (plus) + (minus), rows, out); break;
    switch ((SQUARES_ROUND + 1) * plus + all - plus) {
        CASE(0, 1) CASE(0, 2) CASE(0, 3) CASE(0, 4) CASE(1, 0) CASE(1, 1) CASE(1, 2) CASE(1, 3) CASE(2, 0) CASE(2, 1)
        CASE(2, 2) CASE(3, 0) CASE(3, 1) CASE(4, 0)
    }
#undef CASE
}

/* out += rows, which become 0. */
static void move_rows(int8_t (*rows)[SQUARES_LANES], size_t count, int16_t (*out)[SQUARES_LANES]) {
    for (size_t j = 0; j < count; j++) {
        for (int x = 0; x < SQUARES_LANES; x += SHORTS) {
            HalfBytes row;
            memcpy(&row, rows[j] + x, sizeof row);
            const S sum = s_load(out[j] + x) + __builtin_convertvector(row, S);
            memcpy(out[j] + x, &sum, sizeof sum);
        }
        memset(rows[j], 0, sizeof rows[j]);
    }
}

/* A row that has been added to INT8_MAX times does not overflow. */
static void squares_add_signed(const struct squares_signs *signs, size_t sign_count, const int8_t *in, size_t in_count,
                               int8_t (*scratch)[SQUARES_LANES], int16_t (*out)[SQUARES_LANES]) {
    const uint32_t *which = signs->which;
    size_t added = 0;
    for (size_t i = 0; i < sign_count; i++)
        for (size_t done = 0, now; done < signs->all[i]; done += now, which += now) {
            const int8_t *sources[SQUARES_ROUND];
            now = signs->all[i] - done < SQUARES_ROUND ? signs->all[i] - done : SQUARES_ROUND;
            const size_t left = signs->plus[i] > done ? signs->plus[i] - done : 0, plus = left < now ? left : now;
            for (size_t s = 0; s < now; s++) sources[s] = in + which[s] * in_count * SQUARES_LANES;
            if (added + now > INT8_MAX) {
                move_rows(scratch, sign_count + in_count - 1, out);
                added = 0;
            }
            add_some_rows(sources, plus, now, in_count, scratch + i);
            added += now;
        }
    move_rows(scratch, sign_count + in_count - 1, out);
}

/* ---- products ------------------------------------------------------------------------------------------------------ */

/* Two int16 in a lane of 32 bits, `low` and `high` of the even ones or of the odd ones of SHORTS entries. */
INLINE Pairs pairs_of(const int16_t *low, const int16_t *high, int odd) {
    PairsBits a, b;
    memcpy(&a, low, sizeof a);
    memcpy(&b, high, sizeof b);
    return (Pairs)(odd ? (a >> 16) | (b & 0xffff0000) : (a & 0xffff) | (b << 16));
}

/* Two terms of a product at a time: factors (l_i, l_(i + 1)) times (r_j, r_(j - 1)), i even. SQUARES_STRIP coefficients from m on
 * at a time, of the rows that reach them; `right` has so many rows of zeros at both ends. */
INLINE Pairs squares_product_lanes(const Pairs *left, int left_count, const Pairs *right, int right_count, Pairs *out,
                                   Pairs largest) {
    for (int m = 0; m < left_count + right_count - 1; m += SQUARES_STRIP) {
        Pairs sum[SQUARES_STRIP] = {{0}};
        const int first = m < right_count ? 0 : (m - right_count + 1) / 2 * 2;
        const int last = m + SQUARES_STRIP < left_count ? m + SQUARES_STRIP : left_count;
        const Pairs *row = right + m - first;
        for (int i = first; i < last; i += 2, row -= 2) {
            const Pairs factor = left[i / 2];
#pragma GCC unroll 16
            for (int k = 0; k < SQUARES_STRIP; k++) sum[k] = pairs_dot_add(factor, row[k], sum[k]);
        }
#pragma GCC unroll 16
        for (int k = 0; k < SQUARES_STRIP; k++) {
            out[m + k] = sum[k];
            largest = pairs_largest(sum[k], largest);
        }
    }
    return largest;
}

static int32_t squares_product(const int16_t (*left)[SQUARES_LANES], size_t left_count, const int16_t (*right)[SQUARES_LANES],
                               size_t right_count, int32_t *out) {
    static const int16_t zero[SQUARES_LANES];
    Pairs a[SQUARES_TERMS / 2 + 1], b[SQUARES_TERMS + 2 * SQUARES_STRIP + 2];
    Pairs largest = {0};
    memset(b, 0, SQUARES_STRIP * sizeof *b);
    memset(b + SQUARES_STRIP + right_count + 1, 0, (SQUARES_STRIP + 1) * sizeof *b);
    for (int v = 0; v < SQUARES_VECTORS; v += 2) {
        const int x = v / 4 * SHORTS, odd = v / 2 % 2;
        for (size_t i = 0; i < left_count; i += 2)
            a[i / 2] = pairs_of(left[i] + x, (i + 1 < left_count ? left[i + 1] : zero) + x, odd);
        for (size_t j = 0; j <= right_count; j++)
            b[j + SQUARES_STRIP] = pairs_of((j < right_count ? right[j] : zero) + x, (j ? right[j - 1] : zero) + x, odd);
        Pairs *to = (Pairs *)out + v / 2 * SQUARES_PRODUCT;
        largest = squares_product_lanes(a, (int)left_count, b + SQUARES_STRIP, (int)right_count, to, largest);
    }
    int32_t most = 0;
    for (int x = 0; x < 2 * SQUARES_WIDTH; x++) most = largest[x] > most ? largest[x] : most;
    return most;
}

/* ---- squares ------------------------------------------------------------------------------------------------------- */

typedef D SquaresRow[SQUARES_PAIR];

/* sums[i + j] += twice the products of rows i of `left` and j of `right`, a tile of each; of a tile and itself (`same`) every
 * product of different rows twice. */
INLINE void squares_tile(const SquaresRow *left, const SquaresRow *right, int same, double (*sums)[8]) {
    D sum[2 * SQUARES_TILE - 1];
#pragma GCC unroll 16
    for (int k = 0; k < 2 * SQUARES_TILE - 1; k++) sum[k] = d_load(sums[k]);
#pragma GCC unroll 2
    for (int v = 0; v < SQUARES_PAIR; v++)
#pragma GCC unroll 8
        for (int i = 0; i < SQUARES_TILE; i++) {
            const D one = left[i][v], twice = one + one;
            if (same) sum[2 * i] = d_mul_add(one, one, sum[2 * i]);
#pragma GCC unroll 8
            for (int j = same ? i + 1 : 0; j < SQUARES_TILE; j++) sum[i + j] = d_mul_add(twice, right[j][v], sum[i + j]);
        }
#pragma GCC unroll 16
    for (int k = 0; k < 2 * SQUARES_TILE - 1; k++) d_store(sums[k], sum[k]);
}

static void squares_squares(const int32_t *p, size_t count, size_t part, squares_sums sums) {
    SquaresRow rows[SQUARES_PARTS][SQUARES_ROWS];
    memset(rows, 0, sizeof rows);
    for (int first = 0; first < SQUARES_VECTORS; first += SQUARES_PAIR) {
        const Pairs *from = (const Pairs *)p + first / 2 * SQUARES_PRODUCT;
        for (int v = 0; v < SQUARES_PAIR; v++)
            for (size_t i = 0; i < part; i++) {
                D x[4];
                for (size_t k = 0; k < 4; k++) x[k] = k * part + i < count ? d_half(from[k * part + i], v) : (D){0};
                const D low = x[0] + x[1], high = x[2] + x[3];
                const D parts[SQUARES_PARTS] = {x[0], x[1], low, x[2], x[3], high, x[0] + x[2], x[1] + x[3], low + high};
                for (int k = 0; k < SQUARES_PARTS; k++) rows[k][i][v] = parts[k];
            }
        for (int k = 0; k < SQUARES_PARTS; k++)
            for (size_t i = 0; i < part; i += SQUARES_TILE) {
                squares_tile(rows[k] + i, rows[k] + i, 1, sums[k] + 2 * i);
                for (size_t j = i + SQUARES_TILE; j < part; j += SQUARES_TILE)
                    squares_tile(rows[k] + i, rows[k] + j, 0, sums[k] + i + j);
            }
    }
}
static const int squares_width = SQUARES_WIDTH;
const struct squares_ops ISA(squares_ops) = {&squares_width, squares_multiply_add, squares_add_signed, squares_product,
                                             squares_squares};
