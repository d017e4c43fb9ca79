"""Is the estimate of a verifier's work (certificate/work.py) an upper bound? Random and hostile statements, measured beside it.

    python -m bench.work --statements 60

No proof is needed: every message is zero and every check of a hash, a nonce or an equation passes, so that the verifier's code
runs to its end. Each statement is verified in a process of its own, on one core; seconds are its processor time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.work.credulous import measure
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.evaluations import Evaluation
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError
from zkds.circuits.certificate.work import Work
from zkds.circuits.metric.results import Results
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network, Node, chain
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.concatenate import Concatenate
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.operator import Operator
from zkds.circuits.operators.relu import Relu
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization, Schema
from zkds.errors import PlanRejected

RESULTS = Results(3 << 40, 0, 0, 0, 1, 1, values=(1 << 48,))
RECORDS = 1 << 32
LONGEST = (1 << 18) - 1  # bytes of a record, but for its label


def measured(statement: SharpnessStatement) -> dict[str, Any] | str:
    """`measure` in a fresh process; the name of the error if there is none."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply(measure, (statement.encode(),))
        except (PlanRejected, StatementError) as error:
            return str(error)


# ---- statements --------------------------------------------------------------------------------------------------------


def statement_of(
    network: Network, configuration: Configuration, schema: Schema | None = None, *, private: bool = False
) -> SharpnessStatement:
    """About RECORDS records that nobody has."""
    schema = schema or Schema("image", network.input_shape, "uint8", 2)
    root = DataRoot(RECORDS, schema, bytes(32))
    return SharpnessStatement(network, configuration, root, bytes(32), False, bytes(32), private, RESULTS)


def dense(*sizes: int) -> Network:
    """Layers of these widths."""
    nodes: list[Operator | tuple[str, Operator]] = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        nodes += [Relu()] if nodes else []
        nodes.append((f"l{index}", Convolution.dense(outputs, (inputs, 1, 1))))
    return chain((sizes[0], 1, 1), *nodes)


def features(count: int) -> Schema:
    """Records of so many features."""
    return Schema("vector", (count,), "uint8", 2)


def _windows(layers: int) -> SharpnessStatement:
    shape = (1, 1023, 1)
    nodes = [(f"l{i}", Convolution.over(shape, 1, (1023, 1), (1, 1), (511, 0))) for i in range(layers)]
    network = chain(shape, *nodes, ("scores", Convolution.dense(2, shape)))
    return statement_of(network, Configuration.of(steps=2, batch_size=1))


def _wide_window() -> SharpnessStatement:
    shape = (1, 1 << 17, 1)
    strided = Convolution.over(shape, 1, (1, 1), (128, 1))
    network = chain(shape, ("l0", strided), ("scores", Convolution.dense(2, (1, 1024, 1))))
    return statement_of(network, Configuration.of(steps=2, batch_size=1))


def _long_axes() -> SharpnessStatement:
    width = (1 << 20) - 1
    nodes = [("l0", Convolution.dense(width, (8, 1, 1))), *(Relu() for _ in range(100))]
    network = chain((8, 1, 1), *nodes, ("scores", Convolution.dense(2, (width, 1, 1))))
    return statement_of(network, Configuration.of(steps=2, batch_size=1), features(8))


def _concatenations(channels: int, count: int) -> SharpnessStatement:
    """A layer's outputs, twice in each of many concatenations, of which nothing is committed; their sum is classified."""
    twice = [Node(Concatenate(), (1, 1)) for _ in range(count)]
    nodes = [
        Node(Convolution.dense(channels, (1, 1, 1)), (0,), "l0"),
        *twice,
        Node(Add(), tuple(range(2, count + 2))),
        Node(Convolution.dense(2, (2 * channels, 1, 1)), (count + 2,), "scores"),
    ]
    configuration = Configuration.of(steps=2, batch_size=1, perturbation="ASAM")
    return statement_of(Network((1, 1, 1), tuple(nodes)), configuration, features(1))


def _implicit_layers(count: int) -> SharpnessStatement:
    """Of 8 taps that are far from each other, side by side behind one image of 2^20 rows, most of them padding."""
    rows, taps = 1 << 20, 8
    layer = Convolution(8192, 1, (taps, 1), (1, 1), dilation=((rows - 1) // taps, 1))
    nodes = [
        Node(Convolution(1, 1, (1, 1), (rows, 1), before=(rows - LONGEST, 0)), (0,), "first"),
        *(Node(layer, (1,), f"l{index}") for index in range(count)),
        Node(Concatenate(), tuple(range(2, count + 2))),
        Node(Convolution.dense(2, (8192 * count, 1, 1)), (count + 2,), "scores"),
    ]
    configuration = Configuration.of(steps=2, batch_size=1, sharpness="SAM")
    return statement_of(Network((1, LONGEST, 1), tuple(nodes)), configuration)


def _overlapping_pools(count: int) -> SharpnessStatement:
    """Maxima over windows of half an image that begin at every row, side by side."""
    shape = (1, 2047, 1)
    nodes = [
        Node(Convolution.over(shape, 1, (1, 1)), (0,), "first"),
        *(Node(MaxPool((1024, 1), (1, 1)), (1,)) for _ in range(count)),
        Node(Add(), tuple(range(2, count + 2))),
        Node(Convolution.dense(2, (1, 1024, 1)), (count + 2,), "scores"),
    ]
    return statement_of(Network(shape, tuple(nodes)), Configuration.of(steps=2, batch_size=1))


def _large_network() -> SharpnessStatement:
    return statement_of(zoo.network("vgg16-bn"), Configuration())


def _many_features() -> SharpnessStatement:
    count = 1 << 16
    pairs = Normalization(tuple(range(count)), tuple(range(1 << 30, (1 << 30) + count)))
    schema = Schema("vector", (count,), "uint8", 2, normalization=pairs)
    return statement_of(dense(count, 2), Configuration.of(steps=3, batch_size=1), schema)


def _odd_sizes(batch_size: int) -> SharpnessStatement:
    nodes: list[Operator | tuple[str, Operator]] = []
    for index in range(20):
        nodes += [(f"a{index}", Convolution.over((7 if index else 1, 15, 15), 7, (3, 3), padding=(1, 1))), Relu()]
    network = chain((1, 15, 15), *nodes, ("last", Convolution.dense(2, (7, 15, 15))))
    return statement_of(network, Configuration.of(steps=4, batch_size=batch_size))


def _evaluated(statement: SharpnessStatement, count: int, samples: int) -> SharpnessStatement:
    """So many evaluations of the same data set."""
    return replace(statement, evaluations=(Evaluation(statement.root, samples),) * count)


HOSTILE: dict[str, Callable[[], SharpnessStatement]] = {
    "64 layers": lambda: statement_of(dense(4, *[4] * 63, 4), Configuration.of(steps=2, batch_size=2), features(4)),
    "steps": lambda: statement_of(dense(31, 31, 31, 7), Configuration.of(steps=255, batch_size=7), features(31)),
    "1023 steps": lambda: statement_of(dense(31, 63, 63, 7), Configuration.of(steps=1023, batch_size=7), features(31)),
    "odd sizes": lambda: _odd_sizes(7),
    "batches": lambda: statement_of(dense(31, 31, 31, 7), Configuration.of(steps=3, batch_size=2047), features(31)),
    "classes": lambda: statement_of(dense(3, 4095), Configuration.of(steps=15, batch_size=31), features(3)),
    "windows": lambda: _windows(40),
    "a wide window": _wide_window,
    "features": _many_features,
    "private": lambda: statement_of(
        dense(2000, 2000, 1500, 7), Configuration.of(steps=2, batch_size=1), features(2000), private=True
    ),
    "long axes": _long_axes,
    "concatenations": lambda: _concatenations(1 << 18, 8),
    "implicit layers": lambda: _implicit_layers(7),
    "overlapping pools": lambda: _overlapping_pools(8),
    "vgg16-bn": _large_network,
    "samples": lambda: statement_of(dense(8, 2), Configuration.of(steps=16, batch_size=1000), features(8)),
    "evaluated layers": lambda: _evaluated(
        statement_of(dense(4, *[4] * 15, 4), Configuration.of(steps=2, batch_size=2), features(4)), 16, 31
    ),
    "evaluated records": lambda: _evaluated(
        statement_of(dense(31, 63, 63, 7), Configuration.of(steps=2, batch_size=2), features(31)), 16, 1023
    ),
    "long records": lambda: statement_of(
        dense((1 << 18) - 1, 2), Configuration.of(steps=2, batch_size=1), features((1 << 18) - 1)
    ),
}


def random_statement(generator: random.Random) -> SharpnessStatement | None:
    """Of any sizes, often one less than powers of two, which need the most boxes; None for parts that don't fit together."""

    def size(most: int) -> int:
        value = max(1, round(2 ** generator.uniform(0, most.bit_length() - 1)))
        return max(1, (1 << value.bit_length()) - 1) if generator.random() < 0.6 else value

    configuration = Configuration.of(
        steps=max(2, size(512)),
        batch_size=size(256),
        sharpness=generator.choice(["SAM", "ASAM"]),
        perturbation=generator.choice(["SAM", "ASAM"]),
    )
    private = generator.random() < 0.3
    try:
        if generator.random() < 0.5:
            widths = [size(512) for _ in range(generator.randint(1, 8))]
            network = dense(*widths, max(2, size(4095)))
            return statement_of(network, configuration, features(widths[0]), private=private)
        return statement_of(_random_images(generator, size), configuration, private=private)
    except (StatementError, ValueError):
        return None


def _random_images(generator: random.Random, size: Callable[[int], int]) -> Network:
    shape = current = (size(4), size(256), size(256))
    nodes: list[Operator | tuple[str, Operator]] = []
    for index in range(generator.randint(1, 6)):
        kernel = (min(size(31), current[1]), min(size(31), current[2]))
        kind = generator.choice([Relu, MaxPool, AveragePool])
        multiple = (1, 1) if kind is Relu else (2, 2)
        convolution = Convolution.over(current, size(16), kernel, (size(4), size(4)), multiple_of=multiple)
        current = convolution.output_shape([current])
        pool: Operator = MaxPool.side_by_side(2) if kind is MaxPool else AveragePool.side_by_side(current, 2)
        after: Operator = Relu() if kind is Relu else pool
        nodes += [(f"c{index}", convolution), after]
        current = after.output_shape([current])
    return chain(shape, *nodes, ("scores", Convolution.dense(max(2, size(64)), current)))


def main() -> None:
    parser = argparse.ArgumentParser(description="A verifier's work beside its estimate.")
    parser.add_argument("--statements", type=int, default=40, help="random ones (default: 40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=float, default=1.5, help="leave out those above so many times the limit (default: 1.5)")
    parser.add_argument("--only", nargs="*", help="of the hostile ones")
    parser.add_argument("--output", type=Path, default=Path("bench/results/work.json"))
    options = parser.parse_args()
    generator = random.Random(options.seed)
    drawn = (random_statement(generator) for _ in iter(int, 1))
    fitting = (statement for statement in drawn if statement is not None)
    names = HOSTILE if options.only is None else options.only
    cases = [(name, HOSTILE[name]()) for name in names] + [(f"random {i}", next(fitting)) for i in range(options.statements)]
    rows = []
    print(f"{'statement':<16}{'seconds':>9}{'at most':>9}{'ratio':>7}{'MiB':>9}{'at most':>9}{'ratio':>7}")
    for name, statement in cases:
        relation = DirectionalSharpness(statement) if Work.of(statement).ratio <= options.most else None
        work = Work.of(statement) if relation is None else Work.of(statement).with_columns(relation.columns)
        if work.ratio > options.most:
            print(f"{name:<16} refused: up to {work.seconds:.0f} s and {work.memory / (1 << 30):.1f} GiB")
            continue
        found = measured(statement)
        if isinstance(found, str):
            print(f"{name:<16} {found[:100]}")
            continue
        rows.append({"name": name, "bytes": len(statement.encode()), **found})
        ratios = found["seconds"] / found["estimate"], found["memory"] / found["memory_estimate"]
        print(
            f"{name:<16}{found['seconds']:9.2f}{found['estimate']:9.2f}{ratios[0]:7.2f}"
            f"{found['memory'] >> 20:9}{found['memory_estimate'] >> 20:9}{ratios[1]:7.2f}",
            flush=True,
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
