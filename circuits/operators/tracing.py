"""How operators read programs of torch.export: what an importer has followed, and what it offers to the operators' handlers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.operators.operator import Operator, Shape


class Unsupported(ValueError):
    """An operation that isn't supported, or not there. The message says what to do."""


@dataclass(frozen=True)
class Traced:
    """A tensor of a program, as the importer knows it.

    node      whose output it is, counted from 1; 0 for the network's input, None behind an obstacle
    shape     (C, H, W) of that output
    record    sizes of one record in the program: the shape, or one with the same numbers in the same order
    storage   the same for tensors that share memory: what one of them changes in place, all see changed
    """

    node: int | None
    shape: Shape
    record: tuple[int, ...]
    storage: int


class Importer(Protocol):
    """What a handler may ask for. Tensors are the program's references to them."""

    def traced(self, name: str, tensor: Any) -> Traced:
        """An argument of an operator, or what one was traced to.

        Raises Unsupported for a parameter, a buffer or what was changed in place since.
        """

    def image(self, name: str, tensor: Any) -> Traced:
        """One whose record is (C, H, W), as the node made it. Raises Unsupported for others."""

    def line(self, name: str, values: Traced) -> Traced:
        """The same of one whose record is (C, L): an image (C, 1, L). Raises Unsupported for others."""

    def reshaped(self, name: str, values: Traced, record: tuple[int, ...]) -> Traced:
        """The same numbers in the same order, in a record of other sizes."""

    def constant(self, value: Any) -> NDArray[np.float64] | None:
        """A number, or a constant of the model; None for others."""

    def affine(self, name: str, values: Traced, scale: Sequence[Fraction], shift: Sequence[Fraction]) -> Traced:
        """scale_c values + shift_c for every channel c: one node, with the affine map that made the values, if one did."""

    def weight_shape(self, name: str, given: Mapping[str, Any], dimensions: int) -> tuple[int, ...]:
        """Sizes of the argument `weight`, which with `bias` must be parameters that nothing else uses."""

    def crop(self, name: str, images: Traced, sides: tuple[int, int]) -> Traced:
        """Images whose last rows and columns nothing uses: they are not computed. Raises Unsupported where they are."""

    def add(self, name: str, operator: Operator, inputs: Sequence[Traced], record: tuple[int, ...] | None = None) -> Traced:
        """A new node; the record is its output's shape unless said otherwise. Raises Unsupported if the inputs don't fit."""

    def add_layer(
        self, name: str, given: Mapping[str, Any], operator: Operator, inputs: Sequence[Traced], record: tuple[int, ...] | None
    ) -> Traced:
        """The same for an operator with parameters, called after the argument `weight`, NAME.weight."""


Handler = Callable[[Importer, str, Mapping[str, Any]], Traced]


def require_values(name: str, given: Mapping[str, Any], **supported: Any) -> None:
    """Raise Unsupported unless the arguments have these values."""
    others = [f"{argument} {value}" for argument, value in supported.items() if given[argument] != value]
    if others:
        raise Unsupported(f"{name}: expected {', '.join(others)}; others aren't supported")


def of_lines(handler: Handler) -> Handler:
    """The handler of pools in one dimension, from that in two: windows of images (C, 1, L)."""
    first = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "output_size": 1}

    def handled(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
        lines = importer.line(name, importer.traced(name, given["self"]))
        pairs = {key: (first[key], *value) if key in first and value else value for key, value in given.items()}
        made = handler(importer, name, {**pairs, "self": replace(lines, record=lines.shape)})
        return replace(made, record=(made.shape[0], made.shape[2]))

    return handled


def as_image(record: tuple[int, ...]) -> Shape:
    """(C, H, W) of records of any sizes, which only three dimensions have themselves: (C, 1, L) of two, a vector of others."""
    match record:
        case (channels, height, width):
            return channels, height, width
        case (channels, length):
            return channels, 1, length
    return math.prod(record), 1, 1


def axis_of(name: str, axis: int, rank: int) -> int:
    """A dimension of (B, ...), of `rank` of them; negative ones count from the end. Raises ValueError for others."""
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: expected a dimension from {-rank} to {rank - 1}, got {axis}")
    return axis % rank
