/* Elementwise kernels. */
static void f_mul_array(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) v_store(out + i, fv_canonical(fv_mul(v_load(a + i), v_load(b + i))));
    for (; i < count; i++) out[i] = f_mul(a[i], b[i]);
}
static void k_mul_array(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors) {
    for (size_t v = 0; v < vectors; v++) kv_store(out, v, kv_mul(kv_load(a, v), kv_load(b, v)));
}
const struct field_ops ISA(field_ops) = {f_mul_array, k_mul_array};
