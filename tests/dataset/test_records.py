"""Readers: what bytes each source becomes, and a named error for everything else."""

import numpy as np
import pytest

from zkds.dataset import records
from zkds.dataset.records import MAX_RECORDS, ArrayRecords, from_arrays, from_folder, from_npz, from_torch
from zkds.dataset.schema import Normalization, Schema

RNG = np.random.default_rng(1)
PIXELS = RNG.integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 1, 0])


FEATURES = np.zeros((5, 6))


def spoiled(values, place, value):
    values = values.copy()
    values[place] = value
    return values


def rows(source, size=2):
    return np.concatenate(list(source.chunks(size)))


def expected_rows(pixels=PIXELS, labels=LABELS):
    return np.concatenate([pixels.reshape(len(pixels), -1), labels[:, None].astype(np.uint8)], axis=1)


def test_images_are_their_bytes_channels_first_then_the_label():
    source = from_arrays(PIXELS, LABELS)
    assert source.schema == Schema("image", (3, 4, 6), "uint8", 3)
    assert (rows(source) == expected_rows()).all()
    assert (rows(from_arrays(PIXELS.transpose(0, 2, 3, 1), LABELS)) == expected_rows()).all()
    grey = from_arrays(PIXELS[:, 0], LABELS)
    assert grey.schema.shape == (1, 4, 6) and (rows(grey) == expected_rows(PIXELS[:, 0])).all()
    for dtype in (np.float32, np.float64):
        assert (rows(from_arrays(PIXELS.astype(dtype) / dtype(255), LABELS)) == expected_rows()).all()


def test_features_are_fixed_point_or_bytes():
    features = np.array([[0.5, -1.0], [7.99975, 2.0**-13], [-8.0, 0.0]])
    source = from_arrays(features, np.array([0, 299, 1]), classes=300)
    assert source.schema == Schema("vector", (2,), "int16", 300, 12)
    stored = np.array([[2048, -4096], [32767, 1], [-32768, 0]]) + 32768
    packed = rows(source)
    assert (packed[:, :4].reshape(-1, 2, 2) == np.stack([stored & 255, stored >> 8], axis=-1)).all()
    assert packed[:, 4:].tolist() == [[0, 0], [299 - 256, 1], [1, 0]]
    plain = from_arrays(PIXELS[:, 0, 0], LABELS, classes=10)
    assert plain.schema == Schema("vector", (6,), "uint8", 10) and (rows(plain)[:, :-1] == PIXELS[:, 0, 0]).all()
    assert from_arrays(PIXELS[:, 0, 0], LABELS, fraction_bits=0).schema.element == "int16"
    assert from_arrays(features, LABELS[:3], normalization=Normalization((0,), (1,))).schema.normalization is not None


def test_features_are_rounded_half_up_without_error():
    almost = 0.49999999999999994  # almost + 0.5 == 1.0
    features = np.array([[almost, 0.5, -0.5, -0.5000000000000001, 1.5, -1.5]])
    stored = rows(from_arrays(features, LABELS[:1], classes=2, fraction_bits=0))[0, :-1].astype(int)
    assert (stored[::2] + 256 * stored[1::2] - 32768).tolist() == [0, 1, 0, -1, 2, -1]


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (PIXELS[:0], LABELS[:0], {}, "x: expected N >= 1 images"),
        (LABELS, LABELS, {}, "x: expected N >= 1 images"),
        (PIXELS, LABELS[:4], {}, r"y: expected shape \(5,\), one label for each record, got \(4,\)"),
        (PIXELS, LABELS[:, None], {}, r"y: expected shape \(5,\)"),
        (PIXELS, LABELS / 2, {}, "y: expected integer labels, got dtype float64"),
        (PIXELS, LABELS, {"classes": 2}, "y: expected labels from 0 to 1, record 2 has another"),
        (PIXELS, LABELS - 1, {"classes": 3}, "y: expected labels from 0 to 2, record 0 has another"),
        (PIXELS, LABELS + 70000, {}, r"got 3 different ones from 70000 to 70002; use y - \(70000\)"),
        (PIXELS, LABELS + 1, {}, r"from 1 to 3; say how many .* \(--classes 4, classes=4\), or use y - \(1\)"),
        (PIXELS, LABELS - 1, {}, r"got 3 different ones from -1 to 1; use y - \(-1\)"),
        (PIXELS, LABELS * 2, {}, r"from 0 to 4; say how .* classes=5\), or number them by `_, y = numpy.unique"),
        (PIXELS, LABELS * 0, {}, r"got the same for all records; say how many .* \(--classes 2, classes=2\)$"),
        (PIXELS, LABELS.astype(str), {}, "y: expected integer labels, got text or objects; number them, `names, y"),
        (PIXELS, LABELS > 0, {}, r"y: expected integer labels, got dtype bool; if they are numbers of classes, y\.astype"),
        (PIXELS, np.eye(5), {}, r"got \(5, 5\); y\.argmax\(axis=1\) is what one-hot rows stand for"),
        (PIXELS.astype(np.int32), LABELS, {}, "x: expected images of dtype uint8, float32 or float64, got int32"),
        (
            PIXELS / 254.0,
            LABELS,
            {},
            r"x: record 0, entry \(0, 0, 0\) is no number k/255: expected images of bytes, or floats k",
        ),
        (spoiled(np.zeros((4, 2, 2)), (3, 1, 0), np.nan), LABELS[:4], {}, r"x: record 3, entry \(0, 1, 0\) is not a number: "),
        (spoiled(np.zeros((4, 2, 2)), (3, 1, 0), -np.inf), LABELS[:4], {}, r"x: record 3, entry \(0, 1, 0\) is infinite: "),
        (np.zeros((2, 5, 5, 5), np.uint8), LABELS[:2], {}, "x: expected images of 1 or 3 channels"),
        (PIXELS, LABELS, {"fraction_bits": 3}, "fraction_bits: expected only with features"),
        (
            spoiled(FEATURES, (3, 4), 8.0),
            LABELS,
            {},
            r"x: record 3, feature 4 lies outside \[-8, 8\), the range of 12 fraction",
        ),
        (spoiled(FEATURES, (3, 4), 1e308), LABELS, {}, r"x: record 3, feature 4 lies outside \[-8, 8\), the range of 12 frac"),
        (spoiled(FEATURES, (3, 4), np.nan), LABELS, {}, "x: record 3, feature 4 is not a number$"),
        (spoiled(FEATURES, (2, 0), np.inf), LABELS, {}, "x: record 2, feature 0 is infinite$"),
        (spoiled(FEATURES.astype(int), (2, 0), 9), LABELS, {}, "x: record 2, feature 0 lies outside"),
        (FEATURES.astype(str), LABELS, {}, "x: expected numbers of at most 64 bits, got dtype <U"),
        (FEATURES.astype(np.longdouble), LABELS, {}, "x: expected numbers of at most 64 bits, got dtype float128"),
    ],
)
def test_bad_arrays_are_named(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(x, y, **options)


def test_counts_are_limited():
    schema = Schema("vector", (1,), "uint8", 2)
    with pytest.raises(ValueError, match="records: expected 1 to 4294967296, got 0"):
        ArrayRecords(schema, np.zeros((0, 1), np.uint8), np.zeros(0, int))
    with pytest.raises(ValueError, match="records: expected 1 to"):
        records.IndexedRecords(schema, MAX_RECORDS + 1, lambda index: (PIXELS, 0))


def test_npz(tmp_path):
    path = tmp_path / "train.npz"
    np.savez(path, x=PIXELS, y=LABELS, images=PIXELS[:2], labels=LABELS[:2])
    assert (rows(from_npz(path)) == expected_rows()).all()
    assert from_npz(path, arrays=("images", "labels")).count == 2
    with pytest.raises(ValueError, match="expected arrays a and y, got x, y, images, labels"):
        from_npz(path, arrays=("a", "y"))
    with pytest.raises(FileNotFoundError):
        from_npz(tmp_path / "none.npz")
    np.savez(path, x=spoiled(FEATURES, (3, 4), np.nan), y=LABELS)
    with pytest.raises(ValueError, match=r"train\.npz: x: record 3, feature 4 is not a number"):
        from_npz(path)


def write_folder(path, pixels=PIXELS, labels=LABELS):
    image = pytest.importorskip("PIL.Image")
    for index, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        folder = path / f"class {label}"
        folder.mkdir(exist_ok=True)
        image.fromarray(picture.transpose(1, 2, 0)).save(folder / f"{index}.png")
        (folder / "notes.txt").write_text("ignored")


def test_folder_of_images(tmp_path):
    write_folder(tmp_path)
    source = from_folder(tmp_path)
    order = [0, 4, 1, 3, 2]  # folders by name, then files by name
    assert source.schema == Schema("image", (3, 4, 6), "uint8", 3)
    assert (rows(source) == expected_rows()[order]).all()


def test_grey_folder_has_one_channel(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for label in range(2):
        (tmp_path / str(label)).mkdir()
        image.fromarray(PIXELS[label, 0]).save(tmp_path / str(label) / "a.png")
    assert (rows(from_folder(tmp_path)) == expected_rows(PIXELS[:2, 0], LABELS[:2])).all()


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match="expected a folder for each of two or more classes, got 0"):
        from_folder(tmp_path)
    for name in "ab":
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=r"expected images .* found none"):
        from_folder(tmp_path)
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    (tmp_path / "b" / "2.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.png: not an image that Pillow can read"):
        from_folder(tmp_path)
    image.fromarray(PIXELS[0, 0]).save(tmp_path / "a" / "1.png")
    image.fromarray(PIXELS[0, 0, :3]).save(tmp_path / "b" / "2.png")
    with pytest.raises(ValueError, match=r"2\.png: expected an image of shape \(1, 4, 6\) like the first one"):
        rows(from_folder(tmp_path))
    image.fromarray(PIXELS[0].transpose(1, 2, 0)).save(tmp_path / "b" / "2.png")
    with pytest.raises(ValueError, match=r"got \(3, 4, 6\); grey images have 1 channel, others 3"):
        rows(from_folder(tmp_path))
    (tmp_path / "b" / "more").mkdir()
    with pytest.raises(ValueError, match="b/more: a folder in the folder of a class"):
        from_folder(tmp_path)
    (tmp_path / "c.PNG").touch()
    with pytest.raises(ValueError, match=r"c\.PNG: an image beside the folders of the classes"):
        from_folder(tmp_path)


def test_folder_without_pillow_says_what_to_install(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ValueError, match=r"pip install 'zkds\[images\]'"):
        from_folder(tmp_path)


class Tensor:
    """What a torch tensor offers."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def numpy(self, force):
        return self.values


class Items:
    def __init__(self, items, classes=None):
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def test_torch_data_sets():
    names = ["a", "b", "c"]
    for prepare in (lambda p: p, lambda p: p.astype(np.float32) / np.float32(255), lambda p: p.transpose(1, 2, 0)):
        items = [(Tensor(prepare(p)), int(y)) for p, y in zip(PIXELS, LABELS, strict=True)]
        assert (rows(from_torch(Items(items, names))) == expected_rows()).all()
    image = pytest.importorskip("PIL.Image")
    items = [(image.fromarray(p.transpose(1, 2, 0)), np.int64(y)) for p, y in zip(PIXELS, LABELS, strict=True)]
    assert (rows(from_torch(Items(items), classes=3)) == expected_rows()).all()
    features = from_torch(Items([(Tensor(np.array([0.5])), 1)]), classes=2, fraction_bits=1)
    assert features.schema == Schema("vector", (1,), "int16", 2, 1) and rows(features).tolist() == [[1, 128, 1]]
    plain = from_torch(Items([(PIXELS[0, 0, 0], 1)]), classes=2)
    assert plain.schema == Schema("vector", (6,), "uint8", 2)


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        ([], {"classes": 2}, "dataset: expected at least one item"),
        ([(PIXELS[0], 0)], {}, "classes: expected the number of classes"),
        ([PIXELS[0]], {"classes": 2}, r"item 0: expected a pair \(x, label\), got ndarray"),
        ([(PIXELS[0], 0.5)], {"classes": 2}, "item 0: expected an integer label, got float"),
        ([(PIXELS[0], 2)], {"classes": 2}, "y: expected labels from 0 to 1, record 0 has another"),
        ([(PIXELS[0], 0), (PIXELS[0, :1], 0)], {"classes": 2}, r"item 1: expected shape \(3, 4, 6\) like the first one"),
        ([(PIXELS[0] / 254.0, 0)], {"classes": 2}, r"item 0: x: entry \(0, 0, 0\) is no number k/255: expected images"),
        ([(FEATURES[0], 0), (FEATURES[0] + 9, 0)], {"classes": 2}, "item 1: x: feature 0 lies outside"),
        ([(PIXELS, 0)], {"classes": 2}, "item 0: x: expected images or vectors of bytes"),
        ([(PIXELS[0], 0)], {"classes": 2, "fraction_bits": 2}, "fraction_bits: expected only with vectors"),
    ],
)
def test_bad_torch_data_sets_are_named(items, options, message):
    with pytest.raises(ValueError, match=message):
        rows(from_torch(Items(items), **options))
