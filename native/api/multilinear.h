/* Multilinear extensions of tables. A point is an array of (re, im) pairs, pair b for index bit b. */
enum { ZKDS_TABLE_K = 0, ZKDS_TABLE_F = 1, ZKDS_TABLE_U32 = 2 };

/* out[x] = scale * eq(point, x) for 0 <= x < 2^variables, blocked; with fewer than 3 variables the rest of the vector is 0. */
int zkds_eq_table(const uint64_t *point, size_t variables, const uint64_t *scale, uint64_t *out);
/* value = sum_x table[x] eq(point, x) over the `length` entries that there are; length <= 2^variables, except that a K
 * table counts its whole vectors. kind is ZKDS_TABLE_K (blocked), ZKDS_TABLE_F (uint64) or ZKDS_TABLE_U32 (uint32). */
int zkds_evaluate(const void *table, int kind, size_t length, const uint64_t *point, size_t variables, uint64_t *value);
