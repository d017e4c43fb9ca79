/* The code of the commitment: rows of polynomial coefficients, their values on a coset, and hashed columns.
 *
 * A matrix has `packed_rows` rows of two rows of cells each (row r: cells 2 r k .. as real parts, the next k as imaginary
 * parts, zero beyond cell_count), then `element_rows` rows of K (blocked, k each), k = 2^log_data. tails: `tail` more coefficients
 * for each row, pairs, row after row; NULL if there are none. Row values: the polynomial at r^(2 j + 1), j < 2^log_size, r of
 * order 2^(log_size + 1), stored at s, the log_size bits of j mirrored; column s < 2^(log_size - 1) holds s and its
 * complement, the inverse point. */
struct zkds_matrix {
    const uint32_t *cells;
    size_t cell_count;
    size_t packed_rows;
    const uint64_t *elements;
    size_t element_rows;
    const uint64_t *tails;
    size_t tail;
    int log_data, log_size;
};

/* Digests of all columns (32 bytes each). salt_seed: 32 bytes, or NULL for zero salts. */
int zkds_commit_columns(const uint64_t *tables, int tables_log_size, const struct zkds_matrix *matrix, const uint8_t *salt_seed,
                        uint8_t *digests);
/* The columns at `count` increasing positions: (count, rows, 2) pairs. */
int zkds_open_columns(const uint64_t *tables, int tables_log_size, const struct zkds_matrix *matrix, const uint32_t *positions,
                      size_t count, uint64_t *columns);

/* sum over rows of weight * row: weights are pairs, two for each packed row (real part, imaginary part), then one for each
 * element row. combined: blocked, 2^log_data; combined_tail: pairs. */
int zkds_combine_rows(const struct zkds_matrix *matrix, const uint64_t *weights, uint64_t *combined, uint64_t *combined_tail);

/* For each column (rows, 2): out[0] = sum_r a_r c_r + b_r conj(d_r), out[1] = sum_r a_r d_r + b_r conj(c_r), where (c_r, d_r)
 * are the values at the two points of the column. out: (count, 2) pairs. */
int zkds_combine_columns(const uint64_t *columns, size_t count, size_t rows, const uint64_t *a, const uint64_t *b, uint64_t *out);

/* out[x] = sum_j coefficients[j] points[j]^x, x < size: pairs. */
int zkds_power_weights(const uint64_t *points, const uint64_t *coefficients, size_t count, uint64_t *out, size_t size);
/* out[j] = sum_x polynomial[x] points[j]^x: pairs. */
int zkds_evaluate_powers(const uint64_t *polynomial, size_t size, const uint64_t *points, size_t count, uint64_t *out);

/* Blocked tables of 2 * half_vectors vectors. message: the sums over the lower index bits of x y at 0 and of the leading
 * coefficient in the highest bit, two pairs. */
int zkds_half_round(const uint64_t *x, const uint64_t *y, size_t half_vectors, uint64_t *message);
/* Bind the highest index bit to r, in the lower half. */
int zkds_bind_half(uint64_t *table, size_t half_vectors, const uint64_t *r);
