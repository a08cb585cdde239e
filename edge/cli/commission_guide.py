"""`kerbstone commission` at a terminal: leads through all steps, and may be left at any of them."""

from collections.abc import Mapping
from typing import Any, Final

from edge.cli.commission_asked import CommissionAsker
from edge.control.protocol import VerbError
from edge.report.commissiontext import (
    commission_page,
    headline,
    passage_lines,
    step_lines,
)
from edge.terminal import echo

LEAVE: Final = ("q", "quit")
TOLD: Final = ("scan", "left_out")  # not done here: the line of a search says how it is done
ASKED: Final = ("contact", "pulses", "bay", "signal")
FIELDS: Final = ("inductance_uh", "q", "resistance_ohm", "insulation_mohm")


class LeftError(Exception):
    """The technician goes; what was done is kept."""


def run_guide(asker: CommissionAsker) -> int:
    """Step by step. 0: it was signed; 1: it was left before."""
    try:
        state = asker.state()
        if not state["open"]:
            echo(headline(state))
            state = asker.ask("begin", by=_line("Your name: "))
        echo(headline(state), "Enter does a step, s skips it, q leaves; what was done is kept.")
        for row in state["steps"]:
            if row["verdict"] == "passed" and not row["stale"]:
                continue
            _do(asker, row)
        return _sign(asker)
    except (LeftError, EOFError, KeyboardInterrupt):
        echo("", "Left. `kerbstone commission` goes on from here.")
        return 1


def _line(text: str) -> str:
    """What is typed; not empty. Raises LeftError."""
    while True:
        typed = input(text).strip()
        if typed.lower() in LEAVE:
            raise LeftError
        if typed:
            return typed


def _wanted(text: str) -> str:
    """A key, and Enter; "" is Enter alone. Raises LeftError."""
    typed = input(text).strip().lower()
    if typed in LEAVE:
        raise LeftError
    return typed


def _do(asker: CommissionAsker, row: Mapping[str, Any]) -> None:
    """One step, until it passed or is skipped."""
    id_, kind = row["id"], row["kind"]
    while True:
        echo("", *step_lines(row))
        try:
            if kind == "lane":
                done = _drive(asker, row["subject"])
            elif kind == "loop":
                done = _fields(asker, row)
            elif kind in TOLD:
                return
            else:
                done = _test(asker, id_, kind)
        except VerbError as error:
            echo(f"{error}")
            return
        if done is None:
            return
        row = done
        if row["verdict"] == "passed" or kind == "loop":
            echo(*step_lines(row))
            return


def _test(asker: CommissionAsker, id_: str, kind: str) -> dict[str, Any] | None:
    words = "operated it" if kind in ASKED else "test"
    if _wanted(f"Enter: {words}, s: skip, q: leave > ") == "s":
        return None
    return asker.step(asker.ask("test", step=id_), id_)


def _drive(asker: CommissionAsker, lane: str) -> dict[str, Any] | None:
    typed = _wanted("Speed you will drive in km/h (Enter: not known), s: skip, q: leave > ")
    if typed == "s":
        return None
    try:
        speed = float(typed) if typed else None
    except ValueError:
        echo("a number in km/h, such as 30")
        return asker.step(asker.state(), f"lane:{lane}")
    asker.ask("drive", lane=lane, speed_kmh=speed)
    _wanted(f"Drive over {lane} NOW, in the direction of traffic. Enter when you have passed > ")
    state = asker.ask("finish")
    echo(*passage_lines(state["drive"]))
    if not state["own"] and state["drive"]["passages"]:
        typed = _wanted("Which of them was yours? Its number (Enter: I cannot tell) > ")
        if typed.isdecimal() and 1 <= int(typed) <= len(state["drive"]["passages"]):
            mine = state["drive"]["passages"][int(typed) - 1]["at_ms"]
            state = asker.ask("finish", mine=mine)
    return asker.step(state, f"lane:{lane}")


def _fields(asker: CommissionAsker, row: Mapping[str, Any]) -> dict[str, Any] | None:
    done = dict(row)
    for key in FIELDS:
        typed = _wanted(f"{row['subject']} {key} (Enter: not measured), s: skip, q: leave > ")
        if typed == "s":
            return None
        if not typed:
            continue
        try:
            state = asker.ask("field", step=row["id"], key=key, value=float(typed))
            done = asker.step(state, row["id"])
        except ValueError:
            echo("a number is needed; skipped")
    return done


def _sign(asker: CommissionAsker) -> int:
    state = asker.state()
    echo("", *commission_page(state))
    passed = state["would_be"] == "accepted"
    words = "all steps have passed" if passed else "not all steps have passed"
    if _wanted(f"Sign the acceptance now ({words})? y/n > ") not in ("y", "yes"):
        raise LeftError
    by = _line(f"Signed by (Enter your name; you began as {state['by']}): ")
    note = input("A note for the sheet (Enter: none) > ").strip()
    state = asker.ask("sign", by=by, note=note, reservations=not passed)
    number = state["number"]
    echo(f"Sheet {number} is signed: `kerbstone commission export acceptance-{number}.html`")
    return 0
