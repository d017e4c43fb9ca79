/* Byte strings times a matrix: the matrix is repacked in groups of columns, the byte strings are split over threads. */
#include "ajtai_ops.h"
#include "api/ajtai.h"

#define GRAIN 32 /* byte strings a task */

struct job {
    const uint8_t *bytes;
    size_t count, length, width, groups;
    uint64_t *packed; /* (groups, length, AJTAI_COLUMNS), zero beyond the last column */
    uint64_t *out;
};

static size_t columns_of(const struct job *job, size_t group) {
    size_t from = group * AJTAI_COLUMNS;
    return job->width - from < AJTAI_COLUMNS ? job->width - from : AJTAI_COLUMNS;
}

static void pack(const struct job *job, const uint64_t *matrix) {
    for (size_t group = 0; group < job->groups; group++) {
        size_t columns = columns_of(job, group);
        uint64_t *to = job->packed + group * job->length * AJTAI_COLUMNS;
        for (size_t j = 0; j < job->length; j++, to += AJTAI_COLUMNS) {
            memcpy(to, matrix + j * job->width + group * AJTAI_COLUMNS, columns * sizeof *to);
            memset(to + columns, 0, (AJTAI_COLUMNS - columns) * sizeof *to);
        }
    }
}

static void multiply_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct job *job = context;
    uint64_t tile[GRAIN * AJTAI_COLUMNS];
    size_t from = task * GRAIN, rows = job->count - from < GRAIN ? job->count - from : GRAIN;
    for (size_t group = 0; group < job->groups; group++) {
        const uint64_t *columns = job->packed + group * job->length * AJTAI_COLUMNS;
        OPS(ajtai)->tiles(job->bytes + from * job->length, rows, job->length, columns, tile);
        for (size_t r = 0; r < rows; r++)
            memcpy(job->out + (from + r) * job->width + group * AJTAI_COLUMNS, tile + r * AJTAI_COLUMNS,
                   columns_of(job, group) * sizeof *tile);
    }
}

int zkds_ajtai_multiply(const uint8_t *bytes, size_t count, size_t length, const uint64_t *matrix, size_t width, uint64_t *out) {
    if (length < 1 || length > (size_t)1 << ZKDS_AJTAI_MAX_LOG_LENGTH || width < 1) return ZKDS_BAD_ARGUMENT;
    struct job job = {bytes, count, length, width, (width + AJTAI_COLUMNS - 1) / AJTAI_COLUMNS, NULL, out};
    job.packed = zkds_alloc(job.groups * length * AJTAI_COLUMNS * sizeof *job.packed);
    if (!job.packed) return ZKDS_OUT_OF_MEMORY;
    pack(&job, matrix);
    zkds_parallel((count + GRAIN - 1) / GRAIN, multiply_task, &job);
    free(job.packed);
    return ZKDS_OK;
}
