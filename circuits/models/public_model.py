"""The weights of a public model: whoever has the model file can check that the proof is about it.

At a random point r and a random mu, both drawn after the witness root, the proof shows for every parameter, in the clear,

    sum_j mu^j digit_j~(r)         digit_j: the limbs of w_0
    w_0~(r)                        if balanced digits are committed: integers below p / 2 are equal if they are modulo p

A verifier that has the weights recomputes it; another one learns a value that is a function of the public model, and its
verdict says that the model was not checked. (r, mu) fools it for other weights with probability at most
(index bits + digits) / |K|.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zkds import multilinear
from zkds.channel import ProverChannel, VerifierEnd
from zkds.circuits.arithmetic.fixed_point import WEIGHT
from zkds.errors import StatementMismatch
from zkds.field import ONE, K, dot, powers
from zkds.hidden import Hidden
from zkds.identities.balanced_digits import BalancedValue
from zkds.integers.limbs import I64
from zkds.native import U32
from zkds.soundness import algebraic
from zkds.tensors.axes import eq_axes, padded
from zkds.tensors.circuit import Component
from zkds.tensors.linear import EntryOf
from zkds.tensors.tensor import (
    Committed,
    Context,
    ProverContext,
    Reader,
    Tensor,
    VerifierContext,
    value_weights,
)

NAME = "public model"
SOURCE = "Schwartz-Zippel lemma; multilinear in every coordinate"


class PublicModel(Component):
    """The relation over w_0 of every parameter, and every constant.

    starts    name of the parameter or constant -> its tensor: `Committed` in limbs of the format WEIGHT, a `BalancedValue`, or
              an entry of one
    weights   a verifier's own integers of the model; None: they are not checked
    """

    name = NAME

    def __init__(self, starts: Mapping[str, Tensor], weights: Mapping[str, I64] | None = None) -> None:
        self.starts = dict(starts)
        self.weights = weights

    @property
    def tensors(self) -> list[Tensor]:
        return list(self.starts.values())

    def prove(self, context: ProverContext) -> None:
        """The prover's side: one value for every parameter, in the clear."""
        mu, points = self._draw(context)
        values = [self._value(start, self._cells(context.reader, start), mu, points) for start in self.starts.values()]
        context.channel.send_elements(f"{NAME}: evaluations", values)
        for start, value in zip(self.starts.values(), values, strict=True):
            context.book.add(start, eq_axes(start.shape, self._point(start, points)), _weights(start, mu), value)

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side. Raises StatementMismatch if it has weights and the proof is about others."""
        mu, points = self._draw(context)
        values = context.channel.receive_elements(f"{NAME}: evaluations", len(self.starts))
        self._check(mu, points, values)
        for start, value in zip(self.starts.values(), values, strict=True):
            axes = eq_axes(start.shape, self._point(start, points))
            context.book.add(start, axes, _weights(start, mu), Hidden.public(value))

    def _check(self, mu: K, points: Sequence[K], values: Sequence[K]) -> None:
        """Raise StatementMismatch unless the values are those of the verifier's own weights, if it has any.

        Not an equation of the proof: the prover's statement is the same whether somebody checks the model or not.
        """
        if self.weights is None:
            return
        for (name, start), value in zip(self.starts.items(), values, strict=True):
            if value != self._value(start, WEIGHT.split(name, self.weights[name]), mu, points):
                raise StatementMismatch(f"{NAME}: weights of {name}", "the given model's", "others")

    def _draw(self, context: Context) -> tuple[K, tuple[K, ...]]:
        """mu, and the coordinates that all parameters share: a parameter with fewer index bits takes the first ones."""
        channel: ProverChannel | VerifierEnd = context.channel
        term = algebraic(f"{NAME}: challenge", len(WEIGHT.limb_widths), "digits/|K|", SOURCE)
        count = max(sum((length - 1).bit_length() for length in start.shape) for start in self.starts.values())
        return channel.challenge(term), tuple(channel.challenge(term) for _ in range(count))

    def _point(self, start: Tensor, coordinates: Sequence[K]) -> list[Sequence[K]]:
        """The points of a parameter's axes."""
        points, used = [], 0
        for length in start.shape:
            bits = (length - 1).bit_length()
            points.append(coordinates[used : used + bits])
            used += bits
        return points

    @staticmethod
    def _cells(reader: Reader, start: Tensor) -> list[U32]:
        """The limbs of w_0."""
        if isinstance(start, Committed):
            return [reader.read(name) for name in start.columns.names]
        return WEIGHT.split(start.name, start.integers(reader))

    def _value(self, start: Tensor, limbs: Sequence[U32], mu: K, coordinates: Sequence[K]) -> K:
        """sum_j mu^j digit_j~(r), or w_0~(r), from the limbs."""
        points = self._point(start, coordinates)
        flat = [coordinate for point in reversed(points) for coordinate in point]
        values = [multilinear.evaluate_integers(padded(limb, start.shape), flat) for limb in limbs]
        ones = ONE
        for axis in eq_axes(start.shape, points):
            ones = ones * axis.total()
        values[-1] = values[-1] - ones * WEIGHT.top_offset
        return dot(values, _weights(start, mu)[: len(values)])


def committed_start(start: Tensor) -> Committed:
    """What the integers of a tensor of a public model are committed in, perhaps with those of later steps."""
    owner = start
    while isinstance(owner, BalancedValue | EntryOf):
        owner = owner.source
    assert isinstance(owner, Committed)
    return owner


def _weights(start: Tensor, mu: K) -> list[K]:
    """Of its digits: powers of mu, or those of the value."""
    return powers(mu, len(start.digits)) if isinstance(start, Committed) else value_weights(start)
