"""From records to what the semantics computes on: inputs and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.networks.graph import Network
from zkds.circuits.trajectory import Trajectory
from zkds.dataset.membership import ELEMENTS, LABELS
from zkds.dataset.records import Records
from zkds.dataset.sampling import batches
from zkds.dataset.schema import Schema
from zkds.integers.limbs import I64


def probe_records(
    network: Network, weights: Mapping[str, I64], records: Records, configuration: Configuration, seed: bytes
) -> Trajectory:
    """The probe of a proof about these records with this seed: `zkds audit --fixed`. Raises what `probe.run` raises."""
    indices = batches(seed, records.count, configuration.steps, configuration.batch_size)
    stored = np.stack([[records.read(index, index + 1)[0] for index in batch] for batch in indices])
    element_bytes, label_bytes = records.schema.element_bytes, records.schema.label_bytes
    elements, labels = np.split(stored, [records.schema.elements * element_bytes], axis=2)
    shape = (*stored.shape[:2], *records.schema.shape)
    columns = {
        ELEMENTS: elements.reshape(shape if element_bytes == 1 else (*shape, element_bytes)),
        LABELS: labels[..., 0] if label_bytes == 1 else labels,
    }
    inputs, numbers = network_inputs(records.schema, columns)
    return probe.run(network, weights, inputs, numbers, configuration)


def network_inputs(schema: Schema, records: Mapping[str, NDArray[Any]], prefix: str = "") -> tuple[I64, I64]:
    """What the network sees of the columns of `Membership`: inputs (T, B, C, H, W) int64, 32 fractional bits; labels (T, B).

    prefix: of the columns' names
    """
    elements = _little_endian(records[f"{prefix}{ELEMENTS}"], schema.element_bytes)
    labels = _little_endian(records[f"{prefix}{LABELS}"], schema.label_bytes)
    channels = [schema.affine(channel) for channel in range(schema.shape[0])]
    slope, constant = (np.array(part, dtype=np.int64).reshape(-1, 1, 1) for part in zip(*channels, strict=True))
    shape = schema.shape if len(schema.shape) == 3 else (*schema.shape, 1, 1)
    return slope * elements.reshape(*labels.shape, *shape) + constant, labels


def _little_endian(cells: NDArray[Any], size: int) -> I64:
    """Bytes along the last axis to numbers; numbers of one byte have no such axis."""
    if size == 1:
        return cells.astype(np.int64)
    powers = np.int64(1) << (8 * np.arange(size, dtype=np.int64))
    numbers: I64 = (cells.astype(np.int64) * powers).sum(axis=-1)
    return numbers
