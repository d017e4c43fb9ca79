"""The files of a committed model: model.root (public, a few lines) and model.open (private, mode 0600).

    model.root     three lines: "zkds model root v1"; "digest" and 64 hex digits; "network" and its encoding in hex

    model.open     bytes   content
                   8       "zkdsmodl"
                   8       version, 1
                   8       length of the network's encoding, then the encoding
                   8 W     the model's integers, parameter after parameter, then constant after constant, row-major, signed
                   n r     rnd_c of the n chunks, r bytes each
                   32      SHA-256 of all bytes before

Numbers are 8 bytes, little-endian.
"""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path

import numpy as np

from zkds.circuits.models.private_model import LABEL, OpenedModel, chunks
from zkds.circuits.networks.graph import Network
from zkds.dataset import ajtai
from zkds.dataset.files import opening_path
from zkds.errors import FileError, MalformedProof
from zkds.input import open_regular
from zkds.output import Output, new_files
from zkds.wire import ProofReader, encode_number, read_number

MAGIC = b"zkdsmodl"
VERSION = 1
CHECKSUM_BYTES = 32
MAX_ROOT_BYTES = 1 << 24


class ModelFileError(FileError):
    """A model.root or model.open that is damaged, of another version, or not of the other."""


def write_model(opened: OpenedModel, root_path: Path, *, overwrite: bool = False) -> bytes:
    """Write both files, each complete or not at all; returns the root's 32 bytes. Raises FileExistsError unless `overwrite`."""
    private = opening_path(root_path)
    root = opened.root()
    with new_files(Output(private, private=True), Output(root_path), overwrite=overwrite) as (opening_file, root_file):
        opening_file.write(_encode_opening(opened))
        root_file.write(_root_file(root, opened.network))
    return root


def is_model_root(path: Path) -> bool:
    """Whether a file begins as a model.root does."""
    with open(path, "rb") as file:
        return file.read(len(LABEL)) == LABEL


def read_model_root(path: Path) -> bytes:
    """The root's 32 bytes. Raises OSError, or ModelFileError for anything but a model.root."""
    return _read_root(path)[0]


def _read_root(path: Path) -> tuple[bytes, Network]:
    with open(path, "rb") as file:
        data = file.read(MAX_ROOT_BYTES + 1)
    if len(data) > MAX_ROOT_BYTES:
        raise ModelFileError(f"{path}: not a model.root: more than {MAX_ROOT_BYTES} bytes")
    lines = data.split(b"\n")
    if len(lines) != 4 or [line.partition(b" ")[0] for line in lines[1:]] != [b"digest", b"network", b""]:
        raise ModelFileError(f"{path}: not a model.root: expected three lines, {LABEL.decode()}, digest and network")
    try:
        root, encoding = (bytes.fromhex(line.partition(b" ")[2].decode("ascii")) for line in lines[1:3])
    except ValueError:
        raise ModelFileError(f"{path}: not a model.root: expected hex digits after digest and network") from None
    try:
        network = Network.decode(encoding)
    except MalformedProof as error:
        raise ModelFileError(f"{path}: not a model.root: {error}") from None
    if data != _root_file(root, network) or len(root) != CHECKSUM_BYTES:
        raise ModelFileError(f"{path}: not a model.root in canonical form")
    return root, network


def read_opening(root_path: Path) -> OpenedModel:
    """The private half of a model.root. Raises OSError, or ModelFileError if it is damaged or another model's."""
    path = opening_path(root_path)
    root, network = _read_root(root_path)
    with open_regular(path, "no such file; zkds commit-model writes it beside model.root") as file:
        expected = _opening_bytes(network)
        if os.fstat(file.fileno()).st_size != expected:
            raise ModelFileError(f"{path}: damaged, or of another network: expected {expected} bytes, as {root_path} says")
        opened = _decode_opening(path, file.read(expected))
    try:
        same = opened.network == network and opened.root() == root
    except ValueError as error:  # weights that no commitment holds
        raise ModelFileError(f"{path}: {error}") from None
    if not same:
        remedy = "use the pair that one `zkds commit-model` wrote; if --overwrite was interrupted, commit again"
        raise ModelFileError(f"{path}: belongs to another model.root than {root_path}: {remedy}")
    return opened


def _opening_bytes(network: Network) -> int:
    count = chunks(network)
    header = len(MAGIC) + 16 + len(network.encode())
    return header + 8 * network.tensor_count + count * ajtai.randomness_bytes(count) + CHECKSUM_BYTES


def _root_file(root: bytes, network: Network) -> bytes:
    return LABEL + f"\ndigest {root.hex()}\nnetwork {network.encode().hex()}\n".encode()


def _encode_opening(opened: OpenedModel) -> bytes:
    encoding = opened.network.encode()
    weights = [opened.weights[name].astype("<i8").tobytes() for name, _ in opened.network.tensors]
    body = MAGIC + encode_number(VERSION) + encode_number(len(encoding)) + encoding
    body += b"".join(weights) + opened.randomness.tobytes()
    return body + hashlib.sha256(body).digest()


def _decode_opening(path: Path, data: bytes) -> OpenedModel:
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if hashlib.sha256(body).digest() != checksum:
        raise ModelFileError(f"{path}: damaged: the checksum does not match")
    reader = ProofReader(body)
    try:
        if reader.read("magic", len(MAGIC)) != MAGIC or read_number(reader, "version") != VERSION:
            raise ModelFileError(f"{path}: not a model.open of version {VERSION}")
        network = Network.decode(reader.read("network", read_number(reader, "length")))
        weights = {}
        for name, shape in network.tensors:
            stored = np.frombuffer(reader.read(name, 8 * math.prod(shape)), dtype="<i8")
            weights[name] = stored.astype(np.int64).reshape(shape)
        count = chunks(network)
        length = ajtai.randomness_bytes(count)
        randomness = np.frombuffer(reader.read("randomness", count * length), dtype=np.uint8).reshape(count, length)
        reader.finish()
    except MalformedProof as error:
        raise ModelFileError(f"{path}: {error}") from None
    return OpenedModel(network, weights, randomness)
