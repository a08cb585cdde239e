"""IEC 62056-21: the parser of the package iec62056-21, taken out of its archive, reads the same."""

import importlib
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial, reduce
from operator import xor
from pathlib import Path, PurePosixPath
from typing import Any, Final

from drivers.chips import iec62056, iec62056_push
from edge.core import DataError, Sample
from tests.frames.codes import Decoded, named
from tests.frames.literals import literals
from tests.frames.outcome import Case

PARSER: Final = "iec62056_21"
CODE: Final = re.compile(r"(?:1-[01]:)?(\d+)\.(\d+)(?:\.(\d+))?(?:\*255)?")
NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")


def readouts(files: Mapping[str, bytes]) -> Iterator[Case]:
    """Those in `readouts.toml`; among the files are the parser's."""
    with Path(__file__).with_name("readouts.toml").open("rb") as file:
        rows = tomllib.load(file)["readout"]
    with tempfile.TemporaryDirectory() as place:
        messages = _parser(files, Path(place))
        for row in rows:
            body = row["lines"].strip().replace("\n", "\r\n") + "\r\n"
            if head := row.get("head"):
                telegram = f"{head}\r\n\r\n{body}!\r\n".encode("ascii")
                again = partial(ours, pushed=True)
                yield Case(row["name"], again(telegram), _block(messages, body), 0, telegram, again)
            else:
                frame = closed(f"{body}!\r\n")
                yield Case(row["name"], ours(frame), _readout(messages, frame), 0, frame, ours)


def samples(files: Mapping[str, bytes]) -> Iterator[Case]:
    """The readout among the samples of the package iec62056."""
    with tempfile.TemporaryDirectory() as place:
        messages = _parser(files, Path(place))
        for name, text in literals(files["iec62056/samples.py"]):
            if isinstance(text, bytes) and b"\x03" in text:
                frame = b"\x02" + text.partition(b"\x02")[2]
                yield Case(name, ours(frame), _readout(messages, frame), 0, frame, ours)


def closed(text: str) -> bytes:
    """The text between STX and the check character."""
    body = text.encode("ascii") + b"\x03"
    return b"\x02" + body + bytes([reduce(xor, body)])


def ours(frame: bytes, pushed: bool = False) -> Mapping[str, Sample] | str:
    """What the driver makes of it, or why it refuses."""
    try:
        explain = iec62056_push.explain if pushed else iec62056.explain
        return explain([frame])
    except DataError as damage:
        return str(damage)


def _parser(files: Mapping[str, bytes], place: Path) -> Any:
    """Their module of messages. It needs nothing but the standard library."""
    for path, data in files.items():
        if PurePosixPath(path).parts[:1] == (PARSER,) and path.endswith(".py"):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(data)
    sys.path.insert(0, str(place))
    try:
        return importlib.import_module(f"{PARSER}.messages")
    finally:
        sys.path.remove(str(place))


def _readout(messages: Any, frame: bytes) -> dict[str, float | None] | str:
    try:
        message = messages.ReadoutDataMessage.from_representation(frame.decode("latin-1"))
    except Exception as raised:  # noqa: BLE001  whatever it raises, it refuses
        return f"{type(raised).__name__}: {raised}"
    return named(_decoded(message.data_block))


def _block(messages: Any, body: str) -> dict[str, float | None] | str:
    try:
        block = messages.DataBlock.from_representation(body)
    except Exception as raised:  # noqa: BLE001  whatever it raises, it refuses
        return f"{type(raised).__name__}: {raised}"
    return named(_decoded(block))


def _decoded(block: Any) -> Iterator[Decoded]:
    for line in block.data_lines:
        for one in line.data_sets:
            code = CODE.fullmatch(one.address or "")
            number = NUMBER.fullmatch((one.value or "").strip())
            if code:
                c, d, e = (int(part or 0) for part in code.groups())
                value = Decimal(number[0]) if number else None
                yield (c, d, 0 if e == 255 else e), value, one.unit or ""
