/* Elementwise arithmetic: split over threads. */
#include "field_ops.h"
#include "api/field.h"

#define GRAIN 8192 /* elements a task */

struct elementwise {
    const uint64_t *a, *b;
    uint64_t *out;
    size_t count;
};

static void f_mul_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct elementwise *job = context;
    size_t from = task * GRAIN, count = job->count - from < GRAIN ? job->count - from : GRAIN;
    OPS(field)->f_mul(job->a + from, job->b + from, job->out + from, count);
}

int zkds_f_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count) {
    struct elementwise job = {a, b, out, count};
    zkds_parallel((count + GRAIN - 1) / GRAIN, f_mul_task, &job);
    return ZKDS_OK;
}

static void k_mul_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct elementwise *job = context;
    const size_t grain = GRAIN / 8;
    size_t from = task * grain, count = job->count - from < grain ? job->count - from : grain;
    OPS(field)->k_mul(job->a + 16 * from, job->b + 16 * from, job->out + 16 * from, count);
}

int zkds_k_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors) {
    struct elementwise job = {a, b, out, vectors};
    zkds_parallel((vectors + GRAIN / 8 - 1) / (GRAIN / 8), k_mul_task, &job);
    return ZKDS_OK;
}
