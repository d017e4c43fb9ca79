/* The vector type `V` = eight unsigned 64-bit lanes, in three twins with one contract.
 *
 * A kernel is written once, in a `*_kernels.h` file, against this contract; the files `isa_*.c` include it once per
 * instruction set with ZKDS_ISA set to portable, avx2 or avx512. All twins compute the same function bit for bit.
 *
 *   v_load, v_store      64 bytes, any alignment          v_load_u32  eight uint32, widened
 *   v_set1, v_zero       broadcast                        v_mul32     product of the low 32 bits of each lane
 *   v_add, v_sub, v_and, v_or  modulo 2^64               v_min       unsigned minimum
 *   v_srl, v_sll         logical shift by a constant      v_reverse   lane i <- lane 7 - i
 *   v_merge              x with the lanes of a mask taken from memory, p + 8 lane; the others are not touched
 *   v_prefetch           hint only                        v_mul32s    product of the low 32 bits as signed numbers
 */
#ifndef ZKDS_VEC_H
#define ZKDS_VEC_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline, unused))
#define ZKDS_PASTE_(a, b) a##_##b
#define ZKDS_PASTE(a, b) ZKDS_PASTE_(a, b)
/* ISA(name) is name_portable, name_avx2 or name_avx512. */
#define ISA(name) ZKDS_PASTE(name, ZKDS_ISA)

#if defined(ZKDS_BUILD_AVX512)
#include "vec_avx512.h"
#elif defined(ZKDS_BUILD_AVX2)
#include "vec_avx2.h"
#else
#include "vec_portable.h"
#endif
#endif
