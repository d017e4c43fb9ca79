/* Squares of products of integers of two limbs of 52 bits, eight side by side. Without instructions for such limbs nothing is done
 * here: 128-bit integers are as fast. */
#ifdef ZKDS_IFMA
#define WIDE_ROUND 1024 /* vectors: three limbs go to a lane's sum for each, and 3 2^10 2^52 < 2^64 */

/* Signed: low + 2^52 high. */
typedef struct {
    V low, high;
} Wide;

INLINE V wide_mask(void) { return v_set1((1ULL << WIDE_LIMB_BITS) - 1); }

/* Carries; low may have any sign before. */
INLINE Wide wide_carry(Wide x) {
    return (Wide){v_and(x.low, wide_mask()), v_add(x.high, _mm512_srai_epi64(x.low, WIDE_LIMB_BITS))};
}

/* The sum for eight columns from x on; bias: wide_bias. */
INLINE Wide wide_sum_at(const struct wide_sum *sum, size_t x, int128 bias) {
    Wide positive = {v_zero(), v_zero()}, negative = positive; /* of positive factors, and of negative ones */
    for (size_t r = 0; r < sum->rank; r++) {
        const int64_t left = sum->left[r * sum->pitch];
        if (left == 0) continue;
        const V right = v_load(sum->right + r * sum->columns + x);
        const V factor = v_set1((uint64_t)(left < 0 ? -left : left));
        if (left < 0)
            negative = (Wide){v_madd52lo(negative.low, factor, right), v_madd52hi(negative.high, factor, right)};
        else
            positive = (Wide){v_madd52lo(positive.low, factor, right), v_madd52hi(positive.high, factor, right)};
    }
    const uint64_t low = (uint64_t)bias & ((1ULL << WIDE_LIMB_BITS) - 1), high = (uint64_t)(bias >> WIDE_LIMB_BITS);
    return (Wide){v_sub(v_sub(positive.low, negative.low), v_set1(low)), v_sub(v_sub(positive.high, negative.high), v_set1(high))};
}

/* WIDE_BIAS sum of the left factors. */
static int128 wide_bias(const struct wide_sum *sum) {
    int128 total = 0;
    for (size_t r = 0; r < sum->rank; r++) total += sum->left[r * sum->pitch];
    return total * (int128)WIDE_BIAS;
}

INLINE Wide wide_magnitude(Wide x) {
    x = wide_carry(x);
    const V sign = _mm512_srai_epi64(x.high, 63); /* -x = ~x + 1 */
    const V low = v_add(_mm512_xor_si512(x.low, v_and(sign, wide_mask())), v_srl(sign, 63));
    return wide_carry((Wide){low, _mm512_xor_si512(x.high, sign)});
}

/* Sums of squares: limbs on the diagonal, and others, which count twice. */
struct wide_sums {
    V diagonal[WIDE_LIMBS], others[WIDE_LIMBS];
};

INLINE void wide_add_square(struct wide_sums *sums, Wide a, Wide b) {
    V p[4];
    p[0] = v_madd52lo(v_zero(), a.low, b.low);
    p[1] = v_madd52lo(v_madd52lo(v_madd52hi(v_zero(), a.low, b.low), a.low, b.high), a.high, b.low);
    p[2] = v_madd52lo(v_madd52hi(v_madd52hi(v_zero(), a.low, b.high), a.high, b.low), a.high, b.high);
    p[3] = v_madd52hi(v_zero(), a.high, b.high);
    p[2] = v_add(p[2], v_srl(p[1], WIDE_LIMB_BITS));
    p[3] = v_add(p[3], v_srl(p[2], WIDE_LIMB_BITS));
    p[1] = v_and(p[1], wide_mask());
    p[2] = v_and(p[2], wide_mask());
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        sums->diagonal[2 * i] = v_madd52lo(sums->diagonal[2 * i], p[i], p[i]);
        sums->diagonal[2 * i + 1] = v_madd52hi(sums->diagonal[2 * i + 1], p[i], p[i]);
#pragma GCC unroll 4
        for (int j = i + 1; j < 4; j++) {
            sums->others[i + j] = v_madd52lo(sums->others[i + j], p[i], p[j]);
            sums->others[i + j + 1] = v_madd52hi(sums->others[i + j + 1], p[i], p[j]);
        }
    }
}

static void wide_flush(const struct wide_sums *sums, uint128 *limbs) {
    for (int k = 0; k < WIDE_LIMBS; k++) {
        uint64_t diagonal[8], others[8];
        v_store(diagonal, sums->diagonal[k]);
        v_store(others, sums->others[k]);
        for (int lane = 0; lane < 8; lane++) limbs[k] += (uint128)diagonal[lane] + 2 * (uint128)others[lane];
    }
}

static size_t wide_squares_row(const int64_t *start, int shift, const struct wide_sum *moved, const struct wide_sum *gradient,
                               size_t count, uint128 *limbs) {
    const int128 moved_bias = wide_bias(moved), gradient_bias = wide_bias(gradient);
    const __m128i up = _mm_cvtsi32_si128(shift), down = _mm_cvtsi32_si128(WIDE_LIMB_BITS - shift);
    count = count / 8 * 8;
    for (size_t first = 0; first < count; first += 8 * WIDE_ROUND) {
        const size_t last = count - first < 8 * WIDE_ROUND ? count : first + 8 * WIDE_ROUND;
        struct wide_sums sums;
        memset(&sums, 0, sizeof sums);
        for (size_t x = first; x < last; x += 8) {
            const V values = v_load(start + x);
            const Wide away = wide_sum_at(moved, x, moved_bias), g = wide_sum_at(gradient, x, gradient_bias);
            const Wide w = {v_sub(v_and(_mm512_sll_epi64(values, up), wide_mask()), away.low),
                            v_sub(_mm512_sra_epi64(values, down), away.high)};
            wide_add_square(&sums, wide_magnitude(w), wide_magnitude(g));
        }
        wide_flush(&sums, limbs);
    }
    return count;
}
#else
static size_t wide_squares_row(const int64_t *start, int shift, const struct wide_sum *moved, const struct wide_sum *gradient,
                               size_t count, uint128 *limbs) {
    (void)start, (void)shift, (void)moved, (void)gradient, (void)count, (void)limbs;
    return 0;
}
#endif
const struct wide_squares_ops ISA(wide_squares_ops) = {wide_squares_row};
