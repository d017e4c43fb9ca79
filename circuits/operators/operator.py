"""What an operator of a network is: its description, its exact semantics, its part of the circuit.

An operator is one file. Its class is a frozen dataclass, the description that a statement binds, and says

    shapes         what it makes of the shapes of its inputs, (channels, height, width) of one record each; its parameters
    binary points  how many fractional bits its output has, and the deltas of its inputs
    semantics      `forward` and `backward`, plain functions on int64 arrays, exact but for the roundings that they name
    relation       `build`: tensors and components that prove the same of committed cells, forwards, then backwards

A value that a tensor of the circuit commits goes by the name of that tensor: `Forward.values` and `Backward.values` are keyed
by what follows "NODE: " in it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Operand, Rounded
from zkds.circuits.arithmetic.fixed_point import (
    ACTIVATION_BITS,
    GRADIENT,
    GRADIENT_BITS,
    WEIGHT_BITS,
    Configuration,
    Place,
    Updates,
)
from zkds.circuits.operators.implicit import ImplicitWeight, Movement, OuterProducts, PassProducts
from zkds.circuits.operators.parameter import ImplicitLayer, ImplicitParameter, Parameter
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Tensor

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, int, int]  # (channels, height, width) of one record
Pair = tuple[int, int]  # (vertical, horizontal)

Weight = I64 | ImplicitWeight  # of a parameter in one pass; constants are arrays

MAX_DIMENSION = 1 << 20
MAX_ELEMENTS = 1 << 26  # of a parameter, and of what a node maps one record to


@dataclass(frozen=True)
class Placed:
    """A node in its network: all that its operator's semantics and relation depend on.

    name         of its tensors
    inputs       shapes of its inputs, `output` of its output
    input_bits   fractional bits of its inputs, `output_bits` of its output
    delta_bits   by how many fractional bits the deltas of its output exceed those of the scores
    wanted       which inputs' deltas something needs
    """

    name: str
    inputs: tuple[Shape, ...]
    output: Shape
    input_bits: tuple[int, ...]
    output_bits: int
    delta_bits: int
    wanted: tuple[bool, ...]


@dataclass(frozen=True)
class GradientKind:
    """What a pass makes of gradients: g of a first pass or U of a second one.

    name         "gradient" or "update", as in the names of their tensors
    format       of the result, with `bits` fractional bits
    delta_bits   fractional bits of the deltas of the scores in such a pass
    """

    name: str
    format: LimbFormat
    bits: int
    delta_bits: int


def gradient_kinds(configuration: Configuration) -> tuple[GradientKind, GradientKind]:
    """Of first and of second passes."""
    return GradientKind("gradient", GRADIENT, GRADIENT_BITS, GRADIENT_BITS), update_kind(configuration)


def update_kind(updates: Updates) -> GradientKind:
    """Of passes whose gradients move the weights."""
    return GradientKind("update", updates.update, WEIGHT_BITS, updates.second_bits)


@dataclass(frozen=True)
class Run:
    """Consecutive passes that make the same of gradients: the first one, and how many they are."""

    kind: GradientKind
    first: int
    count: int


@dataclass(frozen=True)
class Schedule:
    """The passes of a circuit: batches of T steps, seen once each and then, but for the last one's, again: P = 2 T - 1 passes.

    runs   cover all passes, in order; a parameter has a rounded tensor for each (`Parameter.rounded`)
    """

    steps: int
    batch_size: int
    runs: tuple[Run, ...]

    @property
    def passes(self) -> int:
        return 2 * self.steps - 1


def probe_schedule(configuration: Configuration) -> Schedule:
    """First passes with gradients, then second passes with updates."""
    first, second = gradient_kinds(configuration)
    steps = configuration.steps
    return Schedule(steps, configuration.batch_size, (Run(first, 0, steps), Run(second, steps, steps - 1)))


@dataclass(frozen=True, repr=False)
class Forward:
    """What a node computes in one pass.

    output     (B, C, H, W) int64
    values     what else its tensors commit, by what they are called
    operands   factors of exact products that the backward pass uses again
    implicit   an implicit weight that it uses again
    products   what this weight's tensors commit
    """

    output: I64
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    operands: Mapping[str, Operand] = field(default_factory=dict)
    implicit: ImplicitWeight | None = None
    products: PassProducts = field(default_factory=PassProducts)


@dataclass(frozen=True, repr=False)
class Backward:
    """What a node computes on the way back.

    deltas      of its inputs; None where nothing needs them
    values      what its tensors commit, by what they are called
    gradients   of its parameters, by the last word of their names
    implicit    the exact gradient of its implicit weight, by the last word of its name
    products    what this weight's tensors commit
    """

    deltas: Sequence[I64 | None]
    values: Mapping[str, I64] = field(default_factory=dict)
    gradients: Mapping[str, Rounded] = field(default_factory=dict)
    implicit: Mapping[str, OuterProducts] = field(default_factory=dict)
    products: PassProducts = field(default_factory=PassProducts)


class Scope(Protocol):
    """Where a node's relation is built: the whole network's circuit."""

    schedule: Schedule
    limb_bits: int  # of remainders and carries of rounded sums

    def output(self, placed: Placed) -> Tensor:
        """The tensor [32] that the node's relation shall constrain as its rounded output: a new committed one, or the one by
        which its only consumer represents its input. To be called once.
        """

    def constant(self, placed: Placed, word: str) -> Tensor:
        """A constant of the node's (`Operator.constants`), of its shape."""

    def implicit_weight(self, placed: Placed) -> ImplicitParameter | None:
        """The node's weight if it is implicit; it is none of the parameters that its `build` is given then."""

    def claim_sign(self, tensor: Tensor) -> bool:
        """Whether the top limb of this tensor may be looked up together with its sign: the first who asks may."""


@dataclass(frozen=True)
class BuiltBackward:
    """The relation of a node's way back: the deltas of its inputs (None where nothing needs them) and what proves them.

    implicit   of a layer whose weight is implicit: what its norms are computed from
    """

    deltas: Sequence[Tensor | None]
    components: Sequence[Component] = ()
    implicit: ImplicitLayer | None = None


class Built(ABC):
    """The relation of a node.

    output       its output, (P, B, C, H, W)
    components   what proves it
    supplied     of a node that was built by `represent`: the tensor by which it represents the input that was not there
    """

    output: Tensor
    components: Sequence[Component] = ()
    supplied: Tensor | None = None

    @abstractmethod
    def backward(self, delta: Tensor) -> BuiltBackward:
        """The way back, from the deltas of the output."""


class Operator(ABC):
    """A kind of node. KIND names it in statements; INPUTS is the number of its inputs, None for two or more.

    ROUNDS: whether its output is rounded to 32 fractional bits, in the format CONVOLUTION
    TABLES: whether it looks up tables of a function, which all nodes of the kind share and a verifier computes
    """

    KIND: ClassVar[str]
    INPUTS: ClassVar[int | None] = 1
    ROUNDS: ClassVar[bool] = False
    TABLES: ClassVar[bool] = False

    # ---- description ----

    @property
    def rounds(self) -> bool:
        """`ROUNDS`; of operators for which it depends on their fields, what these say."""
        return self.ROUNDS

    @abstractmethod
    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """The shape of the output. Raises ValueError, naming the field, if these inputs do not fit."""

    @property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(last word of the name, shape) of every parameter."""
        return ()

    @property
    def constants(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(last word of the name, shape) of every tensor of the model that is no parameter: nothing perturbs or updates it."""
        return ()

    def constant_integers(self, word: str, values: NDArray[np.float64]) -> I64:
        """The integers that stand for a constant, below CONSTANT's bounds. Raises ValueError for values that have none."""
        raise ValueError(f"{self.KIND}: no constant {word}")

    @abstractmethod
    def numbers(self) -> tuple[int, ...]:
        """All fields as non-negative integers below 2^64, for the canonical encoding."""

    @classmethod
    @abstractmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        """The inverse of `numbers`. Raises ValueError for any others."""

    def output_bits(self, inputs: Sequence[int]) -> int:
        """Fractional bits of the output, from those of the inputs."""
        return ACTIVATION_BITS if self.rounds else max(inputs)

    def input_delta_bits(self, delta_bits: int) -> int:
        """`Placed.delta_bits` of the inputs' deltas, from that of the output's."""
        return 0 if self.rounds else delta_bits

    def implicit(self, inputs: Sequence[Shape], input_bits: Sequence[int], configuration: Configuration) -> dict[str, Movement]:
        """Those parameters that are `ImplicitWeight` in all passes (circuits/operators/implicit.py), by their last words."""
        return {}

    def windows(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        """Of every axis along which the operator moves windows: what a verifier's sums of weights along it cost, in entries."""
        return ()

    def unfolded(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        """Rows and columns of what it makes of its inputs besides the output, such as the entries of all windows."""
        return ()

    def table_rows(self, placed: Placed) -> int:
        """Of the tables that are of its own sizes, so that no other operator shares them."""
        return 0

    # ---- semantics ----

    @abstractmethod
    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, Any], place: Place) -> Forward:
        """One pass, on inputs (B, C, H, W); parameters and constants by the last words of their names. Raises Overflow."""

    @abstractmethod
    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        """From the deltas of the output (B, C, H, W) to those of the inputs and the gradients. Raises Overflow."""

    # ---- relation ----

    @abstractmethod
    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        """The relation between inputs (P, B, C, H, W) and the output."""

    def represent(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor | None]) -> Built | None:
        """The relation with one input missing, which it represents by its own tensors; None if it can't.

        That input is the rounded output of a node without other consumers, which is not committed then.
        """
        return None

    # ---- torch ----

    @abstractmethod
    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        """The torch module that computes the same in floating point, from (B, C, H, W) each to (B, C, H, W). Needs torch."""


def require_dimension(what: str, value: object, least: int = 1) -> None:
    """Raise TypeError or ValueError unless `least` <= value <= MAX_DIMENSION."""
    if type(value) is not int:
        raise TypeError(f"{what}: expected an int, got {value!r}")
    if not least <= value <= MAX_DIMENSION:
        raise ValueError(f"{what}: expected {least} to {MAX_DIMENSION}, got {value}")


def require_pair(what: str, pair: object, least: int = 1) -> None:
    """Raise TypeError or ValueError unless it is a pair of such values."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError(f"{what}: expected a pair of ints, got {pair!r}")
    for value in pair:
        require_dimension(what, value, least)


def require_bool(what: str, value: object) -> None:
    """Raise TypeError unless it is a bool."""
    if type(value) is not bool:
        raise TypeError(f"{what}: expected a bool, got {value!r}")


def require_elements(what: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError for more than MAX_ELEMENTS elements."""
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"{what}: expected at most {MAX_ELEMENTS} elements, got shape {shape}")


def read_bool(what: str, number: int) -> bool:
    """Raise ValueError unless it is 0 or 1."""
    if number not in (0, 1):
        raise ValueError(f"{what}: expected 0 or 1, got {number}")
    return bool(number)


def require_count(kind: str, numbers: Sequence[int], count: int) -> None:
    """Raise ValueError unless there are so many numbers."""
    if len(numbers) != count:
        raise ValueError(f"{kind}: expected {count} numbers, got {len(numbers)}")
