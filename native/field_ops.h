/* The kernels of the field family, one table per instruction set. */
#ifndef ZKDS_FIELD_OPS_H
#define ZKDS_FIELD_OPS_H
#include "runtime.h"
struct field_ops {
    void (*f_add)(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
    void (*f_sub)(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
    void (*f_mul)(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
    void (*k_mul)(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors);
    void (*k_scale)(const uint64_t *a, const uint64_t *factor, uint64_t *out, size_t vectors);
    /* adds to sum[2] */
    void (*k_dot)(const uint64_t *a, const uint64_t *b, size_t vectors, uint64_t *sum);
    /* out[v] = sum_c weights[c] tables[c stride + v], v < vectors; a table has `stride` vectors */
    void (*k_combine)(const uint64_t *weights, size_t count, const uint64_t *tables, size_t stride, size_t vectors,
                      uint64_t *out);
    /* the same for tables of F, 8 entries a vector */
    void (*f_combine)(const uint64_t *weights, size_t count, const uint64_t *tables, size_t stride, size_t vectors,
                      uint64_t *out);
    /* out[j] = sum_n weights[n] values[n stride + j], j < width: integers above -p and below p, pairs of K */
    void (*weigh)(const int64_t *values, size_t count, size_t stride, size_t width, const uint64_t *weights, uint64_t *out);
    /* out[j] = sum_n weights[n] values[n width + j], j < width, for a width of 1, 2 or 4: the weight of every value, blocked, zero
     * up to whole vectors */
    void (*weigh_narrow)(const int64_t *values, size_t count, size_t width, const uint64_t *weights, uint64_t *out);
    void (*k_bind)(const uint64_t *a, const uint64_t *r, uint64_t *out, size_t vectors);
};
ZKDS_DECLARE_OPS(field);
#endif
