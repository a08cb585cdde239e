"""What the city would receive, for people: a live table on a terminal, lines in a pipe."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from edge.platform.lines import line, told
from edge.uplink.wire import Message

CLEAR: Final = "\x1b[H\x1b[J"
BOLD, RED, PLAIN = "\x1b[1m", "\x1b[1;31m", "\x1b[0m"
FLAGS_SHOWN: Final = 8
ON: Final = "!"  # before a flag that was raised; behind the time of day
AIR: Final = ("pm2_5", "pm10", "temperature", "humidity", "voc_index", "nox_index")
ENERGY: Final = ("power", "voltage_l1", "current_l1", "frequency", "energy_import")
EVENTS: Final = ("congestion", "anomaly", "sensor_fault")


@dataclass(slots=True)
class Board:
    """The last record of each source, and the flags since the start."""

    title: str
    records: int = 0
    vehicles: dict[str, int] = field(default_factory=dict)
    latest: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    flags: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, message: Message) -> None:
        """One message of the broker."""
        if message.kind != "record":
            return
        data = message.data
        self.records += 1
        self.latest[data["source"]] = data
        if data["stream"] == "traffic" and data.get("volume") is not None:
            self.vehicles[data["source"]] = self.vehicles.get(data["source"], 0) + data["volume"]
        if data["stream"] == "event" and data["event"] in EVENTS:
            self.flags.append((data["to"], data))

    def rows(self) -> list[str]:
        """The table, a line each, without colours."""
        out = [self.title, ""]
        out.append(f"{'LANE':<12}{'vehicles':>9}{'in all':>8}{'occupied':>10}{'km/h':>8}"
                   f"{'length m':>10}{'congested':>11}")  # fmt: skip
        for name, data in sorted(self.latest.items()):
            if data["stream"] == "traffic" and "volume" in data:
                out.append(self._lane(name, data))
        for stream, keys in (("air", AIR), ("energy", ENERGY)):
            for name, data in sorted(self.latest.items()):
                if data["stream"] == stream:
                    out += ["", f"{stream.upper()}  {name}", self._points(data["points"], keys)]
        out += ["", f"FLAGS ({len(self.flags)})   {self.records} records received"]
        for when, data in self.flags[-FLAGS_SHOWN:]:
            mark = ON if data.get("state") == "on" else " "
            out.append(f"  {when[11:19]} {mark} {told(data)}")
        return [*out, "", *self.notes]

    def _lane(self, name: str, data: Mapping[str, Any]) -> str:
        speed, length = data.get("speed") or {}, data.get("length") or {}
        cells = (
            _cell(data["volume"], "d", 9),
            f"{self.vehicles.get(name, 0):>8}",
            _cell(data["occupancy"], ".1%", 10),
            _cell(speed.get("mean"), ".1f", 8),
            _cell(length.get("mean"), ".1f", 10),
            _cell(data.get("p_congested"), ".2f", 11),
        )
        return f"{name:<12}{''.join(cells)}"

    @staticmethod
    def _points(points: Mapping[str, Any], keys: tuple[str, ...]) -> str:
        cells = []
        for key in keys:
            point = points.get(key, {})
            value = point.get("mean", point.get("last"))
            cells.append(f"{key} {'-' if value is None else format(value, '.6g')}")
        return "  " + "   ".join(cells)


class Screen:
    """Where it is shown. A terminal gets the table anew with each message; a pipe gets lines."""

    def __init__(self, board: Board, out: TextIO = sys.stdout) -> None:
        self._board, self._out = board, out
        self.live = out.isatty()

    def say(self, text: str) -> None:
        """Something about the demo itself."""
        self._board.notes.append(text)
        self._out.write(f"{text}\n")
        self._out.flush()

    def show(self, message: Message) -> None:
        self._board.take(message)
        if self.live:
            self._out.write(CLEAR + "\n".join(_coloured(row) for row in self._board.rows()) + "\n")
        elif message.kind != "last":
            self._out.write(line(message) + "\n")
        self._out.flush()

    def progress(self, share: float, what: str) -> None:
        """A bar on a terminal, nothing in a pipe."""
        if self.live:
            done = round(share * 30)
            end = "\n" if share >= 1 else ""
            self._out.write(f"\r{what} [{'#' * done}{'.' * (30 - done)}] {share:4.0%}{end}")
            self._out.flush()


def _cell(value: Any, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"


def _coloured(row: str) -> str:
    if row[10:13] == f" {ON} ":
        return f"{RED}{row}{PLAIN}"
    if row[:4].isupper():
        return f"{BOLD}{row}{PLAIN}"
    return row
