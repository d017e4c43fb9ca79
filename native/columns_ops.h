/* The kernels of the columns family, one table per instruction set. Shared by all: runs of entries, whose cells lie side by side. */
#ifndef ZKDS_COLUMNS_OPS_H
#define ZKDS_COLUMNS_OPS_H
#include "runtime.h"
#include "api/columns.h"

struct columns_ops {
    /* cells[j][i] = digit j of values[i * stride]; 1 if a value doesn't fit. */
    int (*write)(const int64_t *values, int64_t stride, size_t count, const struct zkds_digits *digits, uint32_t *const *cells);
    /* values[i * stride] = the value of cells[0][i], cells[1][i], ... */
    void (*read)(const uint32_t *const *cells, size_t count, const struct zkds_digits *digits, int64_t *values, int64_t stride);
};
ZKDS_DECLARE_OPS(columns);
#endif
