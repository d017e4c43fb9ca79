/* Transforms at roots of unity of norm 1. `roots`: pairs (re, im); entry m is the primitive 2^m-th root, m = 0 .. log_size + 1;
 * entry 2 is i, entry 3 is 2^30 (1 + i). Tables for `log_size` (7 to 24) serve coset transforms up to 2^log_size points, plain ones up to twice that. */
size_t zkds_ntt_tables_words(int log_size);
int zkds_ntt_tables(const uint64_t *roots, int log_size, uint64_t *tables);

/* Rows of 2^log_size pairs, natural order in and out: polynomial coefficients -> values at w^j (plain) or r^(2 j + 1)
 * (coset, r of order 2^(log_size + 1)), or back (inverse). coset_root: NULL, or the pair r. `in` may be `out`. */
int zkds_ntt(const uint64_t *tables, int tables_log_size, const uint64_t *in, uint64_t *out, size_t rows, int log_size,
             int inverse, const uint64_t *coset_root);
