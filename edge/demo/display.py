"""What the city would receive, for people: a live table on a terminal, lines in a pipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, Final

from edge.core.printable import printable
from edge.platform.messagelines import Descriptions, event_text, message_line
from edge.wire import DecodedMessage

CLEAR: Final = "\x1b[H\x1b[J"
BOLD, RED, PLAIN = "\x1b[1m", "\x1b[1;31m", "\x1b[0m"
FLAGS_SHOWN: Final = 8
ON: Final = "!"  # before a flag that was raised; behind the time of day
AIR: Final = ("pm2_5", "pm10", "temperature", "humidity", "voc_index", "nox_index")
ENERGY: Final = ("power", "voltage_l1", "current_l1", "frequency", "energy_import")
EVENTS: Final = ("congestion", "incident", "anomaly", "sensor_fault", "overstay")
WIDE: Final = 100  # columns of a terminal that does not tell how many it has
INDENT: Final = " " * 13


@dataclass(slots=True)
class DemoDisplay:
    """The last record of each source, and the flags since the start."""

    title: str
    records: int = 0
    vehicles: dict[str, int] = field(default_factory=dict)
    latest: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    flags: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, message: DecodedMessage) -> None:
        """One message of the broker."""
        if message.kind != "record":
            return
        data = message.data
        self.records += 1
        self.latest[data["source"]] = data
        if data["stream"] == "traffic" and data.get("volume") is not None:
            self.vehicles[data["source"]] = self.vehicles.get(data["source"], 0) + data["volume"]
        if data["stream"] == "bay" and data.get("arrivals") is not None:
            self.vehicles[data["source"]] = self.vehicles.get(data["source"], 0) + data["arrivals"]
        if data["stream"] == "event" and data["event"] in EVENTS:
            self.flags.append((data["to"], data))

    def rows(self) -> list[str]:
        """The table, a line each, without colours."""
        out = [self.title, ""]
        out.append(f"{'LANE':<12}{'vehicles':>9}{'in all':>8}{'occupied':>10}{'km/h':>8}"
                   f"{'length m':>10}{'congested':>11}{'in 15 min':>11}")  # fmt: skip
        for name, data in sorted(self.latest.items()):
            if data["stream"] == "traffic" and "volume" in data:
                out.append(self._lane(name, data))
        out += self._bays()
        for stream, keys in (("air", AIR), ("energy", ENERGY)):
            for name, data in sorted(self.latest.items()):
                if data["stream"] == stream:
                    out += ["", f"{stream.upper()}  {name}", self._points(data["points"], keys)]
        out += ["", f"FLAGS ({len(self.flags)})   {self.records} records received"]
        for when, data in self.flags[-FLAGS_SHOWN:]:
            mark = ON if data.get("state") == "on" else " "
            out.append(f"  {when[11:19]} {mark} {event_text(data)}")
        return [printable(row) for row in (*out, "", *self.notes)]

    def _lane(self, name: str, data: Mapping[str, Any]) -> str:
        speed, length = data.get("speed") or {}, data.get("length") or {}
        alone = data.get("speed_single") or {}
        cells = (
            _cell(data["volume"], "d", 9),
            f"{self.vehicles.get(name, 0):>8}",
            _cell(data["occupancy"], ".1%", 10),
            _cell(speed.get("mean"), ".1f", 8) if speed else _about(alone.get("kmh"), 8),
            _cell(length.get("mean"), ".1f", 10),
            _cell(data.get("p_congested"), ".2f", 11),
            _cell(data.get("p_congested_15"), ".2f", 11),
        )
        return f"{name:<12}{''.join(cells)}"

    def _bays(self) -> list[str]:
        rows = []
        for name, data in sorted(self.latest.items()):
            if data["stream"] != "bay" or "occupied" not in data:
                continue
            now = {1: "occupied", 0: "free"}.get(data["occupied"], "-")
            since_s = data.get("since_s")
            rows.append(
                f"{name:<12}{_cell(data.get('arrivals'), 'd', 9)}{self.vehicles.get(name, 0):>8}"
                f"{_cell(data.get('occupancy'), '.1%', 10)}{now:>10}"
                f"{_cell(None if since_s is None else since_s / 60, '.1f', 10)}"
                f"{_cell(data.get('overstays'), 'd', 11)}"
            )
        head = (f"{'BAY':<12}{'arrivals':>9}{'in all':>8}{'occupied':>10}{'now':>10}"
                f"{'since min':>10}{'overstays':>11}")  # fmt: skip
        return ["", head, *rows] if rows else []

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

    def __init__(
        self,
        board: DemoDisplay,
        draw: Callable[[str], None],
        *,
        live: bool = False,
        colours: bool = False,
    ) -> None:
        """`live`: it understands escape sequences."""
        self._board, self._draw, self._told = board, draw, Descriptions()
        self.live, self._colours = live, colours

    def print_line(self, text: str) -> None:
        """Something about the demo itself."""
        self._board.notes.append(text)
        self._draw(f"{printable(text)}\n")

    def show(self, message: DecodedMessage) -> None:
        self._board.take(message)
        self._told.take(message)
        if self.live:
            wide = get_terminal_size((WIDE, 0)).columns
            rows = (self._row(row, wide) for row in self._board.rows())
            self._draw(CLEAR + "\n".join(rows) + "\n")
        elif message.kind != "last":
            told = self._told
            line = message_line(message, told.units(message), told.names(message))
            self._draw(printable(line) + "\n")

    def _row(self, row: str, wide: int) -> str:
        shown = _folded(row, wide)
        return _coloured(row, shown) if self._colours else shown

    def progress(self, share: float, what: str) -> None:
        """A bar on a terminal, nothing in a pipe."""
        if self.live:
            done = round(share * 30)
            end = "\n" if share >= 1 else ""
            self._draw(f"\r{what} [{'#' * done}{'.' * (30 - done)}] {share:4.0%}{end}")


def _cell(value: Any, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"


def _about(value: Any, width: int) -> str:
    """What one loop lets one estimate."""
    return _cell(None, "", width) if value is None else f"{f'~{value:.0f}':>{width}}"


def _folded(row: str, wide: int) -> str:
    """A flag's sentence in as many lines as it takes, so that a table stays one."""
    if row[:2] != "  " or len(row) <= wide:
        return row
    room = max(wide, 2 * len(INDENT))
    return "\n".join(wrap(row, room, subsequent_indent=INDENT))


def _coloured(row: str, shown: str | None = None) -> str:
    """`shown`, which is this row as it comes to the screen, in the row's colour."""
    shown = row if shown is None else shown
    if row[10:13] == f" {ON} ":
        return f"{RED}{shown}{PLAIN}"
    if row[:3].isupper():
        return f"{BOLD}{shown}{PLAIN}"
    return shown
