/* The kernels of the SHA-256 family (FIPS 180-4), one table per instruction set: 32 messages at a time. */
#ifndef ZKDS_SHA256_OPS_H
#define ZKDS_SHA256_OPS_H
#include "runtime.h"

#define SHA_LANES 32
#define SHA_STATE_WORDS (8 * SHA_LANES) /* chaining values of 32 messages: word j of lane l at 16 (j + 8 (l / 16)) + l % 16 */

struct sha256_ops {
    /* parents[i] = SHA-256(0x01 | children[2 i] | children[2 i + 1]), digests of 32 bytes. */
    void (*nodes)(const uint8_t *children, size_t parents_count, uint8_t *parents);
    /* The first i < count with `bits` leading zero bits in SHA-256(seed | first + i), or count. seed: 8 big-endian words. */
    size_t (*grind)(const uint32_t *seed, uint64_t first, size_t count, int bits);
    /* 32 leaves: absorb the header block 0x00 | "zkds leaf" | zeros to 32 bytes | salt of 32 bytes. The salt of leaf i is
     * SHA-256(seed | i); zero without a seed. */
    void (*leaf_begin)(uint32_t *state, const uint32_t *seed, uint64_t first_leaf);
    /* Absorb two rows (64 bytes a leaf): the vectors low .. low + 3 of each row, and the vectors high, high - 1, ..  reversed,
     * each element as its 16 bytes. */
    void (*leaf_absorb)(uint32_t *state, const uint64_t *const rows[2], size_t low, const uint64_t *const mirrors[2], size_t high);
    /* Absorb one more row, if row is not NULL, and the padding of messages of `bytes` bytes; write 32 digests. */
    void (*leaf_finish)(uint32_t *state, const uint64_t *row, size_t low, const uint64_t *mirror, size_t high, uint64_t bytes,
                        uint8_t *digests);
};
ZKDS_DECLARE_OPS(sha256);
#endif
