/* The kernel of the ajtai family, one table per instruction set. */
#ifndef ZKDS_AJTAI_OPS_H
#define ZKDS_AJTAI_OPS_H
#include "runtime.h"

#define AJTAI_COLUMNS 16 /* of a tile: two vectors */

struct ajtai_ops {
    /* out[r][c] = sum_j bytes[r * length + j] * columns[j][c] for r < rows and c < AJTAI_COLUMNS. */
    void (*tiles)(const uint8_t *bytes, size_t rows, size_t length, const uint64_t *columns, uint64_t *out);
};
ZKDS_DECLARE_OPS(ajtai);
#endif
