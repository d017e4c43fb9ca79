"""The seed of a proof from a public random value that nobody chose: a beacon's, published after data root and model.

    seed = SHA-256("zkds seed from a beacon v1" | length of the beacon's value | the value | data root | kind | model)

The length is 8 bytes, little-endian; the data root is its 32 bytes; kind is one byte, 1 for a private model; the model is the
32 bytes that a statement names it by, its digest or a private model's root. docs/specification/certificate.md, section 14, is
the specification; docs/threat-model.md says what such a seed needs to mean something.
"""

from __future__ import annotations

import hashlib

from zkds.dataset.root import DataRoot
from zkds.wire import encode_number

BEACON_LABEL = b"zkds seed from a beacon v1"
LEAST_BEACON_BYTES, MOST_BEACON_BYTES = 16, 1 << 10  # fewer could be guessed before they are published
MODEL_BYTES = 32


def seed_of_beacon(beacon: bytes, root: DataRoot, model: bytes, *, private_model: bool) -> bytes:
    """The 32 bytes of the seed.

    beacon          the value, as its publisher encodes it: 16 to 1024 bytes
    model           digest of a public model (`model_digest`), or a private model's root
    private_model   which of them it is
    Raises TypeError and ValueError for anything else.
    """
    if not isinstance(beacon, bytes) or not isinstance(model, bytes):
        raise TypeError("beacon, model: expected bytes")
    if not LEAST_BEACON_BYTES <= len(beacon) <= MOST_BEACON_BYTES:
        raise ValueError(f"beacon: expected {LEAST_BEACON_BYTES} to {MOST_BEACON_BYTES} bytes, got {len(beacon)}")
    if len(model) != MODEL_BYTES:
        raise ValueError(f"model: expected {MODEL_BYTES} bytes, got {len(model)}")
    named = root.digest() + bytes([private_model]) + model
    return hashlib.sha256(BEACON_LABEL + encode_number(len(beacon)) + beacon + named).digest()
