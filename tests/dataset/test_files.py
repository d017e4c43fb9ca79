"""data.root and data.open: what is in them, that the parsers are total, and that writing is all or nothing."""

import io
import os
import random
import stat
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import dataset as slow
from zkds.dataset import files
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.opening import Opening, OpeningError, OpeningWriter
from zkds.dataset.records import from_arrays
from zkds.dataset.root import MAX_ROOT_BYTES, DataRoot
from zkds.dataset.schema import MAX_SCHEMA_BYTES, Normalization, Schema
from zkds.errors import MalformedProof

RNG = np.random.default_rng(1)
X = RNG.integers(0, 256, (5, 2, 3), dtype=np.uint8)
Y = np.array([0, 1, 2, 1, 0])
RECORDS = from_arrays(X, Y, classes=10, normalization=Normalization((5,), (7 << 30,)))


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.root"
    return path, commit_dataset(RECORDS, path)


def test_root_is_the_documented_hash(committed):
    path, root = committed
    with Opening(opening_path(path), root) as opening:
        byte_strings, commitments = opening.open(range(5))
    assert (byte_strings[:, :7] == RECORDS.read(0, 5)).all()
    assert byte_strings.shape == (5, root.committed_bytes) == (5, 7 + root.randomness_bytes)
    assert commitments.tolist() == slow.multiply(byte_strings.tolist(), slow.matrix(root.committed_bytes))
    assert root.tree_root == slow.tree_root([slow.leaf(row) for row in commitments.tolist()])
    assert root.digest() == slow.data_root(5, root.schema.encode(), 128, root.committed_bytes, root.tree_root)


def test_root_file_is_the_documented_text(committed):
    path, root = committed
    assert path.read_text() == (
        f"zkds data root v1\ndigest {root.digest().hex()}\ntree {root.tree_root.hex()}\nrecords 5\n"
        f"schema {root.schema.encode().hex()}\nmatrix 128 {root.committed_bytes} {slow.MATRIX_SEED.hex()}\n"
    )
    assert DataRoot.read(path) == root


def test_root_binds_every_part(committed):
    _, root = committed
    others = [
        DataRoot(root.count + 1, root.schema, root.tree_root),
        DataRoot(root.count, from_arrays(X, Y, classes=10).schema, root.tree_root),
        DataRoot(root.count, root.schema, bytes(32)),
    ]
    assert len({other.digest() for other in [root, *others]}) == 4


def test_two_commitments_share_nothing(committed, tmp_path):
    path, root = committed
    again = commit_dataset(RECORDS, tmp_path / "data.root")
    assert again.tree_root != root.tree_root
    with Opening(opening_path(path)) as first, Opening(opening_path(tmp_path / "data.root")) as second:
        assert (first.open([2])[0] != second.open([2])[0]).sum() > 900


def test_chunks_do_not_matter(committed, monkeypatch, tmp_path):
    """With fixed randomness the files are the same bytes for any chunk size."""
    monkeypatch.setattr(files.ajtai, "draw_randomness", lambda count, length: np.ones((count, length), dtype=np.uint8))
    contents = []
    for size in (1, 3000, 1 << 23):
        monkeypatch.setattr(files, "CHUNK_BYTES", size)
        done = []
        commit_dataset(RECORDS, tmp_path / f"{size}.root", progress=lambda *counts, done=done: done.append(counts))
        contents.append(((tmp_path / f"{size}.root").read_bytes(), (tmp_path / f"{size}.open").read_bytes()))
        assert done[-1] == (5, 5) and len(done) == {1: 5, 3000: 3, 1 << 23: 1}[size]
    assert contents[0] == contents[1] == contents[2]


def test_private_file_is_private_and_the_public_one_shows_nothing(committed):
    path, _ = committed
    assert stat.S_IMODE(opening_path(path).stat().st_mode) == 0o600
    assert sorted(os.listdir(path.parent)) == ["data.open", "data.root"]
    content = opening_path(path).read_bytes()
    with Opening(opening_path(path)) as opening:
        for row in opening.open(range(5))[0]:
            assert row.tobytes() in content and row[7:39].tobytes().hex() not in path.read_text()


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_existing_files_are_kept(committed, tmp_path):
    path = tmp_path / "data.root"
    for existing in (path, opening_path(path)):
        existing.write_text("precious")
        with pytest.raises(FileExistsError, match=f"{existing.name} exists"):
            commit_dataset(RECORDS, path)
        assert os.listdir(tmp_path) == [existing.name] and existing.read_text() == "precious"
        existing.unlink()
    path.write_text("old")
    root = commit_dataset(RECORDS, path, overwrite=True)
    assert DataRoot.read(path) == root


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_an_interruption_leaves_nothing(tmp_path, error):
    def interrupt(done, count):
        raise error

    with pytest.raises(error):
        commit_dataset(RECORDS, tmp_path / "data.root", progress=interrupt)
    assert os.listdir(tmp_path) == []


def test_names_and_counts_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"data\.open: expected a name for the public file"):
        commit_dataset(RECORDS, tmp_path / "data.open")
    writer = OpeningWriter(io.BytesIO(), 2, RECORDS.schema)
    with pytest.raises(ValueError, match="expected 2 records, got 0"):
        writer.finish()
    with pytest.raises(ValueError, match="count: expected 1 to 4294967296 records, got 0"):
        DataRoot(0, RECORDS.schema, bytes(32))
    with pytest.raises(ValueError, match="tree_root: expected 32 bytes"):
        DataRoot(1, RECORDS.schema, bytes(31))


# ---- parsing data.root -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"root v1", b"root v2", "data.root: first line"),
        (b"records 5", b"records 6", "data.root: canonical form"),
        (b"records 5", b"records 05", "data.root: canonical form"),
        (b"records 5", b"records -5", "data.root: records"),
        (b"records 5", b"records 0", "data.root: count: expected 1 to 4294967296 records, got 0"),
        (b"records 5", b"records 99999999999", "data.root: records"),
        (b"records 5", "records ٥".encode(), "data.root: records"),
        (b"matrix 128", b"matrix 127", "data.root: canonical form"),
        (b"digest", b"Digest", "data.root: fields"),
        (b"tree ", b"tree 00", "data.root: tree_root: expected 32 bytes"),
        (b"tree ", b"tree x", "data.root: tree"),
        (b"schema ", b"schema 7a", "schema: label"),
        (b"\nrecords", b"\r\nrecords", "data.root: canonical form"),
        (b"\ntree", b"\n\ntree", "data.root: fields"),
    ],
)
def test_every_other_root_file_is_malformed(committed, old, new, reason):
    data = committed[0].read_bytes()
    assert data.count(old) == 1
    with pytest.raises(MalformedProof) as caught:
        DataRoot.decode(data.replace(old, new))
    assert caught.value.reason == reason


def test_root_parser_is_total(committed):
    data = committed[0].read_bytes()
    for length in range(len(data)):
        with pytest.raises(MalformedProof):
            DataRoot.decode(data[:length])
    rng = random.Random(1)
    for _ in range(300):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with pytest.raises(MalformedProof):
            DataRoot.decode(bytes(changed))
    with pytest.raises(MalformedProof, match="size"):
        DataRoot.decode(data + bytes(MAX_ROOT_BYTES))


@given(st.binary(max_size=200))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_random_bytes_are_no_root(data):
    for candidate in (data, b"zkds data root v1\n" + data):
        with pytest.raises(MalformedProof):
            DataRoot.decode(candidate)


# ---- parsing data.open -----------------------------------------------------------------------------------------------


def changed_copy(committed, tmp_path, change):
    content = bytearray(opening_path(committed[0]).read_bytes())
    path = tmp_path / "copy.open"
    path.write_bytes(change(content))
    return path


def flipped(position):
    def change(content):
        content[position] ^= 1
        return content

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:20], "copy.open: truncated"),
        (lambda content: b"", "copy.open: truncated"),
        (flipped(0), "copy.open: not a data.open of version 1"),
        (flipped(8), "copy.open: not a data.open of version 1"),
        (flipped(16), "copy.open: expected .* bytes for 4 records"),
        (flipped(30), "copy.open: truncated"),
        (flipped(40), "copy.open: schema: label"),
        (lambda content: content[:-1], "copy.open: expected .* bytes for 5 records"),
        (lambda content: content + b"\0", "copy.open: expected .* bytes for 5 records"),
        (flipped(500), "copy.open: checksum differs"),
        (flipped(-1), "copy.open: checksum differs"),
        (flipped(-40), "copy.open: checksum differs"),
    ],
)
def test_damaged_openings_are_named(committed, tmp_path, change, message):
    with pytest.raises(OpeningError, match=message):
        Opening(changed_copy(committed, tmp_path, change))


def test_opening_of_another_root_is_refused(committed, tmp_path):
    other = commit_dataset(RECORDS, tmp_path / "data.root")
    with pytest.raises(OpeningError, match=r"belongs to another data\.root"):
        Opening(opening_path(committed[0]), other)
    with pytest.raises(FileNotFoundError):
        Opening(tmp_path / "none.open")


def test_a_record_that_does_not_lead_to_its_leaf_is_refused(committed, tmp_path):
    """A consistent checksum over a changed record: whoever rewrote the file could not change the leaf."""

    def change(content):
        content[400] ^= 1
        content[-32:] = slow.hashlib.sha256(content[:-32]).digest()
        return content

    with Opening(changed_copy(committed, tmp_path, change), committed[1]) as opening:
        with pytest.raises(OpeningError, match="record 0 does not lead to its leaf"):
            opening.open([1, 0])
        opening.open([1])
        with pytest.raises(ValueError, match="indices: expected 0 to 4, got 5"):
            opening.open([5])


EXTREMES = [0, 1, 2, 4, 6, 2**16, 2**31, 2**32, 2**32 + 1, 2**48, 2**61, 2**63, 2**64 - 1]


def test_numbers_of_a_header_cost_nothing_and_are_named(committed, tmp_path):
    """Every number of header and schema set to extremes, the checksum made right again: an opening of another root."""
    path, root = committed
    content = opening_path(path).read_bytes()
    places = [*range(8, 32, 8), *range(32 + 14, 32 + len(root.schema.encode()), 8)]
    assert content[32:46] == b"zkds schema v1"
    tracemalloc.start()
    try:
        for place in places:
            for number in EXTREMES:
                changed = content[:place] + number.to_bytes(8, "little") + content[place + 8 : -32]
                if changed == content[:-32]:
                    continue
                copy = tmp_path / "copy.open"
                copy.write_bytes(changed + slow.hashlib.sha256(changed).digest())
                with pytest.raises(OpeningError, match=r"copy\.open: "):
                    Opening(copy, root)
                try:
                    with Opening(copy) as opening:
                        assert opening.root.digest() != root.digest()
                except OpeningError as error:
                    assert "copy.open: " in str(error)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_a_schema_longer_than_any_is_not_read(tmp_path):
    """A sparse file, whose bytes are there but cost nothing to make."""
    path = tmp_path / "copy.open"
    with open(path, "wb") as file:
        file.write(b"zkdsopen" + b"".join(n.to_bytes(8, "little") for n in (1, 5, 1 << 35)))
        file.truncate(1 << 36)
    with pytest.raises(OpeningError, match=r"copy\.open: truncated"):
        Opening(path)


@pytest.mark.parametrize(("path", "message"), [("/dev/zero", "is no regular file"), (".", "is a folder")])
def test_what_is_no_file_is_named(path, message):
    with pytest.raises(ValueError, match=f"{path}: {message}, expected a file"):
        Opening(path)
    with pytest.raises((ValueError, IsADirectoryError), match=r"data\.root: size|Is a directory"):
        DataRoot.read(path)


def test_a_missing_opening_says_where_it_comes_from(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.open: no such file; zkds commit writes it beside data\.root"):
        Opening(tmp_path / "none.open")


def test_fields_of_a_root_come_once(committed):
    lines = committed[0].read_bytes().splitlines(keepends=True)
    for number in range(1, 6):
        repeated = [*lines[: number + 1], *lines[number:]]
        with pytest.raises(MalformedProof, match=r"data\.root: fields"):
            DataRoot.decode(b"".join(repeated))
    with pytest.raises(MalformedProof, match=r"data\.root: fields"):
        DataRoot.decode(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))


def test_the_longest_root_is_read():
    count = (1 << 18) - 1  # features of a byte, and a label
    pairs = Normalization((5,) * count, (1 << 32,) * count)
    root = DataRoot(5, Schema("vector", (count,), "uint8", 10, 0, pairs), bytes(32))
    assert len(root.schema.encode()) < MAX_SCHEMA_BYTES and DataRoot.decode(root.encode()) == root
