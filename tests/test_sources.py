"""`zkds.api.commit`: all that holds a data set gives the same records, and a named error for what doesn't."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from zkds.api import commit
from zkds.dataset.opening import Opening
from zkds.dataset.records import from_arrays
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization, Schema

pytestmark = pytest.mark.any_kernels

RNG = np.random.default_rng(1)
X = RNG.integers(0, 256, (6, 3, 4, 5), dtype=np.uint8)
Y = np.array([0, 1, 2, 1, 0, 2])
FEATURES = RNG.integers(-100, 100, (6, 4)) / 16
SCHEMA = Schema("image", (3, 4, 5), "uint8", 3)
IMAGES = torch.from_numpy(X)
LABELS = torch.from_numpy(Y)
PAIR = (IMAGES, LABELS)


class Items:
    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


def committed(tmp_path, data, **options):
    """(schema, byte strings of the records) of a commitment."""
    root = commit(data, tmp_path / "data.root", **options)
    assert DataRoot.read(tmp_path / "data.root") == root
    with Opening(tmp_path / "data.open", root) as opening:
        return root.schema, opening.open(range(root.count))[0][:, : root.schema.record_bytes]


def expected(x=X, y=Y, **options):
    records = from_arrays(x, y, **options)
    return records.schema, records.read(0, records.count)


@pytest.mark.parametrize("labels", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
@pytest.mark.parametrize("images", [IMAGES, IMAGES.float() / 255, IMAGES.double() / 255, IMAGES.permute(0, 2, 3, 1), X])
def test_tensors_and_arrays(tmp_path, images, labels):
    schema, records = committed(tmp_path, (images, LABELS.to(labels)))
    assert schema == SCHEMA and (records == expected()[1]).all()


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16])
def test_features(tmp_path, kind):
    features = torch.from_numpy(FEATURES).to(kind).requires_grad_()
    schema, records = committed(tmp_path, (features, Y), fraction_bits=8)
    assert schema == Schema("vector", (4,), "int16", 3, 8) and (records == expected(FEATURES, fraction_bits=8)[1]).all()


def test_paths(tmp_path):
    np.savez(tmp_path / "train.npz", x=X, y=Y, a=X[:3], b=Y[:3])
    for path in (tmp_path / "train.npz", str(tmp_path / "train.npz")):
        schema, records = committed(tmp_path, path, classes=9, normalization=("0.5", "0.25"), overwrite=True)
        assert schema == Schema("image", (3, 4, 5), "uint8", 9, 0, Normalization((1 << 31,), (1 << 30,)))
        assert (records == expected()[1]).all()
    three = (["0.5", "0", "0.25"], ["1", "1", "2"])
    schema, records = committed(tmp_path, path, arrays=("a", "b"), normalization=three, overwrite=True)
    assert len(records) == 3 and schema.normalization == Normalization.from_decimals(*three)


def test_folders(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for index in (0, 4, 1, 3, 2, 5):
        folder = tmp_path / "images" / str(Y[index])
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(X[index].transpose(1, 2, 0)).save(folder / f"{index}.png")
    schema, records = committed(tmp_path, tmp_path / "images", normalization=Normalization((1,), (1 << 31,)))
    assert schema.normalization == Normalization((1,), (1 << 31,)) and schema.classes == 3
    assert (records == expected()[1][[0, 4, 1, 3, 2, 5]]).all()


def test_torch_data_sets(tmp_path):
    pairs = TensorDataset(IMAGES.float() / 255, LABELS)
    named = Items(*zip(IMAGES, Y.tolist(), strict=True))
    named.classes = ["a", "b", "c"]
    for data, options in ((pairs, {"classes": 3}), (Subset(pairs, range(6)), {"classes": 3}), (named, {})):
        schema, records = committed(tmp_path, data, overwrite=True, **options)
        assert schema == SCHEMA and (records == expected()[1]).all()


@pytest.mark.parametrize(
    ("data", "options", "kind", "message"),
    [
        ([X, Y], {}, TypeError, "data: expected records, a pair .*, got list"),
        (X, {}, TypeError, "data: expected records, a pair .*, got ndarray"),
        (IMAGES, {}, TypeError, "data: expected records, a pair .*, got Tensor"),
        ({"x": X, "y": Y}, {}, TypeError, "data: expected records, a pair .*, got dict"),
        (None, {}, TypeError, "data: .* got NoneType, which has no length or no items"),
        ((X, Y, Y), {}, TypeError, r"data: expected a pair \(x, y\), got 3 values"),
        ((np.ma.masked_equal(X, 7), Y), {}, TypeError, "x: expected a numpy array or a torch tensor, got MaskedArray"),
        ((X, Y.tolist()), {}, TypeError, "y: expected a numpy array or a torch tensor, got list"),
        ((IMAGES.to(torch.bfloat16), Y), {}, TypeError, r"x: expected a dense tensor .*, got torch\.bfloat16"),
        ((IMAGES.float().to_sparse(), Y), {}, TypeError, "x: expected a dense tensor"),
        ((IMAGES.float(), Y), {}, ValueError, "x: record 0, entry .* is no number k/255"),
        ((IMAGES, LABELS.float()), {}, ValueError, "y: expected integer labels, got dtype float32"),
        ((IMAGES, LABELS + 1), {}, ValueError, r"y: expected labels 0, \.\.\., K - 1, each at least once"),
        (DataLoader(TensorDataset(*PAIR)), {}, TypeError, "got DataLoader, which has no length or no items"),
        (Stream(), {}, TypeError, "got Stream, which has no length or no items"),
        (TensorDataset(*PAIR), {}, ValueError, "classes: expected the number of classes"),
        (Items((IMAGES[0].to_sparse(), 1)), {"classes": 2}, TypeError, "item 0: x: expected a dense tensor"),
        (Items(("text", 1)), {"classes": 2}, TypeError, "item 0: x: expected a numpy array or a torch tensor, got str"),
        (PAIR, {"arrays": ("a", "b")}, ValueError, r"arrays: expected only with a \.npz file"),
        (from_arrays(X, Y), {"classes": 3}, ValueError, "data: records have their names, classes"),
        ("none.npz", {}, FileNotFoundError, r"none\.npz: no such file or folder; expected a \.npz file or a folder of images"),
        (
            ".",
            {"classes": 3},
            ValueError,
            r"\.: classes, fraction bits and names of arrays go with \.npz files, not",
        ),
        (".", {"arrays": ("a", "b")}, ValueError, r"\.: classes, fraction bits and names of arrays go with"),
        (PAIR, {"normalization": (0.5,)}, TypeError, r"normalization: expected a pair \(mean, deviation\)"),
        (PAIR, {"normalization": "0.5 0.5"}, TypeError, r"normalization: expected a pair \(mean, deviation\)"),
        (PAIR, {"normalization": ("0.5", "zero")}, ValueError, "normalization: expected decimal numbers"),
        (PAIR, {"normalization": (["0.5"] * 2, ["1"] * 2)}, ValueError, "normalization: expected 1 or 3 means"),
    ],
)
def test_what_cannot_be_committed_is_named(tmp_path, monkeypatch, data, options, kind, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message):
        commit(data, "data.root", **options)
    assert list(tmp_path.iterdir()) == []
