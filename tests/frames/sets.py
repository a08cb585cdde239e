"""Every set of frames: where it comes from, what reads it besides us, and how many are wanted."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Final, Literal

from tests.frames import dlt645, dsmr, iec62056, mbus, modbus, sml
from tests.frames.outcome import Case
from tests.frames.sources import packages

HERE: Final = "here"  # origin of what stands in this repository
FOLDER: Final = "FRAMES"

Kind = Literal["recorded", "again", "made"]
"""Frames of meters, the same frames with one more implementation, or what somebody calculated."""

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Set:
    """One set. `origin` is a source package, FOLDER or HERE; `floor` counts frames."""

    name: str
    protocol: str
    origin: str
    peer: str  # the other implementation, as it is told to people
    cases: Callable[[Files], Iterator[Case]]
    floor: int = 1
    kind: Kind = "recorded"
    parser: str = ""  # another source package that it needs
    package: str = ""  # an installed one, whose version is told


def _here(cases: Callable[[], Iterator[Case]]) -> Callable[[Files], Iterator[Case]]:
    return lambda _: cases()


SETS: Final = (
    Set("libmbus", "M-Bus", FOLDER, "libmbus' own decodings", mbus.libmbus, 100),
    Set("libmbus again", "M-Bus", FOLDER, "pyMeterBus", mbus.second, 100, "again",
        package="pymeterbus"),
    Set("pymeterbus", "M-Bus", "pymeterbus", "pyMeterBus", mbus.tests, package="pymeterbus"),
    Set("libsml-testing", "SML", FOLDER, "smllib", sml.recordings, 200, package="smllib"),
    Set("libsml-testing count", "SML", FOLDER, "smllib", sml.stream, 30, "again",
        package="smllib"),
    Set("smllib", "SML", "smllib", "smllib", sml.tests, package="smllib"),
    Set("dsmr-parser", "DSMR", FOLDER, "dsmr-parser", dsmr.examples, 13, package="dsmr-parser"),
    Set("dsmr-parser tests", "DSMR", "dsmr-parser", "dsmr-parser", dsmr.tests,
        package="dsmr-parser"),
    Set("iec62056", "DSMR", "iec62056", "dsmr-parser", dsmr.samples, package="dsmr-parser"),
    Set("iec62056 readout", "IEC 62056-21", "iec62056", "iec62056-21", iec62056.samples,
        parser="iec62056-21"),
    Set("readouts.toml", "IEC 62056-21", HERE, "iec62056-21", iec62056.readouts,
        parser="iec62056-21"),
    Set("dlt645.toml", "DL/T 645", HERE, "dlt645", _here(dlt645.published), package="dlt645"),
    Set("traces/dlt645.toml", "DL/T 645", HERE, "dlt645", _here(dlt645.traces), 1, "made",
        package="dlt645"),
    Set("dlt645 encoded", "DL/T 645", HERE, "dlt645", _here(dlt645.written), 1, "made",
        package="dlt645"),
    Set("mbmd", "Modbus maps", HERE, "mbmd fb8f9c2 of 2026-06-23",
        _here(partial(modbus.maps, "mbmd")), 9, "made"),
    Set("evcc", "Modbus maps", HERE, "evcc b29b49e of 2026-08-08",
        _here(partial(modbus.maps, "evcc")), 3, "made"),
)  # fmt: skip


def peer(one: Set) -> str:
    """The other implementation with its version."""
    if one.parser:
        return f"{one.peer} {packages()[one.parser].version}"
    return f"{one.peer} {version(one.package)}" if one.package else one.peer
