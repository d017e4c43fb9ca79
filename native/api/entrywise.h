/* Sums of products of two tensors' digits, entry by entry and modulo 2^64: the carries of identities, digits of virtual tensors. */

/* One digit at every entry of a tensor that lies in boxes: constant + sum_k scales[k] cell_k, with the cells of box b from
 * places[k][b] on; or, where `values` is not NULL, values[sum_d i_d strides[d]] for entry i. */
struct zkds_operand {
    int64_t constant;
    size_t columns;
    const int64_t *scales;  /* (columns) */
    const uint64_t *places; /* (columns, boxes) */
    const int64_t *values;
    const int64_t *strides; /* (dimensions) */
};
/* factor left right; operands by their numbers, -1 for none. */
struct zkds_product {
    int64_t factor;
    int left, right;
};
/* values = floor((the products' sum + the result before, if it is chained) / 2^bits), 0 <= bits < 64, of two's complement; or,
 * where `values` is NULL, all entries' are added to *total. */
struct zkds_result {
    const struct zkds_product *products;
    size_t count;
    int chained, bits;
    int64_t *values;
    const int64_t *strides; /* (dimensions) */
    uint64_t *total;
};
enum { ZKDS_MAX_OPERANDS = 128, ZKDS_MAX_RESULTS = 32 };

/* All results, in their order, at all entries of the boxes (whose own strides and places don't count). Bit r of *cut:
 * whether result r isn't everywhere the quotient itself. */
int zkds_entrywise(const uint32_t *vector, const struct zkds_boxes *boxes, const struct zkds_operand *operands,
                   size_t operand_count, const struct zkds_result *results, size_t result_count, uint32_t *cut);
