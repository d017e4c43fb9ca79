"""Exact integer convolutions of all kinds: against Python ints, and against PyTorch in float64 where that is exact."""

import numpy as np
import pytest
import torch
from hypothesis import given, seed, settings

from tests.harness.convolutions import geometries
from tests.reference import integer_convolution as reference
from zkds.circuits.arithmetic.exact import Operand
from zkds.circuits.operators.convolution import exact
from zkds.circuits.operators.convolution.exact import Window
from zkds.circuits.operators.convolution.views import layer_views
from zkds.circuits.operators.convolution.windows import Geometry
from zkds.circuits.operators.convolution.windows import Window as Axis

pytestmark = pytest.mark.any_kernels
EVEN = "ignore:Using padding='same' with even kernel lengths"


def integers(found):
    return (found.hi.astype(object) << 32) + found.lo


def random_array(generator, bits, shape):
    """Entries of all magnitudes up to 2^bits - 1, the extremes among them."""
    entries = generator.integers(-(2**bits) + 1, 2**bits, shape) >> generator.integers(0, bits, shape)
    entries.flat[0] = (2**bits - 1) * generator.choice((1, -1))
    return entries


def window_of(geometry):
    rows, columns = axes = geometry.rows, geometry.columns
    pairs = [tuple(getattr(axis, name) for axis in axes) for name in ("kernel", "stride", "before", "outputs", "dilation")]
    return Window(*pairs, geometry.groups), (rows.inputs, columns.inputs)


def operands(geometry, bits):
    """Images, weights, deltas of one pass."""
    generator = np.random.default_rng(geometry.rows.inputs)
    shapes = (geometry.input_shape[1:], geometry.weight_shape, geometry.output_shape[1:])
    return [random_array(generator, count, shape) for count, shape in zip(bits, shapes, strict=True)]


def sums(geometry, images, weights, deltas):
    """(values, weight gradient, input gradient), as Python ints."""
    window, size = window_of(geometry)
    framed = exact.image_operand(images, window)
    kernel, back = Operand.of(weights), Operand.of(deltas)
    found = (
        exact.convolution(kernel, framed),
        exact.weight_gradient(back, framed, weights.shape),
        exact.input_gradient(kernel, back, window, size),
    )
    return [integers(total) for total in found]


@seed(5)
@settings(max_examples=80)
@given(geometries(most_inputs=7))
def test_the_three_sums_of_python_ints(geometry):
    images, weights, deltas = operands(geometry, (41, 44, 46))
    window, _ = window_of(geometry)
    expected = reference.sums(images, weights, deltas, window.stride, window.before, window.dilation, window.groups)
    for found, wanted in zip(sums(geometry, images, weights, deltas), expected, strict=True):
        assert found.shape == wanted.shape and (found == wanted).all()


@seed(6)
@settings(max_examples=60)
@given(geometries(most_inputs=16, most_kernel=5, most_groups=8))
def test_the_three_sums_of_pytorch(geometry):
    """Sums below 2^53: float64 is exact, and so are PyTorch's convolution and its gradients."""
    images, weights, deltas = operands(geometry, (18, 18, 18))
    torch.set_num_threads(1)
    inputs, kernel = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in (images, weights))
    padding, reached = [], []  # of the columns, then of the rows
    for axis in (geometry.columns, geometry.rows):
        reached.append(axis.reached)
        padding += [axis.before, max(0, reached[-1] - axis.before - axis.inputs)]
    window, _ = window_of(geometry)
    padded = torch.nn.functional.pad(inputs, padding)[..., : reached[1], : reached[0]]
    values = torch.nn.functional.conv2d(padded, kernel, None, window.stride, 0, window.dilation, window.groups)
    values.backward(torch.tensor(deltas, dtype=torch.float64))
    expected = [tensor.detach().numpy().astype(np.int64) for tensor in (values, kernel.grad, inputs.grad)]
    for found, wanted in zip(sums(geometry, images, weights, deltas), expected, strict=True):
        assert found.shape == wanted.shape and (found == wanted).all()


@pytest.mark.filterwarnings(EVEN)
@pytest.mark.parametrize("before, behind, dilation", [(1, 2, 1), (3, 3, 2), (4, 5, 3)])
def test_padding_that_pytorch_calls_same(before, behind, dilation):
    """An even kernel has one zero more behind than in front."""
    axis = Axis(7, 4, 1, before, 7, dilation)
    assert before + behind == axis.extent - 1
    geometry = Geometry(2, 2, 2, 3, axis, axis)
    images, weights, deltas = operands(geometry, (18, 18, 18))
    inputs = [torch.tensor(array, dtype=torch.float64) for array in (images, weights)]
    expected = torch.nn.functional.conv2d(*inputs, padding="same", dilation=dilation).numpy()
    assert (sums(geometry, images, weights, deltas)[0] == expected.astype(np.int64)).all()


def test_few_products_for_windows_side_by_side():
    """As many as remainders of a stride only where windows overlap: none for every tap, channel or group."""
    side_by_side, overlapping = Axis(32, 4, 4, 0, 8), Axis(32, 5, 4, 0, 7)
    for axis, count in ((side_by_side, 1), (overlapping, 16)):
        assert len(layer_views(Geometry(2, 1, 8, 8, axis, axis, 8)).input_gradient.products) == count
