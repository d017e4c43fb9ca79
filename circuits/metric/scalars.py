"""Everything between the layers, put together: softmax and losses, norms and perturbation, the results; three blocks.

    circuit = Scalars(configuration, logits, records, delta, parameters, results)

Its identities make three blocks (zkds/identities/block.py), in the order of `blocks`: "scalars", "sums" and "parameters".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.metric.results import Results
from zkds.circuits.metric.sam import Norms, Parameter
from zkds.circuits.metric.softmax import Softmax
from zkds.circuits.metric.statistic import Statistic
from zkds.circuits.trajectory import Trajectory
from zkds.identities.block import Block
from zkds.identities.gadget import Gadget, joined, make_blocks
from zkds.lookup import Lookup
from zkds.native import U32
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Committed, ProverContext, Reader, Tensor, VerifierContext


class Scalars(Component):
    """The relation of all gadgets. Deterministic in its arguments; the results are part of the statement.

    logits      (P, B, K, 1, 1), a tensor of another relation
    records     the labels' bytes, (T, B) or (T, B, 2): of the relation that commits the data
    delta       `logit_delta_tensor`, committed here
    parameters  w, g of other relations, and E, committed here

    tensors     what is committed here, and what the identities are about
    """

    name = "scalars"

    def __init__(
        self,
        configuration: Configuration,
        logits: Tensor,
        records: Committed,
        delta: Committed,
        parameters: Sequence[Parameter],
        results: Results,
    ) -> None:
        self.softmax = Softmax(configuration, logits, records, delta)
        self.norms = Norms(configuration, parameters)
        self.statistic = Statistic(configuration, self.softmax, self.norms, results)
        self.gadgets: list[Gadget] = [*self.softmax.gadgets, self.norms, *self.statistic.gadgets]
        self.blocks: list[Block] = make_blocks(self.gadgets)

    @property
    def _parts(self) -> list[Gadget | Block]:
        return [*self.gadgets, *self.blocks]

    @property
    def tensors(self) -> list[Tensor]:
        return [owner for part in self._parts for owner in part.tensors]

    @property
    def lookups(self) -> list[Lookup]:
        """One for each column that is no secondary column of another one's."""
        return [lookup for part in self._parts for lookup in part.lookups]

    def check(self) -> None:
        """Raise PlanRejected unless every identity's plan is sound."""
        for block in self.blocks:
            block.check()

    def columns_of(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns, but for carries and those of tensors that go by the names of the trajectory's values."""
        return joined([part.witness(trajectory) for part in (self.softmax, self.norms, self.statistic)])

    def witness(self, reader: Reader) -> Iterator[tuple[str, U32]]:
        """The carries' columns, from a reader of all other columns of the circuit. Raises ValueError if an identity fails."""
        return itertools.chain.from_iterable(block.witness(reader) for block in self.blocks)

    def prove(self, context: ProverContext) -> None:
        """The prover's side. Adds claims to the tensors."""
        for block in self.blocks:
            block.prove(context)

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side. Adds claims to the tensors."""
        for block in self.blocks:
            block.verify(context)
