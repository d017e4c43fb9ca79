"""Tensors of the circuit, and claims about them that wait until their turn comes.

A tensor is an array of integers, each given by digits: value = sum_j digit_j 2^(16 j), with an exact public interval for every
digit. Committed tensors are limbs (zkds/integers/limb_columns.py); virtual ones (masked, added up, mapped) are never
committed: a claim about them is reduced to claims about what they are made of.

A claim about a tensor weighs its entries by a product of one weight vector for each axis and its digits by a scalar each:

    sum_x prod_d w_d(x_d) sum_j digit_weight_j digit_j(x) = value,        x over the real indices only

with the weights of zkds/tensors/axes.py. Relations put claims into the `Book` of their context; the circuit then visits the
tensors, users before what they use, and each reduces all claims on it at once: a random linear combination (challenge chi),
one sumcheck, one claim on each ingredient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from zkds import sumcheck
from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim, Pieces, Value
from zkds.commit.layout import Layout, boxes_of
from zkds.field import ONE, ZERO, K, block, dot, powers, to_pairs, unblock
from zkds.hidden import Hidden
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64
from zkds.lookup import Lookup, RangeTable, Table
from zkds.native import U32, U64, entrywise
from zkds.native import field as native
from zkds.native.columns import Boxes
from zkds.native.entrywise import CellSum, Product, Result
from zkds.soundness import ErrorTerm, algebraic
from zkds.tensors.axes import Axis, EqAxis, high_and_low, padded, split_point, variables
from zkds.tensors.contraction import multiply

MOST_SEPARATE_CLAIMS = 8  # on one tensor: more of them become one by a sumcheck, so that nested sums don't double them
KEPT_COLUMNS, KEPT_TENSORS = 64, 64  # a layer's gradients use the same deltas, inputs and weights again and again
KEPT_PLACES = 1024  # of entries of columns
KEPT_BYTES = 1 << 28  # of columns, and of tensors' digits; the last one is kept whatever its size
Operand: TypeAlias = CellSum | I64  # a digit at every entry, as `Reader.evaluate` takes it
Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")
# Cells by the names of their columns; or, as they are made, such pairs and pairs of a tensor's columns and its values.
Columns: TypeAlias = Mapping[str, NDArray[Any]] | Iterable[tuple[str | LimbColumns, NDArray[Any]]]

SCHWARTZ_ZIPPEL = "Schwartz-Zippel lemma; protocol.md, sections 3 and 16"
COMBINATION_SOURCE = "Schwartz-Zippel lemma; protocol.md, section 15"


@dataclass(frozen=True)
class TensorClaim(Generic[Value]):
    """sum_x prod_d axes_d(x_d) sum_j digit_weights_j digit_j(x) = value."""

    axes: tuple[Axis, ...]
    digit_weights: tuple[K, ...]
    value: Value = field(repr=False)


class Book(Generic[Value]):
    """The claims that wait for their tensors, and the finished claims on the committed vector."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[TensorClaim[Value]]] = {}
        self._closed: set[str] = set()
        self.vector_claims: list[Claim[Value]] = []

    def add(self, tensor: Tensor, axes: Sequence[Axis], digit_weights: Sequence[K], value: Value) -> None:
        """Record a claim. Raises ValueError for weights that are not the tensor's, or if its turn has passed."""
        lengths = tuple(axis.length for axis in axes)
        if lengths != tensor.shape:
            raise ValueError(f"{tensor.name}: expected axes of {tensor.shape}, got {lengths}")
        if len(digit_weights) != len(tensor.digits):
            raise ValueError(f"{tensor.name}: expected {len(tensor.digits)} digit weights, got {len(digit_weights)}")
        if tensor.name in self._closed:
            raise ValueError(f"{tensor.name}: a claim after the tensor's turn would never be proved")
        self._waiting.setdefault(tensor.name, []).append(TensorClaim(tuple(axes), tuple(digit_weights), value))

    def take(self, tensor: Tensor) -> list[TensorClaim[Value]]:
        """All claims on a tensor whose turn has come; later ones are refused."""
        self._closed.add(tensor.name)
        return self._waiting.pop(tensor.name, [])

    def finished(self) -> list[Claim[Value]]:
        """The claims on the vector. Raises ValueError if a claim on a tensor was never reduced."""
        if self._waiting:
            raise ValueError(f"claims on {sorted(self._waiting)} were not reduced: the circuit's order is wrong")
        return self.vector_claims


@dataclass(frozen=True)
class LinearDigit:
    """A digit of a tensor at every entry: constant + sum of scale times a column, or the entry `index` of its first axis."""

    constant: int
    terms: tuple[tuple[int, str, int | None], ...]  # (scale, column, index)


def sum_of_digits(parts: Iterable[tuple[int, LinearDigit]]) -> LinearDigit:
    """The sum of factor times digit."""
    used = [(factor, digit) for factor, digit in parts if factor]
    terms = ((factor * scale, name, index) for factor, digit in used for scale, name, index in digit.terms)
    return LinearDigit(sum(factor * digit.constant for factor, digit in used), tuple(terms))


class Reader(ABC):
    """The prover's columns, by their names."""

    def __init__(self) -> None:
        self._kept_tables: Recent[Tensor, list[I64]] = Recent(
            self._tables, lambda tables: sum(table.nbytes for table in tables), KEPT_TENSORS
        )

    @abstractmethod
    def read(self, name: str) -> U32:
        """The tensor of a column, (shape) uint32, not to be changed."""

    @abstractmethod
    def read_entry(self, name: str, index: int) -> U32:
        """Entry `index` of a column along its first axis, (*shape[1:]) uint32, not to be changed."""

    @abstractmethod
    def values(self, columns: LimbColumns) -> I64:
        """The tensor that these are the columns of."""

    @abstractmethod
    def coefficients(self, columns: LimbColumns) -> list[I64]:
        """Its coefficients, limb by limb."""

    def tables(self, tensor: Tensor) -> list[I64]:
        """The digits of a tensor, not to be changed; those of the last few tensors are kept, if they are small."""
        return self._kept_tables[tensor]

    def tables_at(self, tensor: Tensor, index: int) -> list[I64]:
        """The digits of entry `index` of a tensor along its first axis, not to be changed."""
        return tensor.tables_at(self, index)

    def _tables(self, tensor: Tensor) -> list[I64]:
        return tensor.tables(self)

    def operands(self, tensor: Tensor, index: int | None = None) -> list[Operand]:
        """The digits of a tensor, or of entry `index` along its first axis, for `evaluate` over their shape."""
        return [*(self.tables(tensor) if index is None else self.tables_at(tensor, index))]

    def evaluate(self, shape: tuple[int, ...], operands: Sequence[Operand], results: Sequence[Result]) -> list[bool]:
        """Sums of products of digits over a shape without empty axes (zkds/native/entrywise.py)."""
        return entrywise.evaluate(np.zeros(0, dtype=np.uint32), Boxes.whole(shape), operands, results)


class VectorReader(Reader):
    """Columns of the committed vector."""

    def __init__(self, layout: Layout, vector: U32) -> None:
        super().__init__()
        self.vector = vector
        self._layout = layout
        self._kept_columns: Recent[str, U32] = Recent(self._read, lambda column: column.nbytes, KEPT_COLUMNS)
        self._places: Recent[tuple[str, int | None], I64] = Recent(self._places_of, lambda places: places.nbytes, KEPT_PLACES)

    def read(self, name: str) -> U32:
        return self._kept_columns[name]

    def _read(self, name: str) -> U32:
        values = self._layout.read(self.vector, name)
        values.setflags(write=False)
        return values

    def read_entry(self, name: str, index: int) -> U32:
        return self._layout.read_entry(self.vector, name, index)

    def tables_at(self, tensor: Tensor, index: int) -> list[I64]:
        if tensor.linear_digits(index) is None:
            return super().tables_at(tensor, index)
        return self._evaluated(tensor, index, [np.empty(tensor.shape[1:], dtype=np.int64) for _ in tensor.digits])

    def _tables(self, tensor: Tensor) -> list[I64]:
        tables = [np.empty(tensor.shape, dtype=np.int64) for _ in tensor.digits]
        if tensor.linear_digits() is not None:
            return self._evaluated(tensor, None, tables)
        if len(tensor.shape) > 1 and tensor.linear_digits(0) is not None:
            for index in range(tensor.shape[0]):
                self._evaluated(tensor, index, [table[index] for table in tables])
            return tables
        return super()._tables(tensor)

    def _evaluated(self, tensor: Tensor, index: int | None, digits: list[I64]) -> list[I64]:
        """The same arrays, with the digits of a tensor, or of an entry of it, which are linear in columns."""
        results = [Result([Product(1, (j,))], values) for j, values in enumerate(digits)]
        self.evaluate(digits[0].shape, self.operands(tensor, index), results)
        return digits

    def operands(self, tensor: Tensor, index: int | None = None) -> list[Operand]:
        digits = tensor.linear_digits(index)
        if digits is None:
            return super().operands(tensor, index)
        boxes = len(boxes_of(tensor.shape if index is None else tensor.shape[1:]))
        return [self._cell_sum(digit, boxes) for digit in digits]

    def _places_of(self, entry: tuple[str, int | None]) -> I64:
        name, index = entry
        return self._layout.offsets(name) if index is None else self._layout.slice_offsets([name], [index])[0, 0]

    def _cell_sum(self, digit: LinearDigit, boxes: int) -> CellSum:
        """The digit of a tensor that has so many boxes."""
        places = np.zeros((len(digit.terms), boxes), dtype=np.uint64)
        for own, (_, name, index) in zip(places, digit.terms, strict=True):
            own[:] = self._places[name, index]
        return CellSum(digit.constant, tuple(scale for scale, _, _ in digit.terms), places)

    def evaluate(self, shape: tuple[int, ...], operands: Sequence[Operand], results: Sequence[Result]) -> list[bool]:
        return entrywise.evaluate(self.vector, boxes_of(shape).places, operands, results)

    def values(self, columns: LimbColumns) -> I64:
        return columns.values(self._layout, self.vector)

    def coefficients(self, columns: LimbColumns) -> list[I64]:
        return columns.coefficients(self._layout, self.vector)


class Recent(Generic[Key, Made]):
    """What was made for the last few keys, at most `count`, and KEPT_BYTES unless it is one."""

    def __init__(self, make: Callable[[Key], Made], size: Callable[[Made], int], count: int) -> None:
        self._make, self._size, self._count = make, size, count
        self._found: dict[Key, Made] = {}  # the oldest first
        self._bytes = 0

    def __getitem__(self, key: Key) -> Made:
        if key in self._found:
            self._found[key] = self._found.pop(key)
            return self._found[key]
        made = self._make(key)
        self._bytes += self._size(made)
        while self._found and (len(self._found) >= self._count or self._bytes > KEPT_BYTES):
            self._bytes -= self._size(self._found.pop(next(iter(self._found))))
        self._found[key] = made
        return made


@dataclass(frozen=True)
class ProverContext:
    """What every relation's `prove` needs."""

    channel: ProverChannel
    layout: Layout
    reader: VectorReader
    book: Book[K] = field(default_factory=Book)


@dataclass(frozen=True)
class VerifierContext:
    """What every relation's `verify` needs."""

    channel: VerifierEnd
    layout: Layout
    book: Book[Hidden] = field(default_factory=Book)


Context = ProverContext | VerifierContext


class Tensor(ABC):
    """An array of integers in digits. `digits` are exact intervals of each digit, `interval` one of the value.

    sources   the tensors that claims on this one are reduced to claims on
    """

    name: str
    shape: tuple[int, ...]
    digits: tuple[Interval, ...]
    interval: Interval
    sources: tuple[Tensor, ...]

    @abstractmethod
    def tables(self, reader: Reader) -> list[I64]:
        """The digits, lowest first: int64 arrays of `shape`. Prover only."""

    def integers(self, reader: Reader) -> I64:
        """The values themselves, where they fit int64. Prover only."""
        total = np.zeros(self.shape, dtype=np.int64)
        for j, digit in enumerate(reader.tables(self)):
            total += digit << np.int64(DIGIT_BITS * j)
        return total

    def tables_at(self, reader: Reader, index: int) -> list[I64]:
        """The digits of entry `index` along the first axis."""
        return [table[index] for table in reader.tables(self)]

    def linear_digits(self, index: int | None = None) -> list[LinearDigit] | None:
        """The digits, or those of entry `index` along the first axis, if they are linear in columns of the same shape."""
        return None

    @abstractmethod
    def prove_claims(self, context: ProverContext) -> None:
        """Reduce all claims on this tensor."""

    @abstractmethod
    def verify_claims(self, context: VerifierContext) -> None:
        """The verifier's side."""


class Committed(Tensor):
    """A tensor whose limbs are columns.

    A claim at a point, with any weights along the first axis, is a claim on the vector as it stands. All others become one by a
    sumcheck, and so do all if there are more than `most_separate`.

    checked         whether its columns need the range checks of their widths; not if constraints force the cells into a smaller
                    range
    most_separate   claims that stay apart; more than MOST_SEPARATE_CLAIMS where a sumcheck over the tensor costs more than they
    """

    sources = ()

    def __init__(self, columns: LimbColumns, *, checked: bool = True, most_separate: int = MOST_SEPARATE_CLAIMS) -> None:
        self.columns = columns
        self.checked = checked
        self.most_separate = most_separate
        self.name = columns.name
        self.shape = columns.shape
        self.digits = columns.format.digit_intervals
        self.interval = columns.format.interval

    @property
    def range_checks(self) -> list[Lookup]:
        """A lookup for every column."""
        return [Lookup(self.table(limb), name) for limb, name in enumerate(self.columns.names)]

    def table(self, limb: int) -> Table:
        """What holds every value of a limb, and no other one."""
        return RangeTable(self.columns.format.limb_widths[limb])

    def tables(self, reader: Reader) -> list[I64]:
        return self._digits(reader.coefficients(self.columns))

    def integers(self, reader: Reader) -> I64:
        return reader.values(self.columns)

    def tables_at(self, reader: Reader, index: int) -> list[I64]:
        limbs = [reader.read_entry(name, index) for name in self.columns.names]
        return self._digits(self.columns.format.coefficients(limbs))

    def linear_digits(self, index: int | None = None) -> list[LinearDigit]:
        number = self.columns.format
        limbs = zip(number.digit_factors, number.cell_offsets, self.columns.names, strict=True)
        return [LinearDigit(-factor * offset, ((factor, name, index),)) for factor, offset, name in limbs]

    def _digits(self, coefficients: list[I64]) -> list[I64]:
        pairs = zip(coefficients, self.columns.format.digit_factors, strict=True)
        return [digit if factor == 1 else digit * np.int64(factor) for digit, factor in pairs]

    def limb_weights(self, digit_weights: Sequence[K]) -> list[K]:
        """What the limbs count where the digits count so much."""
        pairs = zip(digit_weights, self.columns.format.digit_factors, strict=True)
        return [weight if factor == 1 else weight * factor for weight, factor in pairs]

    def _of_limbs(self, claim: TensorClaim[Value]) -> TensorClaim[Value]:
        return replace(claim, digit_weights=tuple(self.limb_weights(claim.digit_weights)))

    def prove_claims(self, context: ProverContext) -> None:
        claims = self._take(context.layout, context.book)
        if not claims:
            return
        combination = Combination.draw(context, self, claims)
        limbs = [padded(context.reader.read(name), self.shape) for name in self.columns.names]
        tables = [*combination.weight_tables(), *limbs]
        count = len(limbs)
        terms = [(ONE, (j, count + j)) for j in range(count)]
        point, finals = sumcheck.prove(context.channel, tables, terms, name=self.name, variables=variables(self.shape))
        points = split_point(self.shape, point)
        weights = combination.weights_at(points)
        value = dot(weights, finals[count:])
        context.book.vector_claims.append(Claim(lambda: self._pieces(context.layout, points, weights), value))

    def verify_claims(self, context: VerifierContext) -> None:
        claims = self._take(context.layout, context.book)
        if not claims:
            return
        combination = Combination.draw(context, self, claims)
        offset = dot(combination.powers, [self._offset(claim) for claim in claims])
        point, final = sumcheck.verify(context.channel, combination.value + offset, variables(self.shape), 2, name=self.name)
        points = split_point(self.shape, point)
        weights = combination.weights_at(points)
        context.book.vector_claims.append(Claim(lambda: self._pieces(context.layout, points, weights), final))

    def _take(self, layout: Layout, book: Book[Value]) -> list[TensorClaim[Value]]:
        """Move the claims that are claims on the vector there; return the others, or all if they are many."""
        claims, others = book.take(self), []
        for claim in claims:
            if self.is_direct(claim.axes) and len(claims) <= self.most_separate:
                book.vector_claims.append(self.vector_claim(layout, claim))
            else:
                others.append(self._of_limbs(claim))
        return others

    @staticmethod
    def is_direct(axes: Sequence[Axis]) -> bool:
        """Whether a claim with these axes is one on the vector: a point along all axes but the first."""
        return all(isinstance(axis, EqAxis) for axis in axes[1:])

    def vector_claim(self, layout: Layout, claim: TensorClaim[Value]) -> Claim[Value]:
        """A claim with such axes, as one on the vector."""
        claim = self._of_limbs(claim)
        return Claim(lambda: self._direct_pieces(layout, claim), claim.value + self._offset(claim))

    def _offset(self, claim: TensorClaim[Value]) -> K:
        """What a claim says of the public part that is subtracted from every top limb."""
        if not self.columns.format.top_offset:
            return ZERO
        product = claim.digit_weights[-1] * self.columns.format.top_offset
        for axis in claim.axes:
            product = product * axis.total()
        return product

    def _direct_pieces(self, layout: Layout, claim: TensorClaim[Value]) -> Pieces:
        first = claim.axes[0]
        points: list[tuple[K, ...]] = [axis.point for axis in claim.axes[1:] if isinstance(axis, EqAxis)]
        if isinstance(first, EqAxis):
            return self._pieces(layout, [first.point, *points], claim.digit_weights)
        vector = first.vector()
        indices = np.flatnonzero(vector.any(axis=1))
        scales = multiply(vector[indices, None], to_pairs(claim.digit_weights)[None])
        return layout.slice_pieces(self.columns.names, indices.tolist(), points, scales)

    def _pieces(self, layout: Layout, points: Sequence[Sequence[K]], weights: Sequence[K]) -> Pieces:
        return layout.pieces(self.columns.names, points, weights)


class Combination(Generic[Value]):
    """All claims on a tensor, combined with powers of a challenge chi: claim i counts chi^i times."""

    def __init__(self, tensor: Tensor, claims: Sequence[TensorClaim[Value]], chi: K) -> None:
        self.tensor = tensor
        self.claims: Sequence[TensorClaim[Value]] = claims
        self.powers = powers(chi, len(claims))

    @classmethod
    def draw(cls, context: Context, tensor: Tensor, claims: Sequence[TensorClaim[Value]]) -> Combination[Value]:
        """Draw chi; a single claim needs none."""
        if len(claims) == 1:
            return cls(tensor, claims, ONE)
        term = algebraic(f"{tensor.name}: chi", len(claims) - 1, "(claims - 1)/|K|", COMBINATION_SOURCE)
        return cls(tensor, claims, context.channel.challenge(term))

    @property
    def value(self) -> Value:
        """The combined claim's value."""
        total: Value = self.claims[0].value  # chi^0
        for claim, power in zip(self.claims[1:], self.powers[1:], strict=True):
            total = total + claim.value * power
        return total

    def weight_tables(self) -> list[U64]:
        """For every digit, sum_i chi^i digit_weight_ij prod_d w_id(x_d) over the padded index space: blocked tables of K.

        They end with the last real index of the first axis, if that is not one of the low ones.
        """
        parts = [high_and_low(claim.axes) for claim in self.claims]
        low = np.stack([low for _, low in parts])
        sides = [1 << axis.bits for axis in self.claims[0].axes]
        ends = len(parts[0][0]) // sides[0] * self.tensor.shape[0] if len(parts[0][0]) >= sides[0] else 1
        high = np.stack([high[:ends] for high, _ in parts], axis=1)
        return [self._combined(high, low, digit) for digit in range(len(self.tensor.digits))]

    def _combined(self, high: U64, low: U64, digit: int) -> U64:
        """high (rows, claims, 2) with the claims' factors for this digit, times low (claims, m, 2, 8)."""
        factors = [power * claim.digit_weights[digit] for claim, power in zip(self.claims, self.powers, strict=True)]
        spread = np.broadcast_to(to_pairs(factors), high.shape).reshape(-1, 2)
        weights = unblock(native.k_mul(block(high.reshape(-1, 2)), block(spread)), len(spread)).reshape(high.shape)
        return native.k_matmul(weights, low).reshape(-1, 2, 8)

    def weights_at(self, points: Sequence[Sequence[K]]) -> list[K]:
        """The multilinear extensions of `weight_tables` at a point given by axis."""
        totals = [ZERO] * len(self.tensor.digits)
        for claim, power in zip(self.claims, self.powers, strict=True):
            product = power
            for axis, point in zip(claim.axes, points, strict=True):
                product = product * axis.at(point)
            totals = [total + product * weight for total, weight in zip(totals, claim.digit_weights, strict=True)]
        return totals


class ColumnReader(Reader):
    """Columns that are in no vector."""

    def __init__(self, columns: Mapping[str, U32]) -> None:
        super().__init__()
        self.columns = dict(columns)

    def read(self, name: str) -> U32:
        return self.columns[name]

    def read_entry(self, name: str, index: int) -> U32:
        entry: U32 = self.columns[name][index]
        return entry

    def values(self, columns: LimbColumns) -> I64:
        number = columns.format
        total = np.full(columns.shape, -number.offset, dtype=np.int64)
        for j, limb in enumerate(columns.limbs(self.columns)):
            total += limb.astype(np.int64) * np.int64(number.digits.radix**j)
        return total

    def coefficients(self, columns: LimbColumns) -> list[I64]:
        return columns.format.coefficients(columns.limbs(self.columns))

    def add(self, columns: Columns) -> None:
        """More columns; those that are there stay."""
        for owner, values in columns.items() if isinstance(columns, Mapping) else columns:
            self.columns.update({owner: values} if isinstance(owner, str) else owner.split(values))

    def __contains__(self, name: str) -> bool:
        return name in self.columns


class VectorWriter(VectorReader):
    """A vector that columns are written to, one after the other, and read from once they are there."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, np.zeros(layout.cells, dtype=np.uint32))
        self._written: set[str] = set()

    def add(self, columns: Columns) -> None:
        """Write columns to their places. Raises what `Layout.write` and `LimbColumns.write` raise."""
        for owner, values in columns.items() if isinstance(columns, Mapping) else columns:
            if isinstance(owner, str):
                self._layout.write(self.vector, owner, values)
                self._written.add(owner)
            else:
                owner.write(self._layout, self.vector, values)
                self._written.update(owner.names)

    def __contains__(self, name: str) -> bool:
        return name in self._written

    def finished(self, columns: Iterable[str]) -> U32:
        """The vector. Raises ValueError unless these columns were written, and no others."""
        wanted = set(columns)
        if wanted != self._written:
            missing, unknown = sorted(wanted - self._written), sorted(self._written - wanted)
            raise ValueError(f"columns: missing {missing}, unknown {unknown}")
        return self.vector


def draw_points(context: Context, name: str, shape: Sequence[int]) -> tuple[tuple[K, ...], ...]:
    """A random point of a tensor's index, ceil(log2 d) coordinates for each dimension d, lowest bit first."""
    term = point_term(name)
    return tuple(tuple(context.channel.challenge(term) for _ in range((length - 1).bit_length())) for length in shape)


def point_term(name: str) -> ErrorTerm:
    """The budget term of one coordinate of a random point at which a multilinear identity is checked."""
    return algebraic(f"{name}: point", 1, "1 / |K|", SCHWARTZ_ZIPPEL)


def value_weights(tensor: Tensor) -> list[K]:
    """The digit weights of a tensor's value: powers of 2^16."""
    return powers(K(1 << DIGIT_BITS), len(tensor.digits))
