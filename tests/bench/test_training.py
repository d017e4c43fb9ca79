"""The demonstration's training: the same seed gives the same files; they are what `zkds` takes."""

import numpy as np
import pytest

from bench.demo.train import digits, mnist_records, trained
from zkds.circuits.model_files.model_file import load_model
from zkds.dataset.records import from_npz

pytestmark = pytest.mark.any_kernels


def test_training_is_deterministic_and_keeps_what_is_there(tmp_path):
    first, second = (trained("digits-mlp", tmp_path / name, epochs=2) for name in ("a", "b"))
    np.testing.assert_equal(load_model(first.model).parameters, load_model(second.model).parameters)
    assert (first.loss, first.accuracy) == (second.loss, second.accuracy) and first.accuracy > 0.5
    before = first.model.stat().st_mtime_ns
    assert trained("digits-mlp", tmp_path / "a", seed=1, epochs=9).loss == first.loss
    assert first.model.stat().st_mtime_ns == before
    other = trained("digits-mlp", tmp_path / "c", seed=1, epochs=2)
    assert other.loss != first.loss


def test_the_data_set_is_one_of_zkds(tmp_path):
    result = trained("digits-mlp", tmp_path, epochs=1)
    records = from_npz(result.data, arrays=("x", "y"))
    assert (records.count, records.schema.shape, records.schema.element, records.schema.classes) == (
        1500,
        (1, 8, 8),
        "uint8",
        10,
    )
    found = digits()
    assert found.x.min() == 0 and found.x.max() == 255 and len(np.unique(found.x)) == 17
    assert len(found.x_test) == 297 and found.x_test.shape[1:] == (8, 8)


def test_mnist_is_padded(tmp_path):
    x = np.full((3, 28, 28), 7, np.uint8)
    np.savez(
        tmp_path / "mnist.npz", x_train=x, y_train=np.arange(3, dtype=np.uint8), x_test=x[:1], y_test=np.zeros(1, np.uint8)
    )
    records = mnist_records(tmp_path / "mnist.npz", 32)
    assert records.x.shape == (3, 32, 32) and records.x.dtype == np.uint8 and records.x.sum() == 3 * 28 * 28 * 7
    assert (records.x[:, 2:30, 2:30] == 7).all()
    with pytest.raises(ValueError, match="lenet5: expected --mnist"):
        trained("lenet5", tmp_path)
