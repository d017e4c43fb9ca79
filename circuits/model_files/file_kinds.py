"""What a file seems to be by its first bytes: words for a message about a file that was given in the place of another.

Those that zkds writes, and zip archives; files of other programs in the place of a model are in foreign_models.py.
"""

from __future__ import annotations

from pathlib import Path

from zkds import statement
from zkds.circuits.models import model_root, private_model
from zkds.dataset import opening
from zkds.dataset.root import ROOT_LABEL

HEAD_BYTES = 64  # are enough

PROOF, DATA_ROOT, MODEL_ROOT = "a proof", "a data.root", "a model.root"
DATA_OPEN, MODEL_OPEN = "a data.open, which is private", "a model.open, which is private"
KINDS = (
    (statement.MAGIC, PROOF),
    (ROOT_LABEL.encode(), DATA_ROOT),
    (private_model.LABEL, MODEL_ROOT),
    (opening.MAGIC, DATA_OPEN),
    (model_root.MAGIC, MODEL_OPEN),
    (b"PK\3\4", "a zip archive, perhaps a model"),
)


def kind_of(data: bytes) -> str | None:
    """Of a whole file, or of its first HEAD_BYTES bytes: what it seems to be, or None for what isn't known."""
    if not data:
        return "empty"
    return next((kind for magic, kind in KINDS if data.startswith(magic)), None)


def kind_of_file(path: str | Path) -> str | None:
    """Of a regular file; None for a pipe, which could be read only once. Raises OSError."""
    if not Path(path).is_file():
        return None
    with open(path, "rb") as file:
        return kind_of(file.read(HEAD_BYTES))
