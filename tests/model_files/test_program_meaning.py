"""An altered program is refused, or torch and zkds compute the same with it; no other exception than a ValueError."""

import io
import logging
import random
import warnings

import pytest
import torch

from tests.harness.program_files import SHAPE, Sizes, Small, altered, exported, flat, in_one_file
from tests.harness.sweeps import examples
from zkds.circuits.model_files.archive import open_archive
from zkds.circuits.model_files.model_file import Model
from zkds.circuits.model_files.program import read_program
from zkds.circuits.model_files.torch_import import from_program

pytestmark = pytest.mark.any_kernels

FILES = examples(150)


@pytest.fixture(scope="module")
def files():
    torch.set_num_threads(1)
    return [
        exported(Small(), SHAPE),
        exported(Small(), SHAPE, dynamic=True, seed=1),
        exported(Small(), SHAPE, batch=1, seed=2),
        exported(flat(), (24,), seed=3),
        in_one_file(exported(Small(), SHAPE, seed=4)),
        exported(Sizes(), (3, 2, 2), dynamic=True, seed=5),
    ]


def read(data):
    with open_archive(io.BytesIO(data)) as archive:
        return Model(*from_program(read_program(archive)))


def outputs_of_torch(data):
    """(inputs, outputs) of the program as torch loads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(io.BytesIO(data))
        (name,) = program.graph_signature.user_inputs
        (meta,) = (node.meta["val"] for node in program.graph.nodes if node.name == name)
        batch = meta.shape[0] if isinstance(meta.shape[0], int) else 4
        records = torch.randn(batch, *meta.shape[1:], dtype=meta.dtype)
        return records, program.module()(records)


def assert_same(data):
    """Returns False for a file that zkds refuses."""
    try:
        model = read(data)
    except ValueError:
        return False
    records, expected = outputs_of_torch(data)
    found = model.module()(records.double())
    scale = found.nan_to_num().abs().max().item() + 1e-6
    torch.testing.assert_close(found, expected.double(), rtol=1e-4, atol=1e-4 * scale, equal_nan=True)  # of variances below 0
    return True


def test_unaltered_programs_mean_the_same(files):
    torch.manual_seed(0)
    assert all(map(assert_same, files))
    assert assert_same(exported(Small().to(memory_format=torch.channels_last), SHAPE))


@pytest.mark.sweep
def test_altered_programs_mean_the_same_or_are_refused(files, monkeypatch):
    monkeypatch.setattr(logging.getLogger("torch.export"), "disabled", True)
    torch.manual_seed(0)
    accepted = 0
    for seed in range(FILES):
        data, done = altered(random.Random(seed), files)
        try:
            accepted += assert_same(data)
        except Exception as error:
            raise AssertionError(f"file {seed}, {done}") from error
    assert FILES // 10 < accepted < FILES // 2  # both happen
