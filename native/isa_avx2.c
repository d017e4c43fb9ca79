/* Every kernel, compiled for AVX2. */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,bmi2")
#endif
#define ZKDS_ISA avx2
#define ZKDS_BUILD_AVX2 1
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
