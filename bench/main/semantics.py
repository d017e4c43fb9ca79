"""How fast the fixed-point semantics is: exact multiplications a second, and the whole trajectory of a probe.

    python -m bench.main.semantics --repeat 5

One MAC is one exact product of two int64 operands (about 42 by 40 bits here) added to a sum of 96 bits.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from bench.core.timing import median_seconds
from zkds.circuits.arithmetic import exact
from zkds.circuits.arithmetic.fixed_point import Configuration, Place
from zkds.circuits.metric.implicit import scaled_squares
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.convolution import exact as convolution
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.implicit import ImplicitBits, ImplicitWeight, OuterProducts
from zkds.circuits.probe import run

ARCHITECTURES = ("lenet5", "lenet-k")


def macs(operator: Convolution, batch_size: int) -> int:
    """Of one pass in one direction; forward, input gradient and weight gradient have the same number."""
    return batch_size * math.prod(operator.outputs) * math.prod(operator.weight_shape)


def trajectory_macs(network: Network, configuration: Configuration) -> int:
    """Of all passes: three directions, but no gradient of the network's input."""
    operators = [node.operator for node in network.nodes]
    per_layer = [macs(found, configuration.batch_size) for found in operators if isinstance(found, Convolution)]
    return configuration.passes * (3 * sum(per_layer) - per_layer[0])


def measure(repeat: int) -> dict[str, float]:
    """Figures by name."""
    figures = {}
    configuration = Configuration.of()
    for name in ARCHITECTURES:
        network = zoo.network(name)
        generator = np.random.default_rng(1)
        weights = {name: generator.integers(-(2**36), 2**36, shape) for name, shape in network.parameters}
        batches = (configuration.steps, configuration.batch_size)
        inputs = generator.integers(0, 256, (*batches, *network.input_shape)) * (2**32 // 255)
        labels = generator.integers(0, network.classes, batches)
        action = _runner(network, weights, inputs, labels, configuration)
        action()  # builds the tables
        seconds = median_seconds(repeat, action)
        figures[f"{name}, trajectory, s"] = seconds
        figures[f"{name}, GMAC"] = trajectory_macs(network, configuration) / 1e9
        figures[f"{name}, GMAC/s of the whole trajectory"] = figures[f"{name}, GMAC"] / seconds
    figures.update(_kernels(repeat))
    figures.update(_implicit_squares(repeat))
    return figures


def _runner(*arguments: object) -> Callable[[], object]:
    return lambda: run(*arguments)


def _kernels(repeat: int) -> dict[str, float]:
    """GMAC/s of the three convolutions of LeNet-5's second layer on 64 records, framing and rounding included."""
    generator = np.random.default_rng(2)
    shape, batch_size = (6, 14, 14), 64
    operator = Convolution.over(shape, 16, (5, 5))
    images = generator.integers(0, 2**38, (batch_size, *shape))
    weights = generator.integers(-(2**41), 2**41, operator.weight_shape)
    deltas = generator.integers(-(2**40), 2**40, (batch_size, 16, *operator.outputs))
    window, size = operator.window, (shape[1], shape[2])

    def forward() -> object:
        return convolution.convolution(exact.Operand.of(weights), convolution.image_operand(images, window)).round(40)

    def input_gradient() -> object:
        return convolution.input_gradient(exact.Operand.of(weights), exact.Operand.of(deltas), window, size).round(40)

    def weight_gradient() -> object:
        operand = convolution.image_operand(images, window)
        return convolution.weight_gradient(exact.Operand.of(deltas), operand, operator.weight_shape).round(32)

    count = macs(operator, batch_size) / 1e9
    actions = {"forward": forward, "input gradient": input_gradient, "weight gradient": weight_gradient}
    return {f"{name}, 6x14x14 to 16x10x10, GMAC/s": count / median_seconds(repeat, action) for name, action in actions.items()}


def _implicit_squares(repeat: int) -> dict[str, float]:
    """Microseconds a weight for the sum of (w g)^2 of an implicit layer, before and behind four updates."""
    generator = np.random.default_rng(3)
    outer, inner, records = 1024, 2048, 8

    def outer_products(bits: int) -> OuterProducts:
        return OuterProducts(
            generator.integers(-(2**bits), 2**bits, (records, outer)), generator.integers(0, 2**34, (records, inner))
        )

    gradient, bits = outer_products(40), ImplicitBits(input_bits=32, delta_bits=0, second_bits=56)
    first = ImplicitWeight(bits, exact.Operand.of(generator.integers(-(2**36), 2**36, (outer, inner, 1, 1))))
    last = ImplicitWeight(bits, first.start, [outer_products(14) for _ in range(4)])
    return {
        f"scaled squares, {outer} x {inner}, {name} step, us a weight": median_seconds(
            repeat, lambda weight=weight: scaled_squares(weight, gradient, Place(0))
        )
        / (outer * inner)
        * 1e6
        for name, weight in (("first", first), ("fifth", last))
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.main.semantics", description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median is taken (default: 5)")
    for name, value in measure(parser.parse_args().repeat).items():
        print(f"  {name:52} {value:12,.3f}")


if __name__ == "__main__":
    main()
