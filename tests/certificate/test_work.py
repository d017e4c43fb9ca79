"""The verifier's work: counted before it is done, an upper bound, refused by name."""

import collections
import itertools
import random
import shlex
import subprocess
import sys

import pytest

from bench.work.__main__ import HOSTILE, RECORDS, RESULTS, dense, features, random_statement, statement_of
from tests.harness.graphs import GRAPHS
from tests.harness.shell import ENVIRONMENT, HANGS
from zkds import api
from zkds.channel import DryRun
from zkds.circuits.arithmetic.fixed_point import PERTURBATIONS, SHARPNESS, Configuration
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.certificate.work import CLAIMS_ALONG_SIDES, DEFAULT_BYTES, Work, WorkRejected, pieces_of
from zkds.circuits.metric import sam
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import chain
from zkds.circuits.operators import implicit
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.relu import Relu
from zkds.circuits.operators.smooth import Gelu, Tanh
from zkds.commit.layout import Layout
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Schema
from zkds.errors import ConstraintRejected
from zkds.statement import MAGIC, VERSION, Mode, Statement
from zkds.tensors.axes import VectorAxis
from zkds.tensors.tensor import Book

pytestmark = pytest.mark.slow

REFUSED = ("1023 steps", "classes", "concatenations", "implicit layers", "overlapping pools")
ALLOWED = ("64 layers", "features", "samples", "long records", "batches", "windows", "a wide window")
SMALL = (14, 28, 41, 45, 57, 82, 114, 121)  # seeds


def counted(statement):
    return Work.of(statement).with_columns(DirectionalSharpness(statement).columns)


def claim(statement, after=b""):
    """The beginning of a proof of a statement, and more bytes."""
    encoding = statement.encode()
    mode = bytes([Mode.ZERO_KNOWLEDGE.value])
    return MAGIC + VERSION.to_bytes(4, "little") + mode + len(encoding).to_bytes(8, "little") + encoding + after


def header_of(statement):
    """All of the header."""
    circuit = Statement(DirectionalSharpness(statement))
    encoding = circuit.sections["parameters"]
    return claim(statement, len(encoding).to_bytes(8, "little") + encoding)


# ---- an upper bound --------------------------------------------------------------------------------------------------


def counting(method, found):
    def made(layout, names, *arguments):
        pieces = method(layout, names, *arguments)
        for name in names:
            found[name] += len(pieces) // len(names)
        return pieces

    return made


def pieces_made(statement, monkeypatch):
    """Pieces of claims on each column, as the verifier makes them."""
    relation = DirectionalSharpness(statement)
    circuit, found = Statement(relation), collections.Counter()
    with monkeypatch.context() as patched:
        for method in ("pieces", "slice_pieces"):
            patched.setattr(Layout, method, counting(getattr(Layout, method), found))
        channel = DryRun()
        for made in relation.verify(channel, circuit.layout):
            len(made.pieces)
    return relation.columns, found, channel.constraints.messages


def assert_counted(statement, monkeypatch):
    kept: dict[int, VectorAxis] = {}
    add = Book.add

    def keeping(book, tensor, axes, *claim):
        if len(axes) >= 5:  # passes, records, channels, rows, columns
            kept.update({id(axis): axis for axis in axes[2:5] if isinstance(axis, VectorAxis)})
        add(book, tensor, axes, *claim)

    monkeypatch.setattr(Book, "add", keeping)
    columns, found, messages = pieces_made(statement, monkeypatch)
    monkeypatch.setattr(Book, "add", add)
    for column in columns:
        assert found[column.name] <= pieces_of(column), column
    work = counted(statement)
    assert messages <= work.rounds
    assert sum(axis.length for axis in kept.values()) <= CLAIMS_ALONG_SIDES * work.sides


def small_statements():
    """Those of random ones that take little: most are large, or have no plan."""
    for seed in SMALL:
        statement = random_statement(random.Random(seed))
        assert statement is not None and counted(statement).ratio < 0.16
        yield statement


def many_steps():
    return statement_of(dense(31, 31, 31, 7), Configuration.of(steps=63, batch_size=7), features(31))


def test_no_column_has_more_pieces_than_are_counted_and_no_circuit_more_messages(monkeypatch):
    for statement in [*small_statements(), HOSTILE["64 layers"](), many_steps()]:
        assert_counted(statement, monkeypatch)


@pytest.mark.parametrize("name", ["concatenation of two binary points", "pools whose windows overlap"])
def test_weights_along_channels_rows_and_columns_are_counted(name, monkeypatch):
    assert_counted(statement_of(GRAPHS[name], Configuration(2, 1)), monkeypatch)


@pytest.mark.long
def test_large_parameters_are_counted(monkeypatch):
    """Some are, of a network of any size, if the border is moved."""
    monkeypatch.setattr(sam, "LARGE", 32)
    network = dense(6, 7, 31, 3)
    for sharpness, perturbation in itertools.product(SHARPNESS, PERTURBATIONS):
        for steps in (2, 3, 9):
            configuration = Configuration(steps, 2, sharpness=sharpness, perturbation=perturbation)
            statement = statement_of(network, configuration, features(6))
            assert_counted(statement, monkeypatch)
            assert Work.of(statement).large_steps == 3 * steps


@pytest.mark.long
def test_implicit_convolutions_are_counted(monkeypatch):
    """Of any size, whose products of rows have many boxes."""
    monkeypatch.setattr(implicit, "MIN_WEIGHTS", 1)
    monkeypatch.setattr(implicit, "WEIGHTS_A_PRODUCT", 0)
    monkeypatch.setattr(implicit, "WEIGHTS_AN_ENTRY", 0)
    first = Convolution.over((1, 3, 5), 3, (3, 2), padding=(1, 1))
    second = Convolution.over((3, 3, 6), 2, (2, 3), stride=(1, 2), dilation=(1, 2))
    scores = Convolution.dense(2, (2, 2, 1))
    network = chain((1, 3, 5), ("first", first), Relu(), ("second", second), Relu(), ("scores", scores))
    for steps, batch, sharpness in [
        (2, 2, "SAM"),
        (3, 3, "SAM"),
        (5, 3, "SAM"),
        (2, 2, "ASAM"),
        (5, 3, "ASAM"),
        (9, 1, "ASAM"),
    ]:
        configuration = Configuration(steps, batch, sharpness=sharpness)
        statement = statement_of(network, configuration)
        assert_counted(statement, monkeypatch)
        assert len(network.implicit(configuration)) == 3


def test_the_squares_of_many_steps_are_counted(monkeypatch):
    """Of a convolution whose updates are rounded: weights along rows and columns for each step, all kept."""
    monkeypatch.setattr(implicit, "MIN_WEIGHTS", 18)
    monkeypatch.setattr(implicit, "WEIGHTS_AN_ENTRY", 0)
    far = Convolution.over((1, 60, 60), 2, (3, 3), dilation=(29, 29))
    network = chain((1, 60, 60), ("far", far), ("scores", Convolution.dense(2, (2, 2, 2))))
    statement = statement_of(network, Configuration(30, 1))
    (bits,) = network.implicit(statement.configuration).values()
    assert bits.movement is implicit.Movement.ROUNDED
    assert_counted(statement, monkeypatch)


@pytest.mark.long
def test_implicit_layers_are_counted(monkeypatch):
    """Dense layers of any size, if the border is moved."""
    monkeypatch.setattr(implicit, "MIN_WEIGHTS", 32)
    monkeypatch.setattr(implicit, "WEIGHTS_A_PRODUCT", 0)
    network = dense(6, 7, 31, 3)
    for sharpness, steps, batch in itertools.product(SHARPNESS, (2, 3, 9), (2, 3)):
        configuration = Configuration(steps, batch, sharpness=sharpness)
        statement = statement_of(network, configuration, features(6))
        assert_counted(statement, monkeypatch)
        assert len(network.implicit(configuration)) == 3


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("name", [name for name in zoo.ARCHITECTURES if zoo.network(name).parameter_count < 200_000])
def test_networks_of_the_zoo_are_far_below_the_limit(name, private):
    network = zoo.network(name)
    schema = Schema("image" if min(network.input_shape[1:]) > 1 else "vector", network.input_shape, "uint8", 2)
    if schema.kind == "vector":
        schema = features(network.input_shape[0])
    for configuration in (Configuration(), Configuration.of(steps=10, batch_size=16)):
        assert counted(statement_of(network, configuration, schema, private=private)).ratio < 0.6


@pytest.mark.parametrize("name", ["alexnet-k", "vgg11-k", "vgg11", "vgg16-bn", "resnet18"])
def test_networks_of_full_size_are_below_the_limit(name):
    assert counted(statement_of(zoo.network(name), Configuration())).ratio < 0.8


# ---- refused by name ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_statements_that_take_too_much_are_refused(name):
    """Before any column is laid out: the statements have a few thousand bytes and nothing after them."""
    proof = claim(HOSTILE[name]())
    with pytest.raises(WorkRejected) as caught:
        api.verify(proof)
    assert caught.value.reason == "work: verifying takes too much" and "--max-work" in str(caught.value)
    assert str(caught.value).startswith("work: verifying takes too much: expected at most 20 s and 1 GiB, got up to ")
    with pytest.raises(WorkRejected):
        api.verify(proof, max_work=1.0001)


def test_tables_count_once_for_each_function():
    shape = (1, 2, 2)
    layers = [(f"c{k}", Convolution.over(shape, 1, (1, 1))) for k in range(6)]
    activations = [Gelu(), Gelu(), Tanh(), Relu(), Gelu()]
    nodes = [node for pair in zip(layers, activations, strict=False) for node in pair]
    network = chain(shape, *nodes, ("scores", Convolution.dense(2, shape)))
    assert Work.of(statement_of(network, Configuration.of(steps=2, batch_size=1))).tables == 2


def test_the_multiple_that_the_message_names_is_enough():
    work = counted(HOSTILE["1023 steps"]())
    with pytest.raises(WorkRejected) as caught:
        work.require(1)
    enough = int(str(caught.value).partition("--max-work ")[2].split()[0])
    work.require(enough)
    with pytest.raises(WorkRejected):
        work.require(enough - 1)


@pytest.mark.parametrize("name", ALLOWED)
def test_unusual_statements_that_cost_little_are_not_refused(name):
    assert counted(HOSTILE[name]()).ratio <= 1


@pytest.mark.parametrize("most", [0, -1, float("nan"), True, "1"])
def test_a_limit_is_a_positive_number(most):
    with pytest.raises(ValueError, match="max_work: expected a positive number"):
        counted(statement_of(dense(4, 2), Configuration(), features(4))).require(most)


def test_random_bytes_for_a_private_model_end_before_its_tables(monkeypatch):
    """What membership says is looked at first, then the commitments' hash; coefficients are made after both."""
    monkeypatch.setattr("zkds.circuits.models.private_model.PrivateModel._coefficients", None)
    schema = features(1000)
    root = DataRoot(RECORDS, schema, bytes(32))
    network, configuration = dense(1000, 1000, 7), Configuration.of(steps=2, batch_size=1)
    statement = SharpnessStatement(network, configuration, root, bytes(32), False, bytes(32), True, RESULTS)
    with pytest.raises(ConstraintRejected) as caught:
        api.verify(header_of(statement) + random.Random(1).randbytes(1 << 20).replace(b"\xff", b"\0"))
    assert caught.value.reason.startswith("membership: ")


LIMITED = """
import resource, sys
from zkds.cli import main
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + {room}, now + {room}))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["verify {}", "inspect {}", "verify {} --json --tau 2", "verify {} --max-work 1.01"])
def test_the_commands_refuse_as_well_in_little_memory(tmp_path, command):
    (tmp_path / "proof.bin").write_bytes(claim(HOSTILE["classes"]()))
    code = LIMITED.format(room=DEFAULT_BYTES // 2)
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {command.format('proof.bin')}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 1 and "work: verifying takes too much" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "much"])
def test_the_option_takes_positive_numbers(tmp_path, value):
    line = f"{shlex.quote(sys.executable)} -m zkds verify proof.bin --max-work {value}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 2 and "--max-work" in done.stderr
