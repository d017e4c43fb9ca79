/* Elementwise arithmetic on arrays. F arrays: canonical uint64; K arrays: blocked (16 uint64 a group of eight). */
int zkds_f_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count);
int zkds_k_mul(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors);
