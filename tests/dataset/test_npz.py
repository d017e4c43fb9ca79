"""`.npz` files that lie, bombs and damage: named errors, and nothing allocated that is not there."""

import io
import random
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from zkds.cli import main
from zkds.dataset.npz import read_arrays
from zkds.errors import FileError

pytestmark = pytest.mark.any_kernels

X = np.arange(60, dtype=np.float32).reshape(3, 20)
Y = np.array([0, 1, 0])
BUDGET = 1 << 24  # of memory, for files of a few thousand bytes


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def raw_npy(header, data=b"", version=(1, 0)):
    encoded = header.encode("latin-1")
    length = struct.pack("<H" if version == (1, 0) else "<I", len(encoded))
    return b"\x93NUMPY" + bytes(version) + length + encoded + data


def header(shape, descr="'<f4'", order=False):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def npz(path, *members, compression=zipfile.ZIP_STORED):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of duplicate names
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in members:
                archive.writestr(name, data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("x", [X, X.T, X.astype(">f8"), np.asfortranarray(X), X[:, :0], np.array(3), X[0] > 1])
def test_arrays_are_what_numpy_reads(tmp_path, save, x):
    save(tmp_path / "a.npz", x=x, y=Y, other=X)
    found = read_arrays(tmp_path / "a.npz", ["x", "y"])
    with np.load(tmp_path / "a.npz") as expected:
        for array, name in zip(found, ("x", "y"), strict=True):
            assert array.dtype == expected[name].dtype and array.shape == expected[name].shape
            assert (array == expected[name]).all()


HUGE = 10**15
BAD_MEMBERS = {
    "too many elements": (
        raw_npy(header((HUGE,)), bytes(4)),
        r"its header asks for 4,000,000,000,000,\d+ bytes, \d+ are there",
    ),
    "beyond any size": (raw_npy(header((HUGE,) * 9)), "asks for more than 2^64 bytes"),
    "of no size": (raw_npy(header((HUGE, 0))) + b"x", "its header asks for"),
    "negative": (raw_npy(header((-1, -3)), bytes(12)), "expected lengths that are not negative"),
    "a truth value": (raw_npy(header("(True,)"), bytes(4)), "expected lengths that are not negative"),
    "one byte short": (npy(X)[:-1], "its header asks for 368 bytes, 367 are there"),
    "one byte long": (npy(X) + b"\0", "its header asks for 368 bytes, 369 are there"),
    "objects": (npy(np.array([{}], dtype=object)), r"expected numbers, got Python objects \(saved with pickle\)"),
    "text": (npy(np.array(["a", "b"])), "expected numbers, got text; labels can be numbered by `names, y = numpy"),
    "structures": (
        raw_npy(header((1,), "[('a', '<f4'), ('b', 'O')]")),
        r"expected numbers, got structures \(saved with pickle\)",
    ),
    "complex": (npy(X.astype(complex)), "expected numbers, got complex numbers"),
    "version": (raw_npy(header((1,)), bytes(4), (2, 0)), r"expected an array of version 1\.0"),
    "no magic": (b"no array at all", "expected an array as numpy saves it"),
    "empty": (b"", "expected an array as numpy saves it"),
    "half a header": (npy(X)[:30], "expected an array as numpy saves it"),
    "length of the header": (b"\x93NUMPY\x01\x00\xff\xff" + bytes(100), "expected an array as numpy saves it"),
    "a long header": (raw_npy(header((1,)) + " " * 20000, bytes(4)), "expected an array as numpy saves it"),
    "token error": (raw_npy("{'descr': ("), "expected an array as numpy saves it"),
    "syntax error": (raw_npy("{'descr': '<f4' 'fortran"), "expected an array as numpy saves it"),
    "nesting": (raw_npy("(" * 5000), "expected an array as numpy saves it"),
    "signs": (raw_npy("-" * 1000 + "1"), "expected an array as numpy saves it"),
    "no dictionary": (raw_npy("7"), "expected an array as numpy saves it"),
    "unknown key": (
        raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'a': 1}"),
        "expected an array as numpy saves",
    ),
}


@pytest.mark.parametrize("name", BAD_MEMBERS)
def test_members_that_lie_are_named_and_cost_nothing(tmp_path, name):
    data, reason = BAD_MEMBERS[name]
    path = npz(tmp_path / "a.npz", ("x.npy", data), ("y.npy", npy(Y)))
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"a\.npz: x: .*" + reason.replace("^", r"\^")):
            read_arrays(path, ["x", "y"])
        assert tracemalloc.get_traced_memory()[1] < BUDGET
    finally:
        tracemalloc.stop()


BAD_ARCHIVES = {
    "twice": ([("x.npy", npy(X)), ("x.npy", npy(X + 1)), ("y.npy", npy(Y))], r"two members are called x\.npy, up to case"),
    "case": ([("x.npy", npy(X)), ("y.npy", npy(Y)), ("X.NPY", npy(X))], r"two members are called X\.NPY, up to case"),
    "suffix": ([("x.npy", npy(X)), ("y.npy", npy(Y)), ("x", npy(X))], "two members are called x, up to case"),
    "no array": ([("x", b"text"), ("y.npy", npy(Y))], "expected arrays x and y, got y"),
    "odd names": ([("\x1b[31m.npy", npy(X))], r"expected arrays x and y, got '\\x1b\[31m'\.\.\."),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_names_mean_one_thing(tmp_path, name):
    members, reason = BAD_ARCHIVES[name]
    with pytest.raises(FileError, match=r"a\.npz: " + reason):
        read_arrays(npz(tmp_path / "a.npz", *members), ["x", "y"])


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path):
    zeros = raw_npy(header((1 << 27,), "'|u1'"), bytes(1 << 27))
    path = npz(tmp_path / "a.npz", ("x.npy", zeros), ("y.npy", npy(Y)), compression=zipfile.ZIP_DEFLATED)
    del zeros
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"x: 134,2.* bytes out of .*, more than 100 to 1; save it with numpy\.savez"):
            read_arrays(path, ["x"])
        assert tracemalloc.get_traced_memory()[1] < BUDGET
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path, compression):
    path = npz(tmp_path / "a.npz", ("x.npy", npy(X)), compression=compression)
    with pytest.raises(FileError, match="x: encrypted, or compressed in a way that numpy does not write"):
        read_arrays(path, ["x"])


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "."])
def test_what_is_no_file_is_named(path):
    with pytest.raises(FileError, match=r"is (a folder|no regular file), expected a file"):
        read_arrays(path, ["x"])


def test_damage_gives_named_errors_only(tmp_path, monkeypatch, capsys):
    """Bits flipped, bytes cut out and doubled, in archives of both compressions, most of it where structure is."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(1)
    images = np.zeros((3, 2, 2), np.uint8)
    plain, compressed = io.BytesIO(), io.BytesIO()
    np.savez(plain, x=images, y=Y)
    np.savez_compressed(compressed, x=images, y=Y)
    outcomes = {0: 0, 2: 0}
    for _ in range(400):
        data = bytearray(rng.choice((plain, compressed)).getvalue())
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(data))
            change = rng.randrange(4)
            if change == 0:
                data[place] ^= 1 << rng.randrange(8)
            elif change == 1:
                data[place] = rng.choice((0, 255, 127, 128))
            elif change == 2:
                del data[place : place + rng.randint(1, 8)]
            else:
                data[place:place] = data[place : place + rng.randint(1, 8)]
        (tmp_path / "a.npz").write_bytes(data)
        code = main(["commit", "--data", "a.npz", "--overwrite"])
        outcomes[code] += 1
        errors = capsys.readouterr().err
        assert (code == 0) == (errors == "") and (code == 0 or errors.startswith("zkds: a.npz: ")), errors
    assert outcomes[2] > 200
