"""The weights along the trajectory: never committed for more than the first step.

    W_p = w0 - sum_(u < t) U_u              p = t, the first pass of step t
    W_p = w0 - sum_(u < t) U_u + E_t        p = T + t, the second pass of step t

A parameter's values in all passes are linear in the committed start w0, the increments U (T - 1, ..) and the perturbations E
(T - 1, ..), digit by digit, so a claim on them splits along the pass axis into one claim on each, and needs no sumcheck.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkds.circuits.arithmetic.fixed_point import GRADIENT, WEIGHT, Configuration
from zkds.circuits.operators.implicit import PERTURBATION_FACTOR, START_BASE, ImplicitBits, Movement, weight_base
from zkds.claims import Value
from zkds.field import ZERO, K, from_pairs, to_pairs
from zkds.identities.balanced_digits import BalancedColumns, BalancedFormat, BalancedValue
from zkds.identities.gram_squares import RowView
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.native import U64, field
from zkds.tensors.axes import VectorAxis
from zkds.tensors.contraction import weigh_groups
from zkds.tensors.entrywise import EntrywiseSums
from zkds.tensors.linear import DifferencesOf, EntryOf, LinearTensor, Term
from zkds.tensors.tensor import MOST_SEPARATE_CLAIMS, Committed, LinearDigit, Reader, Tensor, TensorClaim, sum_of_digits

ZERO_INTERVAL = Interval(0, 0)


class WeightTensor(LinearTensor):
    """A parameter in every pass (P, ..), or, as `first_passes`, at the start of every step (T, ..).

    start          w0, of the parameter's shape
    updates        U (T - 1, ..), or None if T = 1
    perturbations  E (T - 1, ..), or None if T = 1 or for `first_passes`
    """

    def __init__(self, name: str, steps: int, start: Tensor, updates: Tensor | None, perturbations: Tensor | None) -> None:
        for tensor in (updates, perturbations):
            if tensor is not None and tensor.shape != (steps - 1, *start.shape):
                raise ValueError(f"{tensor.name}: expected shape {(steps - 1, *start.shape)}, got {tensor.shape}")
        if (updates is None) != (steps == 1) or (perturbations is not None and steps == 1):
            raise ValueError(f"{name}: expected updates for more than one step, and none for one")
        self.name = name
        self.steps = steps
        self.start = start
        self.updates = updates
        self.perturbations = perturbations
        self.sources = tuple(part for part in self._parts if part is not None)
        passes = steps if perturbations is None else 2 * steps - 1
        self.shape = (passes, *start.shape)
        self.digits = tuple(self._hull([_digit(part, j) for part in self._parts]) for j in range(self._digit_count))
        self.interval = self._hull([ZERO_INTERVAL if part is None else part.interval for part in self._parts])

    @property
    def _parts(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return self.start, self.updates, self.perturbations

    @property
    def _digit_count(self) -> int:
        return max(len(part.digits) for part in self._parts if part is not None)

    def _hull(self, parts: Sequence[Interval]) -> Interval:
        """Of the sum in any pass: from none to all updates, with or without a perturbation."""
        start, update, perturbation = parts
        updates = (-update).times(self.steps - 1).with_zero()
        return start + updates + perturbation.with_zero()

    def tables(self, reader: Reader) -> list[I64]:
        result = [np.empty(self.shape, dtype=np.int64) for _ in self.digits]
        for index in range(self.shape[0]):
            self._write(reader, index, [table[index] for table in result])
        return result

    def tables_at(self, reader: Reader, index: int) -> list[I64]:
        result = [np.empty(self.shape[1:], dtype=np.int64) for _ in self.digits]
        self._write(reader, index, result)
        return result

    def _write(self, reader: Reader, index: int, digits: Sequence[I64]) -> None:
        """The digits of one pass, (*shape of the parameter)."""
        sums = EntrywiseSums(reader, self.shape[1:], range(len(digits)))
        for sign, part, entry in self._summands(index):
            sums.add(sign, 0, reader.operands(part, entry))
        sums.write(digits)

    def _summands(self, index: int) -> list[tuple[int, Tensor, int | None]]:
        """W_p as a sum: (sign, tensor, entry of its first axis)."""
        step = index if index < self.steps else index - self.steps
        parts: list[tuple[int, Tensor, int | None]] = [(1, self.start, None)]
        if self.updates is not None:
            parts += [(-1, self.updates, before) for before in range(step)]
        if self.perturbations is not None and index >= self.steps:
            parts.append((1, self.perturbations, step))
        return parts

    def linear_digits(self, index: int | None = None) -> list[LinearDigit] | None:
        if index is None:
            return None
        parts: list[list[tuple[int, LinearDigit]]] = [[] for _ in self.digits]
        for sign, part, entry in self._summands(index):
            own = part.linear_digits(entry)
            if own is None:
                return None
            for summands, digit in zip(parts, own, strict=False):
                summands.append((sign, digit))
        return list(map(sum_of_digits, parts))

    def weigh(self, reader: Reader, axis: int, weights: U64) -> list[U64]:
        """For every digit, sum_n weights[n] digit[p, .., n, ..] in every run of entries along an axis but the first.

        (n, 2) pairs -> (P, .., runs, .., 2) pairs, one run if the axis has n entries. The parts are contracted, and their
        results combined: the weights of all passes are never stored.
        """
        parts = [self._weighed(part, reader, axis - (part is self.start), weights) for part in self._parts]
        shape = [*self.shape[1:], 2]
        shape[axis - 1] //= len(weights)
        zero = np.zeros(shape, dtype=np.uint64)
        return [self._in_passes(zero, *(part[j] if j < len(part) else None for part in parts)) for j in range(len(self.digits))]

    @staticmethod
    def _weighed(part: Tensor | None, reader: Reader, axis: int, weights: U64) -> list[U64]:
        if part is None:
            return []
        tables = zip(part.tables(reader), part.digits, strict=True)
        return [weigh_groups(table, axis, weights[None], digit.magnitude()) for table, digit in tables]

    def _in_passes(self, zero: U64, start: U64 | None, updates: U64 | None, perturbations: U64 | None) -> U64:
        """What `tables` does, with arrays of K; a part without this digit counts as zero."""
        values = [zero if start is None else start]
        for step in range(self.steps - 1):
            values.append(values[-1] if updates is None else field.sub(values[-1], updates[step]))
        for step in range(self.shape[0] - self.steps):
            values.append(values[step] if perturbations is None else field.add(values[step], perturbations[step]))
        return np.stack(values)

    # ---- claims ------------------------------------------------------------------------------------------------------

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        """What the claim asks of w0, U and E.

        With w_p the claim's weights on the passes: sum_p w_p on w0; minus the sum over later steps' passes on U_u; w_(T + t)
        on E_t.
        """
        by_pass, *rest = claim.axes
        weights = by_pass.vector()
        scaled = [by_pass.total() * weight for weight in claim.digit_weights[: len(self.start.digits)]]
        terms = [Term(self.start, rest, scaled)]
        if self.updates is not None:
            axis = VectorAxis(self._later(weights))
            negated = [-weight for weight in claim.digit_weights[: len(self.updates.digits)]]
            terms.append(Term(self.updates, [axis, *rest], negated))
        if self.perturbations is not None:
            axis = VectorAxis(np.ascontiguousarray(weights[self.steps :]))
            kept = claim.digit_weights[: len(self.perturbations.digits)]
            terms.append(Term(self.perturbations, [axis, *rest], kept))
        return terms, ZERO

    def _later(self, weights: U64) -> U64:
        """For u < T - 1, the sum of the weights of all passes of the steps after u."""
        by_step = weights[: self.steps].copy()
        if len(weights) > self.steps:
            by_step[:-1] = field.add(np.ascontiguousarray(by_step[:-1]), np.ascontiguousarray(weights[self.steps :]))
        sums = list(itertools.accumulate(reversed(from_pairs(by_step[1:]))))
        return to_pairs(reversed(sums))


def _digit(tensor: Tensor | None, j: int) -> Interval:
    return tensor.digits[j] if tensor is not None and j < len(tensor.digits) else ZERO_INTERVAL


def constant(name: str, shape: tuple[int, ...]) -> Committed:
    """A constant of a model: the same integers in all passes."""
    return Committed(LimbColumns(f"{name}: constant", WEIGHT, shape))


class Parameter:
    """A weight or a bias, as the relation of its node takes it.

    passes    W_p in every pass (P, ..)
    rounded   what the passes make of its gradients: a tensor (passes, ..) for each of the schedule's runs
    """

    def __init__(self, name: str, passes: Tensor, rounded: tuple[Committed, ...]) -> None:
        self.name = name
        self.passes = passes
        self.rounded = rounded


class ProbeParameter(Parameter):
    """A weight or a bias along the trajectory.

    start         w0, of the parameter's shape; committed here unless it is given
    gradient      g (T, ..)
    update        U (T - 1, ..)
    perturbation  E (T - 1, ..)
    passes        W_p in every pass (2 T - 1, ..), virtual
    first_passes  w_t at the start of every step (T, ..), virtual
    """

    def __init__(self, name: str, shape: tuple[int, ...], configuration: Configuration, start: Tensor | None = None) -> None:
        steps = configuration.steps

        def committed(what: str, number: LimbFormat, count: int) -> Committed:
            return Committed(LimbColumns(f"{name}: {what}", number, (count, *shape)))

        self.start = Committed(LimbColumns(f"{name}: start", WEIGHT, shape)) if start is None else start
        self.gradient = committed("gradient", GRADIENT, steps)
        self.update = committed("update", configuration.update, steps - 1)
        self.perturbation = committed("perturbation", configuration.perturbation_format, steps - 1)
        passes = WeightTensor(f"{name}: passes", steps, self.start, self.update, self.perturbation)
        self.first_passes = WeightTensor(f"{name}: first passes", steps, self.start, self.update, None)
        super().__init__(name, passes, (self.gradient, self.update))


class ImplicitParameter:
    """A layer's weight (M, C, kernel) that moves by exact products of small tensors (circuits/operators/implicit.py).

    start                 w0, of the weight's shape; committed here unless it is given, for ASAM sharpness in the digits of
                          which sums of squares are made (circuits/metric/layer_squares.py)
    update_factor         D^ (T - 1, B, M, Y, X): U_u = D^_u^T a_(T + u), a the patches of the inputs
    perturbation_factor   E^ (T - 1, B, M, Y, X): E_t = E^_t^T a_t
    """

    def __init__(
        self, name: str, shape: tuple[int, ...], configuration: Configuration, bits: ImplicitBits, start: Tensor | None = None
    ) -> None:
        factors = (configuration.steps - 1, configuration.batch_size, shape[0], *bits.positions)
        self.name = name
        self.bits = bits
        self.start = _implicit_start(name, shape, configuration) if start is None else start
        self.update_factor = Committed(LimbColumns(f"{name}: update factor", bits.update_format, factors))
        self.perturbation_factor = Committed(LimbColumns(f"{name}: perturbation factor", PERTURBATION_FACTOR, factors))


def _implicit_start(name: str, shape: tuple[int, ...], configuration: Configuration) -> Tensor:
    if configuration.sharpness != "ASAM":
        return Committed(LimbColumns(f"{name}: start", WEIGHT, shape))
    number = BalancedFormat.holding(START_BASE, WEIGHT.interval)
    return BalancedValue(f"{name}: start", BalancedColumns(f"{name}: start digits", number, shape))


class RoundedParameter(ImplicitParameter):
    """Such a weight whose updates are rounded, U = round(D^^T a): w_t of every step is committed, and nothing else of its size.

    weights        w_t (T, M, C, kernel), in the digits of which sums of squares are made
    first_passes   the same, for identities; start is its first entry, unless it is given
    passes         w_t of the step of every pass (P, M, C, kernel): without E, which is implicit
    update         U (T - 1, M, C, kernel): the differences of first_passes
    """

    def __init__(
        self, name: str, shape: tuple[int, ...], configuration: Configuration, bits: ImplicitBits, start: Tensor | None = None
    ) -> None:
        steps, rows = configuration.steps, configuration.batch_size * math.prod(bits.positions)
        number = BalancedFormat.holding(weight_base(rows), WEIGHT.interval)
        most = MOST_SEPARATE_CLAIMS + steps  # the sums of squares of every step, and those of all users of first_passes
        self.weights = BalancedColumns(f"{name}: weights", number, (steps, *shape), most_separate=most)
        self.first_passes = BalancedValue(f"{name}: first passes", self.weights)
        self.passes = StepTensor(f"{name}: passes", self.first_passes)
        self.update = DifferencesOf(f"{name}: update", self.first_passes)
        self.given = start
        own = EntryOf(f"{name}: start", self.first_passes, 0)
        super().__init__(name, shape, configuration, bits, own)


def implicit_parameter(
    name: str, shape: tuple[int, ...], configuration: Configuration, bits: ImplicitBits, start: Tensor | None = None
) -> ImplicitParameter:
    """By what its updates are."""
    kind = ImplicitParameter if bits.movement is Movement.EXACT else RoundedParameter
    return kind(name, shape, configuration, bits, start)


class StepTensor(LinearTensor):
    """(2 T - 1, ..): in the first and the second pass of a step what `source` (T, ..) has of it."""

    def __init__(self, name: str, source: Tensor) -> None:
        self.name = name
        self.source = source
        self.sources = (source,)
        self.steps = source.shape[0]
        self.shape = (2 * self.steps - 1, *source.shape[1:])
        self.digits, self.interval = source.digits, source.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [np.concatenate([table, table[:-1]]) for table in reader.tables(self.source)]

    def tables_at(self, reader: Reader, index: int) -> list[I64]:
        return reader.tables_at(self.source, index % self.steps)

    def linear_digits(self, index: int | None = None) -> list[LinearDigit] | None:
        return None if index is None else self.source.linear_digits(index % self.steps)

    def weigh(self, reader: Reader, axis: int, weights: U64) -> list[U64]:
        """As that of a `WeightTensor`."""
        tables = zip(reader.tables(self.source), self.digits, strict=True)
        by_step = (weigh_groups(table, axis, weights[None], digit.magnitude()) for table, digit in tables)
        return [np.concatenate([table, table[:-1]]) for table in by_step]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        by_pass, *rest = claim.axes
        weights = by_pass.vector()
        by_step = weights[: self.steps].copy()
        by_step[:-1] = field.add(np.ascontiguousarray(by_step[:-1]), np.ascontiguousarray(weights[self.steps :]))
        return [Term(self.source, [VectorAxis(by_step), *rest], claim.digit_weights)], ZERO


@dataclass(frozen=True)
class ImplicitLayer:
    """What the metric needs to know of a layer whose weight is implicit.

    inputs    (P, B, C, H, W), of which a are the patches
    deltas    d (P, B, M, Y, X), of the outputs
    patches   how the rows of a lie in the inputs
    outputs   and those of d in the deltas
    """

    weight: ImplicitParameter
    inputs: Tensor
    deltas: Tensor
    patches: RowView
    outputs: RowView
