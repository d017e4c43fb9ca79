"""F and K on plain integers: pairs (a, b) for a + b i, i^2 = -1, modulo p."""

P = 2**61 - 1


def k_add(x, y):
    return ((x[0] + y[0]) % P, (x[1] + y[1]) % P)


def k_sub(x, y):
    return ((x[0] - y[0]) % P, (x[1] - y[1]) % P)


def k_mul(x, y):
    return ((x[0] * y[0] - x[1] * y[1]) % P, (x[0] * y[1] + x[1] * y[0]) % P)


def k_dot(xs, ys):
    total = (0, 0)
    for x, y in zip(xs, ys, strict=True):
        total = k_add(total, k_mul(x, y))
    return total


def k_bind(table, r):
    """Adjacent vectors of eight elements, a missing one counting as zero."""
    vectors = [table[i : i + 8] for i in range(0, len(table), 8)]
    if len(vectors) % 2:
        vectors.append([(0, 0)] * 8)
    bound = []
    for low, high in zip(vectors[::2], vectors[1::2], strict=True):
        bound += [k_add(a, k_mul(r, k_sub(b, a))) for a, b in zip(low, high, strict=True)]
    return bound
