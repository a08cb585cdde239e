"""Reads the two versions at the head of an ONNX file, without the library that writes such files.

Source: onnx/onnx.proto, message ModelProto: field 1 `ir_version`, field 8 `opset_import`, each with
field 1 `domain` and field 2 `version`; wire format of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class OnnxVersions(NamedTuple):
    """None for what the file does not say."""

    ir: int | None
    opset: int | None  # of the operators of ONNX itself


def read_onnx_versions(data: bytes) -> OnnxVersions:
    """Raises ValueError for bytes that are no such message."""
    ir = opset = None
    for field, value in _fields(data):
        if field == 1 and isinstance(value, int):
            ir = value
        elif field == 8 and isinstance(value, bytes):
            part = dict(_fields(value))
            version = part.get(2)
            if part.get(1, b"") in (b"", b"ai.onnx") and isinstance(version, int):
                opset = version
    return OnnxVersions(ir, opset)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield field, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(data):
            raise ValueError(f"field {field} ends behind the file")
        yield field, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise ValueError(f"no number at byte {at}")
