"""Implicit layers once more, from their definition in docs/fixed-point.md: matrices of Python ints."""

import numpy as np

from zkds_verify.integers import rounded


def matrix(tensor):
    """{(b, ...): int} -> (b, everything else)."""
    shape = tuple(1 + max(place[axis] for place in tensor) for axis in range(len(next(iter(tensor)))))
    found = np.zeros(shape, dtype=object)
    for place, value in tensor.items():
        found[place] = value
    return found.reshape(shape[0], -1)


def to_nearest(array, shift, width=None):
    """(quotient, remainder), whose quotient must fit."""
    quotient, remainder = array.copy(), array.copy()
    for place, value in np.ndenumerate(array):
        quotient[place], remainder[place] = rounded(value, shift)
        assert width is None or -(2 ** (width - 1)) <= quotient[place] < 2 ** (width - 1)
    return quotient, remainder


class Weight:
    """w_0 (M, N), (D^_u, a_(T+u)) of earlier steps, (E^_t, a_t) or None; then what a pass makes of it.

    If `kind` is "rounded", `start` is w_t, and there are no earlier steps.

    products   name -> [(quotient, remainder), ...] of inner products
    inputs     a (R, N), patches
    deltas     d (R, M)
    """

    def __init__(self, place, e2, start, kind, updates=(), perturbation=None):
        self.place, self.e2, self.start, self.updates, self.perturbation = place, e2, start, list(updates), perturbation
        self.kind = kind
        self.ib, self.db = place.input_bits[0], place.delta_bits
        self.products = {}
        assert self.ib >= 32

    def updated(self, factor, inputs):
        if self.kind == "exact":
            return Weight(self.place, self.e2, self.start, self.kind, [*self.updates, (factor, inputs)])
        moved = self.start - self.rounded_update(factor, inputs)[0]
        assert all(-(2**43) <= w < 2**43 for w in moved.reshape(-1))
        return Weight(self.place, self.e2, moved, self.kind)

    def rounded_update(self, factor, inputs):
        """U [40] and its remainder."""
        return to_nearest(factor.T @ inputs, 38 + self.ib - 40)

    def perturbed(self, factor, inputs):
        return Weight(self.place, self.e2, self.start, self.kind, self.updates, (factor, inputs))

    def terms(self):
        """(sign, "" or "perturbed ", left factor, right factor)."""
        found = [(-1, "", *update) for update in self.updates]
        return found + ([] if self.perturbation is None else [(1, "perturbed ", *self.perturbation)])

    def forward(self, patches):
        """(R, M): sums of the layer without its bias, with 40 + ib fractional bits."""
        self.inputs = a = patches
        z = a @ self.start.T
        for sign, kind, factor, other in self.terms():
            g = to_nearest(a @ other.T, 2 * self.ib - 30, 50)
            self.products.setdefault(f"{kind}input products", []).append(g)
            z = z + sign * (g[0] @ factor) * 2 ** (40 + self.ib - 30 - 38)
        return z

    def backward(self, deltas):
        """Record the deltas; nothing else is needed for the weight."""
        self.deltas = deltas

    def input_gradient(self):
        """((R, N): parts of the sums of a patch's entries, by how many bits the whole sums are to be rounded)."""
        common = max(40, 4 + self.ib)
        dx = self.deltas @ self.start * 2 ** (common - 40)
        for sign, kind, factor, other in self.terms():
            k = to_nearest(self.deltas @ factor.T, 34 + self.db, 50)
            self.products.setdefault(f"{kind}delta products", []).append(k)
            dx = dx + sign * (k[0] @ other) * 2 ** (common + self.db - 4 - self.ib)
        return dx, common + self.db

    def exact(self):
        """w_t (M, N), with 38 + ib fractional bits."""
        w = self.start * 2 ** (self.ib - 2)
        for sign, _, factor, other in self.terms():
            w = w + sign * (factor.T @ other)
        return w

    # ---- after a pass

    def squares(self):
        """Q [88] and its remainder."""
        g = self.deltas.T @ self.inputs
        return rounded(int((g * g).sum()), 2 * (44 + self.db + self.ib) - 88)

    def scaled_squares(self):
        """V [88] and its remainder."""
        if self.kind == "rounded":
            w, bits = self.start, 40
        else:
            w, bits = self.exact(), 38 + self.ib
        v = w * (self.deltas.T @ self.inputs)
        return rounded(int((v * v).sum()), 2 * (bits + 44 + self.db + self.ib) - 88)

    def update_factor(self):
        return to_nearest(self.deltas, self.e2 - 38 + self.db, 84 - self.e2)

    def perturbation_factor(self, kappa):
        return to_nearest(kappa * self.deltas, 34 + self.db, 44)
