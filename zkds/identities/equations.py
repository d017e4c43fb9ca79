"""Linear equations between hidden values and tensors: the end of every relation's protocol.

An equation says that some claims on tensors (zkds/tensors/tensor.py) add up to a hidden value. Claims on committed tensors that
are claims on the vector as they stand become one, for all equations together, and no value of them is ever sent. For every
other tensor the prover sends the value of its claim, except for the last one of an equation without any of the former kind:
its value follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from zkds.claims import Claim, Pieces, Value
from zkds.commit.layout import Layout
from zkds.field import ZERO, K
from zkds.hidden import Hidden
from zkds.native import field
from zkds.tensors.axes import Axis, axes_table
from zkds.tensors.field_tables import weighed
from zkds.tensors.tensor import Book, Committed, ProverContext, Reader, Tensor, TensorClaim, VerifierContext


@dataclass(frozen=True)
class Form:
    """sum_x prod_d axes_d(x_d) sum_j weights_j digit_j(x), of one tensor."""

    tensor: Tensor
    axes: tuple[Axis, ...]
    weights: tuple[K, ...]

    @property
    def is_direct(self) -> bool:
        return isinstance(self.tensor, Committed) and Committed.is_direct(self.axes)

    def value(self, reader: Reader) -> K:
        """The prover's."""
        table = weighed(self.tensor.tables(reader), self.weights, self.tensor.shape)
        weights = axes_table(self.axes)
        return K(*field.k_dot(weights[: len(table)], table[: len(weights)]).tolist())


@dataclass(frozen=True, repr=False)
class Equation(Generic[Value]):
    """The forms add up to the value. Several equations must come with factors that make one sum of them as good as all."""

    forms: Sequence[Form]
    value: Value


def settle_prover(context: ProverContext, name: str, equations: Sequence[Equation[K]]) -> None:
    """Send the values that are needed, and record all claims."""

    def send(forms: Sequence[Form]) -> list[K]:
        values = [form.value(context.reader) for form in forms]
        context.channel.send(f"{name}: parts", values)
        return values

    _settle(context.layout, context.book, equations, send)


def settle_verifier(context: VerifierContext, name: str, equations: Sequence[Equation[Hidden]]) -> None:
    """The verifier's side. Raises ValueError for an equation without forms."""
    _settle(context.layout, context.book, equations, lambda forms: context.channel.receive(f"{name}: parts", len(forms)))


def _settle(
    layout: Layout, book: Book[Value], equations: Sequence[Equation[Value]], exchange: Callable[[Sequence[Form]], list[Value]]
) -> None:
    direct: list[Form] = []
    waiting: list[list[Form]] = []
    for equation in equations:
        forms = _merged(equation.forms)
        if not forms:
            raise ValueError("equation: expected at least one form")
        direct += [form for form in forms if form.is_direct]
        waiting.append([form for form in forms if not form.is_direct])
    sent = [forms if _has_direct(equation) else forms[:-1] for equation, forms in zip(equations, waiting, strict=True)]
    count = sum(map(len, sent))
    values = iter(exchange([form for forms in sent for form in forms]) if count else [])
    rest: list[Value] = []
    for equation, forms, known in zip(equations, waiting, sent, strict=True):
        left = equation.value
        for form in known:
            value = next(values)
            book.add(form.tensor, form.axes, form.weights, value)
            left = left - value
        if len(known) < len(forms):
            book.add(forms[-1].tensor, forms[-1].axes, forms[-1].weights, left)
        else:
            rest.append(left)
    if rest:
        book.vector_claims.append(_joined(layout, _merged(direct), rest))


def _has_direct(equation: Equation[Value]) -> bool:
    return any(form.is_direct for form in equation.forms)


def _merged(forms: Sequence[Form]) -> list[Form]:
    """One form for all that have one tensor and the same axes."""
    found: dict[tuple[str, tuple[Axis, ...]], Form] = {}
    for form in forms:
        key = (form.tensor.name, form.axes)
        if key in found:
            weights = tuple(a + b for a, b in zip(found[key].weights, form.weights, strict=True))
            form = Form(form.tensor, form.axes, weights)
        found[key] = form
    return list(found.values())


def _joined(layout: Layout, forms: Sequence[Form], values: Sequence[Value]) -> Claim[Value]:
    """The claim on the vector that the forms add up to the sum of the values."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    claims: list[Claim[K]] = []
    for form in forms:
        assert isinstance(form.tensor, Committed)
        claims.append(form.tensor.vector_claim(layout, TensorClaim(form.axes, form.weights, ZERO)))
        total = total + claims[-1].value
    return Claim(lambda: Pieces.joined([claim.pieces for claim in claims]), total)
