"""Public models: integers, digest, the evaluations that a proof shows. docs/specification/certificate.md, section 19."""

from fractions import Fraction
from hashlib import sha256
from itertools import chain
from math import prod

from zkds_verify import model_file
from zkds_verify.field import ONE, ZERO, dot, dot_integers
from zkds_verify.integers import nearest
from zkds_verify.operators.batch_norm import inverse_deviation
from zkds_verify.rejection import NotAProof, require
from zkds_verify.transcript import number, sized

WIDTH = 44


class PublicModel:
    """Of a file's weights in the network of a statement. integers: name -> row-major; vanishing: how many become 0."""

    def __init__(self, path, s):
        found = model_file.read(path)
        shapes = s.network.parameters | s.network.constants
        eps = {f"{node.name}.running_var": node.operator.eps for node in s.network.nodes if node.operator.constants()}
        self.integers, self.vanishing = {}, 0
        ignored = {name for name in found if name.endswith(".num_batches_tracked")}
        require(set(found) - ignored == set(shapes), "model", "the names of the statement's network", "others")
        for name, shape in shapes.items():
            of_file, values = found[name].shape, found[name].values
            require(prod(of_file) == prod(shape) and of_file[:1] == shape[:1], "model", f"{name}: {shape}", str(of_file))
            if not model_file.all_finite(values):
                raise NotAProof(f"model file: {name}: a number that is not finite")
            if name in eps:
                own = [inverse_deviation(v, eps[name]) for v in values]
            else:
                own = [nearest(Fraction(v) * 2 ** (32 if name in s.network.constants else 40)) for v in values]
                self.vanishing += sum(v != 0 and w == 0 for v, w in zip(values, own, strict=True))
            if not all(-(2 ** (WIDTH - 1)) <= w < 2 ** (WIDTH - 1) for w in own):
                raise NotAProof(f"model file: {name}: a number outside the format")
            self.integers[name] = own
        self.shapes = shapes
        every = b"".join(w.to_bytes(8, "little", signed=True) for w in chain(*self.integers.values()))
        self.digest = sha256(b"zkds model v1" + sized(s.network_bytes) + number(40) + every).digest()

    def check(self, name, start, axes, mu, value):
        """One of the message `public model: evaluations`: of the digits of limbs, or of the value if `start` has none."""
        moved = [w + (1 << WIDTH - 1) for w in self.integers[name]]
        if start.columns:
            digits = [[w & 0xFFFF for w in moved], [w >> 16 & 0xFFFF for w in moved], [(w >> 32) - 2**11 for w in moved]]
        else:
            digits, mu = [self.integers[name]], [ONE]
        found = sum((scale * extension_of_integers(axes, own) for scale, own in zip(mu, digits, strict=True)), ZERO)
        require(found == value, f"public model: weights of {name}")


def extension_of_integers(axes, integers):
    """sum_x prod_d axes_d(x_d) integers[x]"""
    *axes, last = axes
    n = len(last)
    values = [dot_integers(last.weights, integers[i : i + n]) for i in range(0, len(integers), n)]
    for axis in reversed(axes):
        n = len(axis)
        values = [dot(axis.weights, values[i : i + n]) for i in range(0, len(values), n)]
    return values[0]
