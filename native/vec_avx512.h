/* Eight 64-bit lanes, AVX-512 (F, DQ, BW, VL, IFMA, VNNI). One of three twins: see vec.h for the contract. */
#ifndef ZKDS_VEC_AVX512_H
#define ZKDS_VEC_AVX512_H
#include <immintrin.h>

typedef __m512i V;
#define ZKDS_IFMA 1

INLINE V v_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE void v_store(void *p, V x) { _mm512_storeu_si512(p, x); }
INLINE V v_merge(V x, unsigned lanes, const uint64_t *p) { return _mm512_mask_loadu_epi64(x, (__mmask8)lanes, p); }
INLINE V v_load_u32(const uint32_t *p) { return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)p)); }
INLINE V v_set1(uint64_t x) { return _mm512_set1_epi64((long long)x); }
INLINE V v_zero(void) { return _mm512_setzero_si512(); }
INLINE V v_add(V a, V b) { return _mm512_add_epi64(a, b); }
INLINE V v_sub(V a, V b) { return _mm512_sub_epi64(a, b); }
INLINE V v_and(V a, V b) { return _mm512_and_si512(a, b); }
INLINE V v_or(V a, V b) { return _mm512_or_si512(a, b); }
#define v_srl(x, n) _mm512_srli_epi64((x), (n))
#define v_sll(x, n) _mm512_slli_epi64((x), (n))
INLINE V v_mul32(V a, V b) { return _mm512_mul_epu32(a, b); }
INLINE V v_mul32s(V a, V b) { return _mm512_mul_epi32(a, b); }
INLINE V v_min(V a, V b) { return _mm512_min_epu64(a, b); }
INLINE V v_reverse(V x) { return _mm512_permutexvar_epi64(_mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7), x); }
INLINE void v_prefetch(const void *p) { _mm_prefetch((const char *)p, _MM_HINT_T0); }
INLINE V v_madd52lo(V c, V a, V b) { return _mm512_madd52lo_epu64(c, a, b); }
INLINE V v_madd52hi(V c, V a, V b) { return _mm512_madd52hi_epu64(c, a, b); }
#endif
