"""A circuit: components that prove something of tensors, put together; columns, lookups and the order of claims follow."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim
from zkds.commit.layout import Column, Layout
from zkds.field import K
from zkds.hidden import Hidden
from zkds.lookup import Lookup
from zkds.native import U32
from zkds.tensors.tensor import (
    ColumnReader,
    Columns,
    Committed,
    ProverContext,
    Reader,
    Tensor,
    VectorReader,
    VectorWriter,
    VerifierContext,
)


class Component(ABC):
    """Something that is proved of tensors.

    name      for messages
    tensors   every tensor that it commits or makes claims on; what these are made of (`Tensor.sources`) need not be named
    lookups   those that are no plain range checks
    """

    @property
    @abstractmethod
    def tensors(self) -> Sequence[Tensor]: ...

    @property
    def lookups(self) -> Sequence[Lookup]:
        return ()

    def check(self) -> None:  # noqa: B027 (most components have nothing to plan)
        """Raise PlanRejected unless what is proved modulo p holds over the integers."""

    def witness(self, reader: Reader) -> Columns:
        """Columns that follow from others, which the reader knows: carries, copies. Those of large tensors as they are made."""
        return {}

    @abstractmethod
    def prove(self, context: ProverContext) -> None:
        """The prover's side, after the root; adds claims to the tensors."""

    @abstractmethod
    def verify(self, context: VerifierContext) -> None:
        """The verifier's side."""


class ProvedByLookups(Component):
    """A component whose lookups say everything."""

    def prove(self, context: ProverContext) -> None:
        pass

    def verify(self, context: VerifierContext) -> None:
        pass


class Circuit:
    """The relation (zkds/statement.py) that all of its components hold.

    name        for error messages and progress
    statement   canonical bytes, of which all components are a function: circuits of equal statements are equal

    The components speak in the order in which they were added. Then all claims on tensors are reduced, and what is left are
    claims on the vector.
    """

    def __init__(self, name: str, statement: bytes) -> None:
        self.name = name
        self.components: list[Component] = []
        self._statement = statement

    def add(self, component: Component) -> None:
        """Prove this as well."""
        self.components.append(component)

    @property
    def tensors(self) -> list[Tensor]:
        """The components' tensors in order, each followed by its sources, and theirs, where they appear for the first time.

        Raises ValueError if two tensors have one name: claims on one of them would count as claims on the other.
        """
        found: dict[str, Tensor] = {}
        waiting = [tensor for component in self.components for tensor in component.tensors][::-1]
        while waiting:
            tensor = waiting.pop()
            if tensor.name not in found:
                found[tensor.name] = tensor
                waiting += reversed(tensor.sources)
            elif found[tensor.name] is not tensor:
                raise ValueError(f"{self.name}: two tensors are called {tensor.name!r}")
        return list(found.values())

    @property
    def claim_order(self) -> list[Tensor]:
        """The order in which claims are reduced: again and again the first of `tensors` that no tensor still to come uses."""
        tensors = self.tensors
        place = {tensor.name: j for j, tensor in enumerate(tensors)}
        users = Counter(source.name for tensor in tensors for source in tensor.sources)
        ready = [j for j, tensor in enumerate(tensors) if not users[tensor.name]]
        order = []
        while ready:
            order.append(tensors[heapq.heappop(ready)])
            for source in order[-1].sources:
                users[source.name] -= 1
                if not users[source.name]:
                    heapq.heappush(ready, place[source.name])
        if len(order) != len(tensors):
            raise ValueError(f"{self.name}: a tensor is a source of itself")
        return order

    @property
    def committed(self) -> list[Committed]:
        return [tensor for tensor in self.tensors if isinstance(tensor, Committed)]

    @property
    def columns(self) -> list[Column]:
        """Those of all committed tensors, in the order of `tensors`."""
        return [column for tensor in self.committed for column in tensor.columns.columns]

    @property
    def lookups(self) -> list[Lookup]:
        """The components' lookups, then a range check of every other column of a tensor that is not free of one."""
        lookups = [lookup for component in self.components for lookup in component.lookups]
        named = {name for lookup in lookups for name in (lookup.primary, *lookup.secondary)}
        limbs = [(tensor, *limb) for tensor in self.committed if tensor.checked for limb in enumerate(tensor.columns.names)]
        return lookups + [Lookup(tensor.table(limb), name) for tensor, limb, name in limbs if name not in named]

    def witness(self, columns: Mapping[str, U32], values: Mapping[str, NDArray[Any]]) -> dict[str, U32]:
        """All columns: those given, and what `complete` makes of them."""
        found = ColumnReader(columns)
        self.complete(found, dict(values))
        return found.columns

    def complete(self, columns: ColumnReader | VectorWriter, values: dict[str, NDArray[Any]]) -> None:
        """Add to the given columns those of committed tensors whose values are given, by name, and what components derive.

        Values are taken from the dictionary as they are written, so that their memory is free for what comes.
        Raises WitnessOverflow for a value that its tensor's format does not hold.
        """
        for tensor in self.committed:
            given = values.pop(tensor.name, None)
            if given is not None and tensor.columns.names[0] not in columns:
                columns.add([(tensor.columns, given.astype(np.int64, copy=False).reshape(tensor.shape))])
        for component in self.components:
            columns.add(component.witness(columns))

    def encode(self) -> bytes:
        """The statement: everything else is a function of it."""
        return self._statement

    def check(self) -> None:
        """Raise PlanRejected unless every component is sound over the integers."""
        for component in self.components:
            component.check()

    def prove(self, channel: ProverChannel, layout: Layout, vector: U32) -> list[Claim[K]]:
        """The prover's side, after the root of the commitment."""
        context = ProverContext(channel, layout, VectorReader(layout, vector))
        for component in self.components:
            component.prove(context)
        for tensor in self.claim_order:
            tensor.prove_claims(context)
        return context.book.finished()

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim[Hidden]]:
        """The verifier's side."""
        context = VerifierContext(channel, layout)
        for component in self.components:
            component.verify(context)
        for tensor in self.claim_order:
            tensor.verify_claims(context)
        return context.book.finished()
