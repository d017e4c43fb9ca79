/* Proof of work and Merkle trees, split over threads. */
#include "sha256_ops.h"
#include "api/sha256.h"

/* ---- proof of work ----------------------------------------------------------------------------------------------- */

#define NONCES 4096 /* a task */
#define WAVE 32     /* tasks between two looks at the result */

struct grind_job {
    uint32_t seed[8];
    uint64_t first;
    int bits;
    uint64_t best; /* atomic: smallest nonce found so far */
};

static void grind_task(void *context, size_t task, int worker) {
    (void)worker;
    struct grind_job *job = context;
    uint64_t first = job->first + task * NONCES;
    if (first > __atomic_load_n(&job->best, __ATOMIC_RELAXED)) return;
    size_t hit = OPS(sha256)->grind(job->seed, first, NONCES, job->bits);
    if (hit == NONCES) return;
    uint64_t found = first + hit, best = __atomic_load_n(&job->best, __ATOMIC_RELAXED);
    while (found < best && !__atomic_compare_exchange_n(&job->best, &best, found, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

int zkds_grind(const uint8_t *seed, int bits, uint64_t *nonce) {
    if (bits < 0 || bits > 32) return ZKDS_BAD_ARGUMENT;
    struct grind_job job = {.first = 0, .bits = bits, .best = UINT64_MAX};
    for (int j = 0; j < 8; j++)
        job.seed[j] = (uint32_t)seed[4 * j] << 24 | (uint32_t)seed[4 * j + 1] << 16 | (uint32_t)seed[4 * j + 2] << 8 | seed[4 * j + 3];
    for (; job.best == UINT64_MAX; job.first += (uint64_t)WAVE * NONCES) zkds_parallel(WAVE, grind_task, &job);
    *nonce = job.best;
    return ZKDS_OK;
}

/* ---- Merkle tree ------------------------------------------------------------------------------------------------- */

#define PARENTS 1024 /* a task */

struct merkle_job {
    uint8_t *nodes;
    size_t parents; /* of the level being made */
};

static void merkle_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct merkle_job *job = context;
    size_t first = task * PARENTS, count = job->parents - first < PARENTS ? job->parents - first : PARENTS;
    OPS(sha256)->nodes(job->nodes + 32 * (2 * job->parents + 2 * first), count, job->nodes + 32 * (job->parents + first));
}

int zkds_merkle(uint8_t *nodes, size_t leaves) {
    if (!leaves || leaves & (leaves - 1)) return ZKDS_BAD_ARGUMENT;
    memset(nodes, 0, 32);
    for (struct merkle_job job = {nodes, leaves / 2}; job.parents; job.parents /= 2)
        zkds_parallel((job.parents + PARENTS - 1) / PARENTS, merkle_task, &job);
    return ZKDS_OK;
}
