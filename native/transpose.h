/* Eight vectors as an 8 x 8 matrix of 64-bit lanes: v_transpose swaps rows and columns, in three twins. */
#ifndef ZKDS_TRANSPOSE_H
#define ZKDS_TRANSPOSE_H
#include "vec.h"

#if defined(ZKDS_BUILD_AVX512)
INLINE void v_transpose(V r[8]) {
    const __m512i low = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0), high = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
    __m512i t[8], u[8];
    for (int i = 0; i < 4; i++) { /* pairs of rows: 2 x 2 blocks */
        t[2 * i] = _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]);
    }
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 2; i++) { /* lanes 0 1 4 5 and 2 3 6 7 of four rows */
            u[4 * h + i] = _mm512_permutex2var_epi64(t[4 * h + i], low, t[4 * h + i + 2]);
            u[4 * h + i + 2] = _mm512_permutex2var_epi64(t[4 * h + i], high, t[4 * h + i + 2]);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0x44);
        r[i + 4] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0xee);
    }
}
#elif defined(ZKDS_BUILD_AVX2)
INLINE void v_transpose_quarter(__m256i *a, __m256i *b, __m256i *c, __m256i *d) {
    __m256i ab0 = _mm256_unpacklo_epi64(*a, *b), ab1 = _mm256_unpackhi_epi64(*a, *b);
    __m256i cd0 = _mm256_unpacklo_epi64(*c, *d), cd1 = _mm256_unpackhi_epi64(*c, *d);
    *a = _mm256_permute2x128_si256(ab0, cd0, 0x20);
    *b = _mm256_permute2x128_si256(ab1, cd1, 0x20);
    *c = _mm256_permute2x128_si256(ab0, cd0, 0x31);
    *d = _mm256_permute2x128_si256(ab1, cd1, 0x31);
}
INLINE void v_transpose(V r[8]) {
    v_transpose_quarter(&r[0].lo, &r[1].lo, &r[2].lo, &r[3].lo);
    v_transpose_quarter(&r[0].hi, &r[1].hi, &r[2].hi, &r[3].hi);
    v_transpose_quarter(&r[4].lo, &r[5].lo, &r[6].lo, &r[7].lo);
    v_transpose_quarter(&r[4].hi, &r[5].hi, &r[6].hi, &r[7].hi);
    for (int i = 0; i < 4; i++) {
        __m256i corner = r[i].hi;
        r[i].hi = r[i + 4].lo;
        r[i + 4].lo = corner;
    }
}
#else
INLINE void v_transpose(V r[8]) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            uint64_t swapped = r[i].lane[j];
            r[i].lane[j] = r[j].lane[i];
            r[j].lane[i] = swapped;
        }
}
#endif
#endif
