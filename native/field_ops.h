/* The kernels of the field family, one table per instruction set. */
#ifndef ZKDS_FIELD_OPS_H
#define ZKDS_FIELD_OPS_H
#include "runtime.h"
struct field_ops {
    void (*f_mul)(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
    void (*k_mul)(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors);
};
ZKDS_DECLARE_OPS(field);
#endif
