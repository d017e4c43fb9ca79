"""One layer of a network as a part of the circuit: its tensors, identities, columns and witness, forwards and backwards.

A layer's forward half makes `output` out of `inputs`; its backward half makes the deltas of `inputs`, the gradients of the
first passes and the updates of the second ones out of the deltas of `output`. Halves are made in the order of the computation:
forwards from the first layer, backwards from the last. Shapes, shifts and formats are those of the semantics.
"""

from __future__ import annotations

from typing import Protocol

from zkds.circuits.arithmetic.fixed_point import (
    CONVOLUTION,
    DELTA,
    GRADIENT_BITS,
    WEIGHT_BITS,
    Configuration,
)
from zkds.circuits.networks.trajectory import Trajectory
from zkds.circuits.operators.average_pool import AveragePooled, Repeated
from zkds.circuits.operators.convolution.sums import (
    ForwardProducts,
    InputGradientProducts,
    WeightGradientProducts,
    bias_gradient_term,
    bias_term,
)
from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.circuits.operators.masked import Masked, Relu
from zkds.circuits.operators.max_pool import MaxPool
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.placed import Placed
from zkds.commit.layout import Column
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns
from zkds.lookup import Lookup
from zkds.native import U32
from zkds.tensors.tensor import ColumnReader, Committed, ProverContext, Tensor, VerifierContext


class Part(Protocol):
    """Something that is proved: a rounded sum, a max pool."""

    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> list[Column]: ...
    @property
    def widths(self) -> dict[str, int]: ...
    def check(self) -> None: ...
    def encode(self) -> bytes: ...
    def prove(self, context: ProverContext) -> None: ...
    def verify(self, context: VerifierContext) -> None: ...


class ForwardLayer:
    """Convolution, pooling and ReLU in all passes.

    values   the convolution's output, virtual behind a max pool
    output   the layer's output
    mask     0/1: which entries of `values` reach the output; None if all do
    """

    def __init__(
        self,
        placed: Placed,
        configuration: Configuration,
        inputs: Tensor,
        weight: Parameter,
        bias: Parameter | None,
    ) -> None:
        layer = placed.layer
        self.name = layer.name
        self.placed = placed
        self.inputs = inputs
        self.weight = weight
        self.bias = bias
        self.geometry = geometry_of(placed, configuration)
        self.size = layer.pool.size if layer.pool else 1
        self.pool: MaxPool | None = None
        self.relu: Relu | None = None
        self.mask: Committed | None = None
        self.average: AveragePooled | None = None
        shape = self.geometry.output_shape
        if layer.pool and layer.pool.kind == "max":
            window = (self.size, self.size)
            self.pool = MaxPool(f"{self.name}: max pool", shape, window, CONVOLUTION.width, relu=layer.relu)
            self.mask = self.pool.mask
            self.values: Tensor = self.pool.values
            self.output: Tensor = self.pool.output
        else:
            values = Committed(LimbColumns(f"{self.name}: convolution", CONVOLUTION, shape))
            self.values = self.output = values
            if layer.relu:
                self.relu = Relu(f"{self.name}: relu", values)
                self.mask, self.output = self.relu.bit, self.relu.output
            if layer.pool:
                self.average = AveragePooled(f"{self.name}: average pool", self.output, self.size)
                self.output = self.average
        products = ForwardProducts(self.geometry, weight.passes, inputs)
        linear = None if bias is None else bias_term(self.geometry, bias.passes, placed.input_bits)
        self.identity = RoundedSum(f"{self.name}: forward", self.values, placed.forward_shift, products, linear)

    @property
    def parts(self) -> list[Part]:
        return [self.identity] if self.pool is None else [self.identity, self.pool]

    @property
    def virtual(self) -> list[Tensor]:
        """In the order in which their claims are reduced."""
        relu = None if self.relu is None else self.relu.output
        pool = None if self.pool is None else self.pool.values
        return [tensor for tensor in (self.average, relu, pool) if tensor is not None]

    @property
    def committed(self) -> list[Committed]:
        """The committed tensors that are not a part's own columns."""
        values = [self.values] if isinstance(self.values, Committed) else []
        return values if self.relu is None else [*values, self.relu.bit]

    @property
    def own(self) -> list[Committed]:
        """The committed tensors whose columns belong to a part; claims on them are reduced with those on `committed`."""
        return [] if self.pool is None else [self.pool.mask, self.pool.output, self.pool.difference]

    @property
    def lookups(self) -> list[Lookup]:
        """Of columns that have another table than that of their range."""
        return [] if self.relu is None else [self.relu.lookup]

    def witness(self, reader: ColumnReader, trajectory: Trajectory, index: int) -> dict[str, U32]:
        """The layer's columns, from those of inputs and parameters; those of its tensors are added to the reader."""
        values = trajectory.convolution[index]
        columns: dict[str, U32] = {}
        if self.pool is not None:
            columns |= self.pool.witness(values)
        else:
            assert isinstance(self.values, Committed)
            columns |= self.values.columns.split(values)
        reader.add(columns)
        if self.relu is not None:
            columns |= self.relu.witness(reader)
            reader.add(columns)
        return columns | self.identity.witness(reader, trajectory.convolution_remainder[index])


class BackwardLayer:
    """Deltas of the convolution's output, of the inputs (unless they are the network's), gradients and updates.

    delta         of the convolution's output, virtual (or the given one, if nothing is in between)
    input_delta   of the inputs; None for the first layer
    """

    def __init__(self, forward: ForwardLayer, configuration: Configuration, output_delta: Tensor, *, first: bool) -> None:
        name, geometry = forward.name, forward.geometry
        self.forward = forward
        self.delta = _through(forward, output_delta)
        self._virtual = [] if self.delta is output_delta else [self.delta]
        self.input_delta: Committed | None = None
        self.input_identity: RoundedSum | None = None
        if not first:
            self.input_delta = Committed(LimbColumns(f"{name}: input delta", DELTA, geometry.input_shape))
            products = InputGradientProducts(geometry, forward.weight.passes, self.delta)
            shift = forward.placed.backward_shift
            self.input_identity = RoundedSum(f"{name}: input gradient", self.input_delta, shift, products)
        steps = configuration.steps
        kinds = (
            ("gradient", 0, steps, GRADIENT_BITS, GRADIENT_BITS),
            ("update", steps, steps - 1, configuration.second_bits, WEIGHT_BITS),
        )
        self.weight_identities: list[RoundedSum] = []
        for kind, start, count, delta_bits, bits in kinds:
            shift = forward.placed.gradient_shift(delta_bits, bits)
            for parameter in (forward.weight, forward.bias):
                if parameter is not None:
                    output = parameter.gradient if kind == "gradient" else parameter.update
                    self.weight_identities.append(self._gradient(f"{parameter.name}: {kind}", output, shift, start, count))

    def _gradient(self, name: str, output: Committed, shift: int, first: int, count: int) -> RoundedSum:
        """Of the weight, or (an output of two axes) of the bias: the weight of a constant input 1 = 2^input_bits."""
        forward = self.forward
        if len(output.shape) == 2:
            linear = bias_gradient_term(forward.geometry, self.delta, forward.placed.input_bits, first, count)
            return RoundedSum(name, output, shift, None, linear)
        return RoundedSum(
            name, output, shift, WeightGradientProducts(forward.geometry, self.delta, forward.inputs, first, count)
        )

    @property
    def parts(self) -> list[Part]:
        identities: list[Part] = [] if self.input_identity is None else [self.input_identity]
        return [*identities, *self.weight_identities]

    @property
    def virtual(self) -> list[Tensor]:
        """In the order in which their claims are reduced."""
        return list(self._virtual)

    @property
    def committed(self) -> list[Committed]:
        return [] if self.input_delta is None else [self.input_delta]

    def witness(self, reader: ColumnReader, trajectory: Trajectory, index: int) -> dict[str, U32]:
        """The layer's columns, from those of inputs, parameters and the deltas of its output; likewise."""
        columns: dict[str, U32] = {}
        if self.input_delta is not None and self.input_identity is not None:
            columns |= self.input_delta.columns.split(trajectory.input_delta[index])
            reader.add(columns)
            columns |= self.input_identity.witness(reader, trajectory.input_delta_remainder[index])
        for identity in self.weight_identities:
            name, kind = identity.name.rsplit(": ", 1)
            remainders = trajectory.gradient_remainder if kind == "gradient" else trajectory.update_remainder
            columns |= identity.witness(reader, remainders[name])
        return columns


def _through(forward: ForwardLayer, output_delta: Tensor) -> Tensor:
    """The deltas of the convolution's output, from those of the layer's."""
    if forward.mask is not None:
        return Masked(f"{forward.name}: delta", forward.mask, output_delta, (forward.size, forward.size))
    if forward.size > 1:
        return Repeated(f"{forward.name}: delta", output_delta, forward.size)
    return output_delta


def geometry_of(placed: Placed, configuration: Configuration) -> Geometry:
    """The sizes of a layer's convolution in all passes; rows and columns that no pooling window uses are left out."""
    layer = placed.layer
    rows, columns = (
        Window(inputs, kernel, stride, padding, outputs)
        for inputs, kernel, stride, padding, outputs in zip(
            placed.shapes.input[1:], layer.kernel, layer.stride, layer.padding, placed.convolution[1:], strict=True
        )
    )
    return Geometry(configuration.steps, configuration.batch_size, layer.channels_in, layer.channels_out, rows, columns)
