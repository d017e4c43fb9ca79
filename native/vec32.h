/* Sixteen 32-bit lanes, `W`, for hashing sixteen messages at once, in the three twins of vec.h.
 *
 *   w_load, w_store, w_set1, w_add             w_rotr, w_srl, w_sll   by a constant
 *   w_xor3  a ^ b ^ c                          w_ch, w_maj     SHA-256's choice and majority
 *   w_split  two vectors of 64-bit lanes (lanes 0..7, 8..15) -> the words of their little-endian bytes, read big-endian
 */
#ifndef ZKDS_VEC32_H
#define ZKDS_VEC32_H
#include "vec.h"

#if defined(ZKDS_BUILD_AVX512)
typedef __m512i W;
INLINE W w_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
INLINE void w_store(uint32_t *p, W x) { _mm512_storeu_si512(p, x); }
INLINE W w_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
INLINE W w_add(W a, W b) { return _mm512_add_epi32(a, b); }
INLINE W w_xor3(W a, W b, W c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
INLINE W w_ch(W e, W f, W g) { return _mm512_ternarylogic_epi32(e, f, g, 0xca); }
INLINE W w_maj(W a, W b, W c) { return _mm512_ternarylogic_epi32(a, b, c, 0xe8); }
#define w_rotr(x, n) _mm512_ror_epi32((x), (n))
#define w_srl(x, n) _mm512_srli_epi32((x), (n))
#define w_sll(x, n) _mm512_slli_epi32((x), (n))
INLINE void w_split(V x, V y, W *first, W *second) {
    const __m512i bytes = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    x = _mm512_shuffle_epi8(x, bytes);
    y = _mm512_shuffle_epi8(y, bytes);
    *first = _mm512_permutex2var_epi32(x, even, y);
    *second = _mm512_permutex2var_epi32(x, odd, y);
}
#elif defined(ZKDS_BUILD_AVX2)
typedef struct {
    __m256i lo, hi;
} W;
INLINE W w_load(const uint32_t *p) {
    return (W){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8))};
}
INLINE void w_store(uint32_t *p, W x) {
    _mm256_storeu_si256((__m256i *)p, x.lo);
    _mm256_storeu_si256((__m256i *)(p + 8), x.hi);
}
INLINE W w_set1(uint32_t x) { return (W){_mm256_set1_epi32((int)x), _mm256_set1_epi32((int)x)}; }
INLINE W w_add(W a, W b) { return (W){_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
INLINE __m256i w_xor3_half(__m256i a, __m256i b, __m256i c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
INLINE __m256i w_ch_half(__m256i e, __m256i f, __m256i g) {
    return _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
}
INLINE __m256i w_maj_half(__m256i a, __m256i b, __m256i c) {
    return _mm256_xor_si256(b, _mm256_and_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(b, c)));
}
INLINE W w_xor3(W a, W b, W c) { return (W){w_xor3_half(a.lo, b.lo, c.lo), w_xor3_half(a.hi, b.hi, c.hi)}; }
INLINE W w_ch(W a, W b, W c) { return (W){w_ch_half(a.lo, b.lo, c.lo), w_ch_half(a.hi, b.hi, c.hi)}; }
INLINE W w_maj(W a, W b, W c) { return (W){w_maj_half(a.lo, b.lo, c.lo), w_maj_half(a.hi, b.hi, c.hi)}; }
INLINE __m256i w_rotr_half(__m256i x, int n) { return _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - n)); }
INLINE W w_rotr(W x, int n) { return (W){w_rotr_half(x.lo, n), w_rotr_half(x.hi, n)}; }
INLINE W w_srl(W x, int n) { return (W){_mm256_srli_epi32(x.lo, n), _mm256_srli_epi32(x.hi, n)}; }
INLINE W w_sll(W x, int n) { return (W){_mm256_slli_epi32(x.lo, n), _mm256_slli_epi32(x.hi, n)}; }
INLINE void w_split_half(V x, __m256i *first, __m256i *second) { /* eight lanes */
    const __m256i bytes = _mm256_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203, 0x0c0d0e0f, 0x08090a0b, 0x04050607,
                                           0x00010203);
    const __m256i apart = _mm256_set_epi32(7, 5, 3, 1, 6, 4, 2, 0);
    __m256i lo = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(x.lo, bytes), apart);
    __m256i hi = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(x.hi, bytes), apart);
    *first = _mm256_permute2x128_si256(lo, hi, 0x20);
    *second = _mm256_permute2x128_si256(lo, hi, 0x31);
}
INLINE void w_split(V x, V y, W *first, W *second) {
    w_split_half(x, &first->lo, &second->lo);
    w_split_half(y, &first->hi, &second->hi);
}
#else
typedef uint32_t W4 __attribute__((vector_size(16))); /* GCC and Clang lower it to whatever there is */
typedef struct {
    W4 part[4];
} W;
#define W_EACH(expression)                                                                                             \
    W out_;                                                                                                            \
    for (int i = 0; i < 4; i++) out_.part[i] = (expression);                                                           \
    return out_
INLINE W w_load(const uint32_t *p) {
    W x;
    memcpy(&x, p, sizeof x);
    return x;
}
INLINE void w_store(uint32_t *p, W x) { memcpy(p, &x, sizeof x); }
INLINE W w_set1(uint32_t x) { W_EACH(((W4){x, x, x, x})); }
INLINE W w_add(W a, W b) { W_EACH(a.part[i] + b.part[i]); }
INLINE W w_xor3(W a, W b, W c) { W_EACH(a.part[i] ^ b.part[i] ^ c.part[i]); }
INLINE W w_ch(W e, W f, W g) { W_EACH(g.part[i] ^ (e.part[i] & (f.part[i] ^ g.part[i]))); }
INLINE W w_maj(W a, W b, W c) { W_EACH((a.part[i] & b.part[i]) | (c.part[i] & (a.part[i] | b.part[i]))); }
INLINE W w_rotr(W x, int n) { W_EACH(x.part[i] >> n | x.part[i] << (32 - n)); }
INLINE W w_srl(W x, int n) { W_EACH(x.part[i] >> n); }
INLINE W w_sll(W x, int n) { W_EACH(x.part[i] << n); }
INLINE void w_split(V x, V y, W *first, W *second) {
    for (int i = 0; i < 16; i++) {
        uint64_t value = i < 8 ? x.lane[i] : y.lane[i - 8];
        first->part[i / 4][i % 4] = __builtin_bswap32((uint32_t)value);
        second->part[i / 4][i % 4] = __builtin_bswap32((uint32_t)(value >> 32));
    }
}
#undef W_EACH
#endif
#endif
