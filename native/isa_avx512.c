/* Every kernel, compiled for AVX-512 (F, DQ, BW, VL, IFMA, VNNI). */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512ifma,avx512vnni,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx512ifma,avx512vnni,bmi2")
#endif
#define ZKDS_ISA avx512
#define ZKDS_BUILD_AVX512 1
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
