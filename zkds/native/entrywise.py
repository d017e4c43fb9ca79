"""Binding of the entrywise family: sums of products of two tensors' digits, entry by entry and modulo 2^64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import U32, U64, array, check, ffi, lib, pointer
from zkds.native.columns import Boxes

I64 = NDArray[np.int64]

MAX_OPERANDS = int(lib.ZKDS_MAX_OPERANDS)
MAX_RESULTS = int(lib.ZKDS_MAX_RESULTS)
_WORD = 1 << 64


@dataclass(frozen=True, eq=False, repr=False)
class CellSum:
    """constant + sum_k scales[k] cell_k at every entry; the cells of box b from places[k][b] on: (columns, boxes) uint64."""

    constant: int
    scales: tuple[int, ...]
    places: U64


@dataclass(frozen=True)
class Product:
    """factor times one or two operands, by their numbers; times none, if there are none."""

    factor: int
    operands: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """values = floor((the products' sum + the result before, if `chained`) / 2^bits), 0 <= bits < 64.

    values   of the boxes' shape; if `summed`, (1,), to which those of all entries are added
    """

    products: Sequence[Product]
    values: I64
    bits: int = 0
    chained: bool = False
    summed: bool = False


def evaluate(vector: U32, boxes: Boxes, operands: Sequence[CellSum | I64], results: Sequence[Result]) -> list[bool]:
    """All results, in order, at all entries of the boxes; of each, whether 2^bits divided all sums.

    operands: what a digit is at every entry; arrays are int64 of the boxes' shape, with any strides.
    Raises ValueError for arrays of other shapes, cells outside the vector, more operands than MAX_OPERANDS or results
    than MAX_RESULTS.
    """
    array("vector", vector, np.uint32, (None,))
    if len(operands) > MAX_OPERANDS or len(results) > MAX_RESULTS:
        most = f"{MAX_OPERANDS} operands and {MAX_RESULTS} results"
        raise ValueError(f"expected at most {most}, got {len(operands)} and {len(results)}")
    if any(not 0 <= number < len(operands) for result in results for own in result.products for number in own.operands):
        raise ValueError(f"products: expected operands below {len(operands)}")
    keep: list[Any] = []  # what has to outlive the C structures
    given = [_operand(operand, boxes, len(vector), keep) for operand in operands]
    asked = [_result(result, boxes, keep) for result in results]
    cut = ffi.new("uint32_t *")
    code = lib.zkds_entrywise(
        pointer(vector, "uint32_t *"),
        boxes.struct(keep),
        ffi.new("struct zkds_operand[]", given),
        len(given),
        ffi.new("struct zkds_result[]", asked),
        len(asked),
        cut,
    )
    check(code, "entrywise.evaluate")
    return [not cut[0] >> r & 1 for r in range(len(results))]


def _operand(operand: CellSum | I64, boxes: Boxes, cells: int, keep: list[Any]) -> dict[str, Any]:
    if isinstance(operand, CellSum):
        scales = np.array(operand.scales, dtype=np.int64)
        array("places", operand.places, np.uint64, (len(scales), len(boxes.sides)))
        if (operand.places + boxes.cells > cells).any():
            raise ValueError(f"places: expected boxes within {cells} cells")
        keep += [scales, operand.places]
        return {
            "constant": operand.constant,
            "columns": len(scales),
            "scales": pointer(scales, "int64_t *"),
            "places": pointer(operand.places, "uint64_t *"),
        }
    return _array(operand, boxes, keep)


def _array(values: I64, boxes: Boxes, keep: list[Any]) -> dict[str, Any]:
    if values.dtype != np.int64 or values.shape != boxes.shape:
        raise ValueError(f"values: expected int64 of shape {boxes.shape}, got {values.dtype} of {values.shape}")
    strides = np.array(values.strides, dtype=np.int64) // np.int64(values.itemsize)
    keep += [values, strides]
    return {"values": ffi.cast("int64_t *", values.ctypes.data), "strides": pointer(strides, "int64_t *")}


def _result(result: Result, boxes: Boxes, keep: list[Any]) -> dict[str, Any]:
    if not result.values.flags.writeable:
        raise ValueError("values: expected a result that may be written")
    products = ffi.new("struct zkds_product[]", [_product(product) for product in result.products])
    keep.append(products)
    fields = {"products": products, "count": len(products), "chained": result.chained, "bits": result.bits}
    if result.summed:
        array("total", result.values, np.int64, (1,))
        keep.append(result.values)
        return fields | {"total": pointer(result.values, "uint64_t *")}
    return fields | _array(result.values, boxes, keep)


def _product(product: Product) -> tuple[int, int, int]:
    left, right = (*product.operands, -1, -1)[:2]
    return (product.factor + _WORD // 2) % _WORD - _WORD // 2, left, right
