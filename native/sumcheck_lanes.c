/* The last rounds of a sumcheck, on the eight entries of one vector: scalars. */
#include "sumcheck_ops.h"

#define MAX_LANES 3

static K1 entry(const uint64_t *vector, size_t x) { return (K1){vector[x], vector[8 + x]}; }

/* The table at a node of the variable that index bit 0 is now: pair x is (entry 2x, entry 2x + 1). */
static K1 node_entry(const uint64_t *vector, size_t x, int node) {
    K1 low = entry(vector, 2 * x), slope = k_sub(entry(vector, 2 * x + 1), low), value = low;
    if (node == 1) return slope; /* infinity */
    for (int k = 0; k < node; k++) value = k_add(value, slope);
    return value;
}

static void bind_entries(uint64_t *vector, size_t pairs, K1 r) {
    for (size_t x = 0; x < pairs; x++) {
        K1 low = entry(vector, 2 * x), slope = k_sub(entry(vector, 2 * x + 1), low), bound = k_add(low, k_mul(r, slope));
        vector[x] = bound.re;
        vector[8 + x] = bound.im;
    }
}

static K1 term_at_node(const uint64_t *vectors, const struct zkds_term *term, const K1 *weights, size_t pairs, int node) {
    K1 total = {0, 0};
    for (size_t x = 0; x < pairs; x++) {
        K1 product = weights[x];
        for (int j = 0; j < term->degree; j++) product = k_mul(product, node_entry(vectors + 16 * term->factors[j], x, node));
        total = k_add(total, product);
    }
    return k_mul(total, (K1){term->coefficient[0], term->coefficient[1]});
}

int zkds_sumcheck_lane_round(uint64_t *vectors, size_t table_count, const struct zkds_term *terms, size_t term_count, int degree,
                             const uint64_t *r, const uint64_t *eq_point, size_t lanes, size_t bit, uint64_t *message) {
    if (lanes > MAX_LANES || bit > lanes || (r && bit == 0)) return ZKDS_BAD_ARGUMENT;
    if (!sumcheck_terms_are_valid(terms, term_count, table_count, degree)) return ZKDS_BAD_ARGUMENT;
    size_t pairs = ((size_t)1 << (lanes - bit)) / 2; /* after binding */
    for (size_t t = 0; r && t < table_count; t++)
        bind_entries(vectors + 16 * t, (size_t)1 << (lanes - bit), (K1){r[0], r[1]});
    if (bit == lanes) return ZKDS_OK;
    K1 weights[1 << MAX_LANES] = {{1, 0}, {1, 0}, {1, 0}, {1, 0}};
    if (eq_point) k_eq_expand(eq_point + 2 * (bit + 1), lanes - bit - 1, (K1){1, 0}, weights);
    for (int node = 0; node < degree; node++) {
        K1 total = {0, 0};
        for (size_t t = 0; t < term_count; t++)
            if (node != 1 || terms[t].degree == degree)
                total = k_add(total, term_at_node(vectors, &terms[t], weights, pairs, node));
        message[2 * node] = total.re;
        message[2 * node + 1] = total.im;
    }
    return ZKDS_OK;
}
