/* What every kernel family stands on: return codes, the choice of instruction set, and a pool of threads. */
#ifndef ZKDS_RUNTIME_H
#define ZKDS_RUNTIME_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "api/runtime.h"

/* SHA-256 swaps the bytes of words, and columns, nonces and digests are hashed as they lie in memory: elsewhere roots and proofs
 * would be others, which nobody accepts. */
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "zkds: expected a little-endian machine; the bytes of a proof are the words of its memory"
#endif

/* Pick the twin of a table of kernels: `OPS(field)` is field_ops_portable, field_ops_avx2 or field_ops_avx512, the last one with
 * AMX, too. */
#if defined(__x86_64__)
#define ZKDS_DECLARE_OPS(family) extern const struct family##_ops family##_ops_portable, family##_ops_avx2, family##_ops_avx512
#define OPS(family)                                                                                                    \
    (zkds_isa() >= ZKDS_AVX512 ? &family##_ops_avx512 : zkds_isa() == ZKDS_AVX2 ? &family##_ops_avx2 : &family##_ops_portable)
#else
#define ZKDS_DECLARE_OPS(family) extern const struct family##_ops family##_ops_portable
#define OPS(family) (&family##_ops_portable)
#endif

/* Kernels with tiles of bytes are compiled: AMX, AVX-512 beside it. */
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define ZKDS_TILES 1
#endif

/* Call `run(context, task, worker)` for each task in [0, tasks), spread over the pool; worker is below zkds_threads().
 * Tasks are handed out in increasing order. Returns when all are done. A nested call runs in the caller alone. */
void zkds_parallel(size_t tasks, void (*run)(void *context, size_t task, int worker), void *context);

/* 64-byte aligned memory on huge pages where the system has them; NULL when there is none. Free with free(). */
void *zkds_alloc(size_t bytes);
#endif
