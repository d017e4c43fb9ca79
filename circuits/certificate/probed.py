"""The relation of one probe: committed records, the network's passes on them, norms, losses, the value.

A certificate has one for each of its probes, all of one model: w_0 and the constants are tensors of the certificate, and every
tensor, message and component of probe k > 1 is named as that of the first one, behind the prefix "probe k: ". The last one
states the results of all (metric/statistic.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import WEIGHT_BITS
from zkds.circuits.certificate.statement import SharpnessStatement, probe_prefix
from zkds.circuits.metric import sam
from zkds.circuits.metric.layer_squares import LayerSquares, LowRankWeight
from zkds.circuits.metric.scalars import Scalars
from zkds.circuits.metric.softmax import logit_delta_tensor
from zkds.circuits.networks.circuit import NetworkCircuit
from zkds.circuits.operators.operator import probe_schedule
from zkds.circuits.operators.parameter import ImplicitLayer, ProbeParameter, RoundedParameter, implicit_parameter
from zkds.circuits.operators.records import InputTensor, Records
from zkds.circuits.trajectory import Trajectory
from zkds.dataset.membership import Membership
from zkds.native import U32
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import ColumnReader, Tensor, VectorWriter

Values: TypeAlias = dict[str, NDArray[Any]]


class ProbeCircuit:
    """What proves one probe.

    model        w_0 of every parameter and every constant, by name: tensors of the certificate. Of those parameters that are
                 missing, `starts` has what is committed here
    membership   of the records
    before       those of all probes with smaller numbers: this one's is the next
    """

    def __init__(
        self,
        statement: SharpnessStatement,
        model: Mapping[str, Tensor],
        membership: Membership,
        before: Sequence[ProbeCircuit] = (),
    ) -> None:
        configuration, network, schema = statement.configuration, statement.network, statement.root.schema
        number = len(before) + 1
        self.prefix = prefix = probe_prefix(number)
        self.configuration = configuration
        schedule = probe_schedule(configuration)
        implicit = network.implicit(configuration)
        self.parameters = {
            name: ProbeParameter(f"{prefix}{name}", shape, configuration, model.get(name))
            for name, shape in network.parameters
            if name not in implicit
        }
        self.implicit = {
            name: implicit_parameter(f"{prefix}{name}", shape, configuration, implicit[name], model.get(name))
            for name, shape in network.parameters
            if name in implicit
        }
        self.records = Records(membership)
        multipliers, offsets = zip(*schema.channel_maps, strict=True)
        self.inputs = InputTensor(f"{prefix}input", self.records.elements, schema.element_bytes, multipliers, offsets)
        constants = {name: model[name] for name, _ in network.constants}
        self.network = NetworkCircuit(
            network, schedule, self.inputs, self.parameters, constants, self.implicit, prefix, statement.probes
        )
        delta = logit_delta_tensor(schedule, network.classes, prefix)
        self.network.propagate(delta)
        layers = [(layer, self._squares(layer)) for layer in self.network.implicit_layers]
        self.scalars: Scalars = Scalars(
            configuration,
            self.network.logits,
            self.records.labels,
            delta,
            [sam.Parameter(name, p.first_passes, p.gradient, p.perturbation) for name, p in self.parameters.items()],
            statement.results,
            [self._implicit_weight(layer, squares) for layer, squares in layers],
            self.network.limb_bits,
            number=number,
            others=[probe.scalars for probe in before] if number == statement.probes else None,
            prefix=prefix,
        )
        squares = [component for _, squares in layers for component in squares.components]
        self.components: list[Component] = [*self.network.components, *squares, self.scalars]

    @property
    def starts(self) -> dict[str, Tensor]:
        """w_0 of every parameter by name."""
        explicit: dict[str, Tensor] = {name: parameter.start for name, parameter in self.parameters.items()}
        return explicit | {name: parameter.start for name, parameter in self.implicit.items()}

    def _squares(self, layer: ImplicitLayer) -> LayerSquares:
        weight, bits = layer.weight, layer.weight.bits
        return LayerSquares(
            self.configuration,
            LowRankWeight(
                weight.name,
                weight.start,
                layer.inputs,
                layer.deltas,
                (layer.patches, layer.outputs),
                weight.update_factor,
                bits.weight_bits - WEIGHT_BITS,
                bits.squares_shift,
                bits.scaled_squares_shift,
                weight.weights if isinstance(weight, RoundedParameter) else None,
            ),
        )

    def _implicit_weight(self, layer: ImplicitLayer, squares: LayerSquares) -> sam.ImplicitWeight:
        weight = layer.weight
        name, shift = weight.name.removeprefix(self.prefix), weight.bits.perturbation_shift
        return sam.ImplicitWeight(
            name, layer.deltas, weight.perturbation_factor, shift, squares.squares, squares.scaled_squares
        )

    def write(self, columns: ColumnReader | VectorWriter, records: Mapping[str, U32], probes: Sequence[Trajectory]) -> None:
        """Add the columns of records and scalars; probes: the trajectories of all."""
        columns.add(records)
        columns.add(self.scalars.columns_of(*probes))

    def named(self, values: Values) -> Values:
        """A trajectory's values by their names in the circuit, taken from it one by one."""
        return {f"{self.prefix}{name}": values.pop(name) for name in list(values)}
