/* Eight 64-bit lanes, AVX2: two 256-bit halves. One of three twins: see vec.h for the contract. */
#ifndef ZKDS_VEC_AVX2_H
#define ZKDS_VEC_AVX2_H
#include <immintrin.h>

typedef struct {
    __m256i lo, hi;
} V;

INLINE V v_load(const void *p) {
    const __m256i *q = (const __m256i *)p;
    return (V){_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
INLINE void v_store(void *p, V x) {
    __m256i *q = (__m256i *)p;
    _mm256_storeu_si256(q, x.lo);
    _mm256_storeu_si256(q + 1, x.hi);
}
INLINE __m256i v_merge_half(__m256i x, unsigned lanes, const uint64_t *p) {
    const __m256i bits = _mm256_set_epi64x(8, 4, 2, 1), chosen = _mm256_and_si256(_mm256_set1_epi64x((long long)lanes), bits);
    const __m256i mask = _mm256_cmpeq_epi64(chosen, bits);
    return _mm256_blendv_epi8(x, _mm256_maskload_epi64((const long long *)p, mask), mask);
}
INLINE V v_merge(V x, unsigned lanes, const uint64_t *p) {
    return (V){v_merge_half(x.lo, lanes & 15, p), v_merge_half(x.hi, lanes >> 4, p + 4)};
}
INLINE V v_load_u32(const uint32_t *p) {
    const __m128i *q = (const __m128i *)p;
    return (V){_mm256_cvtepu32_epi64(_mm_loadu_si128(q)), _mm256_cvtepu32_epi64(_mm_loadu_si128(q + 1))};
}
INLINE V v_set1(uint64_t x) {
    __m256i y = _mm256_set1_epi64x((long long)x);
    return (V){y, y};
}
INLINE V v_zero(void) { return (V){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE V v_add(V a, V b) { return (V){_mm256_add_epi64(a.lo, b.lo), _mm256_add_epi64(a.hi, b.hi)}; }
INLINE V v_sub(V a, V b) { return (V){_mm256_sub_epi64(a.lo, b.lo), _mm256_sub_epi64(a.hi, b.hi)}; }
INLINE V v_and(V a, V b) { return (V){_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)}; }
INLINE V v_or(V a, V b) { return (V){_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)}; }
#define v_srl(x, n) ((V){_mm256_srli_epi64((x).lo, (n)), _mm256_srli_epi64((x).hi, (n))})
#define v_sll(x, n) ((V){_mm256_slli_epi64((x).lo, (n)), _mm256_slli_epi64((x).hi, (n))})
INLINE V v_mul32(V a, V b) { return (V){_mm256_mul_epu32(a.lo, b.lo), _mm256_mul_epu32(a.hi, b.hi)}; }
INLINE V v_mul32s(V a, V b) { return (V){_mm256_mul_epi32(a.lo, b.lo), _mm256_mul_epi32(a.hi, b.hi)}; }
INLINE __m256i v_min_half(__m256i a, __m256i b) {
    const __m256i top = _mm256_set1_epi64x((long long)(1ULL << 63));
    __m256i greater = _mm256_cmpgt_epi64(_mm256_xor_si256(a, top), _mm256_xor_si256(b, top));
    return _mm256_blendv_epi8(a, b, greater);
}
INLINE V v_min(V a, V b) { return (V){v_min_half(a.lo, b.lo), v_min_half(a.hi, b.hi)}; }
INLINE V v_reverse(V x) { return (V){_mm256_permute4x64_epi64(x.hi, 0x1b), _mm256_permute4x64_epi64(x.lo, 0x1b)}; }
INLINE void v_prefetch(const void *p) { _mm_prefetch((const char *)p, _MM_HINT_T0); }
#endif
