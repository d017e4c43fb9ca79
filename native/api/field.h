/* Arithmetic on arrays. F arrays: canonical uint64; K arrays: blocked, 16 uint64 a vector of eight elements; a scalar of K
 * is (re, im). `out` may be an input. Sums of K arrays are sums of F arrays of 16 times as many entries. */
int zkds_f_add(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
int zkds_f_sub(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
int zkds_f_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
int zkds_k_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors);
/* out[j] = factor * a[j] */
int zkds_k_scale(const uint64_t *a, const uint64_t *factor, uint64_t *out, size_t vectors);
/* sum = sum_j a[j] b[j] */
int zkds_k_dot(const uint64_t *a, const uint64_t *b, size_t vectors, uint64_t *sum);
/* The product of matrices: out[r] = sum_c weights[r][c] tables[c]; weights (rows, count) as pairs (re, im), each of the `count`
 * tables and of the `rows` results `vectors` long. `out` overlaps nothing. */
int zkds_k_matmul(const uint64_t *weights, size_t rows, size_t count, const uint64_t *tables, size_t vectors, uint64_t *out);
/* The same for tables of F, of 8 `vectors` entries each; the results are in K. */
int zkds_f_matmul(const uint64_t *weights, size_t rows, size_t count, const uint64_t *tables, size_t vectors, uint64_t *out);
/* Bind the lowest vector variable to r: out[v] = a[2v] + r (a[2v+1] - a[2v]), a missing vector being zero.
 * `out` has ceil(vectors / 2) vectors and does not overlap `a`. */
int zkds_k_bind(const uint64_t *a, const uint64_t *r, uint64_t *out, size_t vectors);
enum { ZKDS_TABLE_DIMENSIONS = 8 };
/* A row-major table of F with sides[d] >= shape[d] entries a dimension: the integers of an array with these strides (in entries),
 * above -p and below p, and zeros beyond its shape. */
int zkds_f_table(const int64_t *integers, size_t dimensions, const uint64_t *shape, const int64_t *strides, const uint64_t *sides,
                 uint64_t *table);
/* out[o][r][i] = sum_n weights[r][n] values[o][r][n][i] for integers above -p and below p, (outer, runs, count, inner); pairs of K.
 * weights: own rows of `count` pairs, own = runs, or 1 for the same in every run. */
int zkds_weigh(const int64_t *values, size_t outer, size_t runs, size_t count, size_t inner, const uint64_t *weights, size_t own,
               uint64_t *out);
