"""Hidden values: arithmetic agrees with the values behind it, and only messages have products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkds.field import ONE, ZERO, K, P
from zkds.hidden import Constraints, Hidden

elements = st.builds(K, st.integers(0, P - 1), st.integers(0, P - 1))
small = st.integers(-5, 5)
MESSAGES = 3


@st.composite
def expressions(draw, depth: int = 4):
    """(function of the messages, used for plain values and for hidden ones alike)."""
    if depth == 0 or draw(st.booleans()):
        index = draw(st.integers(0, MESSAGES))
        constant = draw(elements)
        return (lambda m: m[index]) if index < MESSAGES else (lambda m: m[0] * 0 + constant)
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    scalar, integer = draw(elements), draw(small)
    return draw(
        st.sampled_from(
            [
                lambda m: left(m) + right(m),
                lambda m: left(m) - right(m),
                lambda m: -left(m),
                lambda m: left(m) * scalar,
                lambda m: scalar * left(m),
                lambda m: integer * left(m) + scalar,
                lambda m: scalar - left(m),
                lambda m: integer - left(m),
                lambda m: integer + left(m) - integer,
            ]
        )
    )


@settings(max_examples=150, derandomize=True)
@given(expressions(), st.lists(elements, min_size=3, max_size=3), st.lists(elements, min_size=3, max_size=3))
def test_arithmetic(expression, values: list[K], pads: list[K]) -> None:
    hidden = [Hidden.received(value + pad, j) for j, (value, pad) in enumerate(zip(values, pads, strict=True))]
    assert expression(hidden).evaluate(dict(enumerate(pads))) == expression(values)


@settings(max_examples=50, derandomize=True)
@given(st.lists(elements, min_size=3, max_size=3), st.lists(elements, min_size=3, max_size=3))
def test_products(values: list[K], pads: list[K]) -> None:
    constraints = Constraints(messages=MESSAGES)
    hidden = [Hidden.received(value + pad, j) for j, (value, pad) in enumerate(zip(values, pads, strict=True))]
    results = [constraints.product(hidden[i], hidden[j]) for i in range(3) for j in range(3)]
    assert constraints.products == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]  # each pair once, whatever its order
    variables = constraints.variables(pads)
    expected = [values[i] * values[j] for i in range(3) for j in range(3)]
    assert [result.evaluate(variables) for result in results] == expected


def test_only_messages_have_products() -> None:
    constraints = Constraints(messages=2)
    first, second = Hidden.received(ONE, 0), Hidden.received(ONE, 1)
    for computed in (first + 0, first * 1, -first, first + second, Hidden.public(3), constraints.product(first, second)):
        with pytest.raises(TypeError, match="two received messages"):
            constraints.product(computed, second)
        with pytest.raises(TypeError, match="two received messages"):
            constraints.product(second, computed)


@pytest.mark.parametrize("other", [Hidden.received(ONE, 0), Hidden.public(2), 1.5, "1", None])
def test_only_scalars_multiply(other: object) -> None:
    with pytest.raises(TypeError):
        Hidden.received(ONE, 0) * other
    with pytest.raises(TypeError):
        other * Hidden.received(ONE, 0)


def test_values_are_immutable() -> None:
    first, second = Hidden.received(K(5), 0), Hidden.received(K(6), 1)
    total = first + second
    assert (first.constant, dict(first.coefficients), first.message) == (K(5), {0: K(-1)}, 0)
    assert total.message is None and (total - second).message is None
    assert (total - second).coefficients[1] == ZERO


def test_elements_hold_python_integers() -> None:
    """Products of numpy's integers would overflow silently."""
    large = np.array([P - 1, P - 2], dtype=np.uint64)
    assert K(large[0], large[1]) * K(large[0], large[1]) == K(P - 1, P - 2) * K(P - 1, P - 2)
    with pytest.raises(TypeError):
        K(1.5)  # type: ignore[arg-type]


def test_public_values_need_no_variables() -> None:
    assert Hidden.public(7).evaluate({}) == K(7)
    assert (Hidden.public(K(7, 1)) * K(0, 1) + 2).evaluate({}) == K(1, 7)
