/* Bytes times 61-bit entries, summed lazily: an entry is low + 2^32 high, a byte times `low` is below 2^40, so 2^19 of them
 * stay below 2^59 and nothing is reduced before the end. The rows of a tile share the loads of the matrix. */
#define AJTAI_ROWS 4
#define AJTAI_VECTORS (AJTAI_COLUMNS / 8)

INLINE void ajtai_tile(const uint8_t *bytes, size_t length, const uint64_t *columns, uint64_t *out, int rows) {
    V low[AJTAI_ROWS][AJTAI_VECTORS], high[AJTAI_ROWS][AJTAI_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < AJTAI_VECTORS; v++) low[r][v] = high[r][v] = v_zero();
    for (size_t j = 0; j < length; j++) {
        for (int v = 0; v < AJTAI_VECTORS; v++) {
            V entry = v_load(columns + AJTAI_COLUMNS * j + 8 * v), entry_high = v_srl(entry, 32);
            for (int r = 0; r < rows; r++) {
                V byte = v_set1(bytes[(size_t)r * length + j]);
                low[r][v] = v_add(low[r][v], v_mul32(entry, byte));
                high[r][v] = v_add(high[r][v], v_mul32(entry_high, byte));
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < AJTAI_VECTORS; v++)
            v_store(out + AJTAI_COLUMNS * r + 8 * v, fv_canonical(fv_join(low[r][v], v_sll(high[r][v], 1))));
}

static void ajtai_tiles(const uint8_t *bytes, size_t rows, size_t length, const uint64_t *columns, uint64_t *out) {
    size_t r = 0;
    for (; r + AJTAI_ROWS <= rows; r += AJTAI_ROWS)
        ajtai_tile(bytes + r * length, length, columns, out + AJTAI_COLUMNS * r, AJTAI_ROWS);
    for (; r < rows; r++) ajtai_tile(bytes + r * length, length, columns, out + AJTAI_COLUMNS * r, 1);
}
const struct ajtai_ops ISA(ajtai_ops) = {ajtai_tiles};
