"""The wiring page of a bench: which wire goes where, for whoever makes it. Text, and HTML.

What each circuit needs is told beside it; docs/bench.md has levels, isolation and grounds.
"""

import html
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from edge.config import Site
from edge.rig.benchfile import Bench, BenchOutput
from edge.rig.benchoutputs import is_on, missing_outputs
from edge.rig.recordedcontacts import contact_lines, loop_lines

WIRES: Final = {
    "optocoupler": "collector to {line} of the box, emitter to GND of the box; the bench drives "
    "the diode through its resistor; no common ground",
    "relay": "its contact between {line} and GND of the box; no common ground",
    "open_drain": "{bench} to {line} of the box, GND to GND; the pull-up of the box sets the "
    "level, 3.3 V at most",
    "direct": "{bench} to {line} of the box, GND to GND; both sides have 3.3 V, or the lower one "
    "breaks",
}
BY_WORD: Final = "A and B to A and B of the box's adapter, GND to GND; 120 ohm at both ends"
COLUMNS: Final = ("no.", "what it plays", "line of the box", "line of the bench", "part",
                  "while closed", "self-test reads", "wires")  # fmt: skip
WARNINGS: Final = (
    "Work without voltage: the supply of the box off, and that of the bench.",
    "A GPIO takes 3.3 V. 5 V, 12 V or 24 V on it destroys the board, at once or within days.",
    "What comes from a cabinet (24 V, long wires, another earth) needs an optocoupler or a relay.",
    "Run the self-test before the box is connected, and the box's own check afterwards.",
)


class WiringRow(NamedTuple):
    """One connection, as COLUMNS names it."""

    cells: tuple[str, ...]


def wiring_rows(bench: Bench, site: Site) -> list[WiringRow]:
    """All of them: lines in the order of the bench file, then ports, then the supply."""
    lines = {
        one.source: (line, one) for line, one in (loop_lines(site) | contact_lines(site)).items()
    }
    rows = []
    for name, output in bench.outputs.items():
        line, contact = lines[name]
        place = f"{output.chip} {output.line}"
        part = f"{output.circuit}{', inverted' if output.inverted else ''}"
        on = is_on(output, contact.active_high)
        level = f"{line} {'high' if contact.active_high else 'low'}, part {'on' if on else 'off'}"
        wires = WIRES[output.circuit].format(line=line, bench=output.line)
        rows.append((name, line, place, part, level, _back(output), wires))
    for bus, serial in bench.serials.items():
        keys: Any = site.buses[bus]
        speed = f"{keys.baud} baud" if getattr(keys, "baud", None) else "the driver's baud rate"
        rows.append((f"bus {bus}", str(keys.port), serial.port, "serial", speed,
                     serial.heard_by or "-", BY_WORD))  # fmt: skip
    if (power := bench.power) is not None:
        by = f"{power.chip} {power.line}" if power.chip else "commands"
        rows.append(("supply", "its supply", by, "relay" if power.chip else "-", "not cut", "-",
                     "the contact in the plus wire of the box's supply, normally closed; never in "
                     "230 V"))  # fmt: skip
    return [WiringRow((str(number), *cells)) for number, cells in enumerate(rows, 1)]


def wiring_notes(bench: Bench, site: Site) -> Iterator[str]:
    """What is not right for what is wired, and what nothing plays."""
    for name, line in missing_outputs(bench, site).items():
        yield f"{name} ({line}) has no output: for the box it stays as it is."
    for name, output in bench.outputs.items():
        lane = site.lanes.get(name.partition(".")[0])
        bias = lane.bias if lane is not None else "up"
        if output.circuit != "direct" and bias == "none":
            yield (f"{name}: a part that pulls to ground needs a pull-up, and the site file says "
                   'bias = "none": add a resistor of 10 kilohm to 3.3 V of the box.')  # fmt: skip
        if output.back_line is None:
            yield f"{name}: the self-test cannot read it back (back_chip, back_line)."
    unplayed = [name for name, bus in site.buses.items()
                if name not in bench.serials and bus.kind not in ("gpio",)]  # fmt: skip
    for name in unplayed:
        yield f"bus {name}: nothing plays it here; its devices are real ones, or silent."


def wiring_text(bench: Bench, site: Site) -> Iterator[str]:
    """For a terminal."""
    yield f"Wiring of {bench.about.name}; the box comes to {bench.about.listen}"
    yield ""
    yield from WARNINGS
    for row in wiring_rows(bench, site):
        yield ""
        yield f"{row.cells[0]}. {row.cells[1]}"
        for name, cell in zip(COLUMNS[2:], row.cells[2:], strict=True):
            yield f"   {name:<18} {cell}"
    notes = [*wiring_notes(bench, site)]
    if notes:
        yield ""
        yield from notes


def wiring_html(bench: Bench, site: Site) -> str:
    """A page of its own that can be printed."""
    rows = (_row("td", row.cells) for row in wiring_rows(bench, site))
    return "\n".join((
        "<!doctype html>", '<html lang="en"><meta charset="utf-8">',
        f"<title>Wiring of {html.escape(bench.about.name)}</title>",
        "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}"
        "td,th{border:1px solid #888;padding:.3em .6em;text-align:left;vertical-align:top}"
        "tr{break-inside:avoid}</style>",
        f"<h1>Wiring of {html.escape(bench.about.name)}</h1>",
        f"<p>The box comes to {html.escape(bench.about.listen)}.</p>",
        _list(WARNINGS),
        f"<table>{_row('th', COLUMNS)}", *rows, "</table>",
        _list([*wiring_notes(bench, site)]),
        "</html>\n",
    ))  # fmt: skip


def _back(output: BenchOutput) -> str:
    return "-" if output.back_line is None else f"{output.back_chip} {output.back_line}"


def _row(cell: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{html.escape(each)}</{cell}>' for each in cells)}</tr>"


def _list(texts: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(each)}</li>' for each in texts)}</ul>" if texts else ""
