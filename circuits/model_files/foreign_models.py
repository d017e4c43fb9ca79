"""Files that hold a model in another way than zkds reads: what they are, and what to do with them."""

from __future__ import annotations

import os
from typing import IO

from zkds.circuits.model_files.file_kinds import DATA_OPEN, DATA_ROOT, MODEL_OPEN, MODEL_ROOT, PROOF, kind_of

EXPORT = 'torch.export.save(torch.export.export(model.eval(), (example,)), "m.pt2")'
SAVE = 'torch.save({"arch": NAME, "state_dict": model.state_dict()}, "m.pt")'
TAIL_BYTES = 1 << 16
INSTEAD = f"""Where the model is at home (loading such a file runs code in it), write instead, with an example of the inputs,
  {EXPORT}
or, for a network of zkds's zoo,
  {SAVE}"""

NO_MODELS = (PROOF, DATA_ROOT, DATA_OPEN, MODEL_ROOT, MODEL_OPEN)  # that zkds writes, and somebody may mix up
OLD_PICKLE = b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of torch.save before 1.6
ONNX_FIELDS = (0x12, 0x1A, 0x22, 0x3A)  # what follows the version, field 1: producer, its version, domain, graph


def foreign(start: bytes) -> str | None:
    """What a file is that starts with these bytes, and what to do; None if it may be one that zkds reads."""
    kind = kind_of(start)
    if kind in NO_MODELS:
        return f"{kind}, and no model"
    if start.startswith(OLD_PICKLE):
        return "a file of torch.save in its format before 1.6. Load and save it again with a newer torch"
    if start.startswith(b"\x80"):
        return f"a pickle, and not a file of torch.save. {INSTEAD}"
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return f"a file of HDF5, as Keras writes it. zkds reads models of PyTorch. {INSTEAD}"
    if start.startswith(b"\x93NUMPY"):
        return "an array of NumPy, which is data and no model"
    if start[:1] == b"\x08" and len(start) > 2 and 0 < start[1] < 0x80 and start[2] in ONNX_FIELDS:
        return f"a model of ONNX. zkds reads the PyTorch model that it was exported from. {INSTEAD}"
    return None


def whole_module(name: str) -> str:
    """A checkpoint that is a pickled module of a class."""
    return f"a pickled module, {name}, whose meaning is code. {INSTEAD}"


def foreign_entry(name: str) -> str:
    """A checkpoint with an object of a class beside its weights."""
    return (
        f"checkpoint: expected tensors and plain containers only, got {name}. Save the weights alone: "
        'torch.save({"arch": NAME, "state_dict": model.state_dict()}, "m.pt")'
    )


def foreign_archive(stream: IO[bytes]) -> str | None:
    """What an archive is that can't be read, by the names in its last bytes; None if they say nothing."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - TAIL_BYTES))
    tail = stream.read(TAIL_BYTES)
    if b"/constants.pkl" in tail:
        return f"a program of TorchScript (torch.jit.save). {INSTEAD}"
    if b".npy" in tail and b"/data.pkl" not in tail:
        return "an archive of NumPy's arrays (.npz), which is data and no model"
    return None
