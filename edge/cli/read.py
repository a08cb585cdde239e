"""`kerbstone read NAME ...`: what a device, a lane or a contact says now.

A device is asked, through the daemon if it runs. Of a lane or a contact you see levels, last edges,
counts and last vehicles. `--all` and `--watch` show what the daemon holds, and ask no device.
Without the daemon the buses are read here, and lines are watched for a while.
"""

import argparse
import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edge.cli.site_options import load_site_or_report, run_dir_without_site, site_options
from edge.config import Site, Store
from edge.control.handover import why_stopped
from edge.control.protocol import NoAnswerError, VerbError, ask_daemon
from edge.core import BusError
from edge.core.remedies import TEMPORARY_REASONS
from edge.diagnose import standalone
from edge.diagnose.exam import Failure
from edge.diagnose.heldvalues import held_findings
from edge.diagnose.livesource import LiveSource
from edge.diagnose.wirewatch import WireWatch, watch_once
from edge.gateway.livestatus import not_known
from edge.report.live.answertext import (
    KINDS,
    News,
    answer_rows,
    attention_rows,
    issue_source,
    news_rows,
)
from edge.report.live.lanetext import rows_of
from edge.report.live.redrawnblock import RedrawnBlock
from edge.report.live.shownname import shown_place
from edge.report.live.watchrows import CUT, watch_rows
from edge.terminal import echo, echo_json, has_cursor, progress

EVERY_S: Final = 1.0
LEAST_EVERY_S, MOST_EVERY_S = 0.2, 3600.0
FOR_S: Final = 10.0
ANSWER_S: Final = 10.0  # of the daemon: it asks the device between two polls
SHOWN_BY_READING: Final = frozenset({"device_fails", "device_unsettled", "values_bad"})
DAEMON: Final = "as the daemon holds it"
CLOSED: Final = "the daemon does not run, and the site file is not open to you"
WIRES: Final = "read on the wires; the daemon does not run"


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "read", help="what a device, a lane or a contact says now", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("device", nargs="*", metavar="NAME", help="devices, lanes, bays, contacts, as configured")
    add("--all", action="store_true", help="all of them")
    add("--watch", action="store_true",
        help="again and again until Ctrl-C; in a pipe what is new, a line each")  # fmt: skip
    add("--every", type=float, default=EVERY_S, metavar="SECONDS",
        help="how often --watch looks (1)")  # fmt: skip
    add("--for", dest="for_s", type=float, default=FOR_S, metavar="SECONDS",
        help="without the daemon: how long lines are watched (10)")  # fmt: skip
    site_options(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    if bool(args.device) is args.all:
        args.parser.error("name devices, lanes or contacts, or write --all")
    if not LEAST_EVERY_S <= args.every <= MOST_EVERY_S or not 0 < args.for_s <= MOST_EVERY_S:
        return _fail(f"--every is {LEAST_EVERY_S:g} to {MOST_EVERY_S:g} s, --for up to that", 2)
    site, folder = None, run_dir_without_site(args.config)
    if folder is None:
        site = load_site_or_report(args.config)
        if site is None:
            return 2
        folder = Path(site.store.run_dir)
    names = None if args.all else list(dict.fromkeys(args.device))
    try:
        return _read(args, site, folder, names)
    except NoAnswerError as error:
        hint = "its bus may be slow, or hang; `kerbstone read --all` shows the last values"
        return _fail(f"{error}: {hint}", 3)
    except VerbError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(f"{error}; use sudo, or join the group kerbstone", 3)
    except BusError as error:
        found = Failure(str(error), error.reason).finding
        _fail(f"{args.device[0]} does not answer: {found.sentence}", 3)
        if found.remedy:
            echo(f"  {found.remedy}", err=True)
        return 3
    finally:
        progress("")


def _read(
    args: argparse.Namespace, site: Site | None, folder: Path, names: list[str] | None
) -> int:
    if site is not None:
        known = (*site.devices, *site.lanes, *site.bays)
        for name in names or ():
            if name not in known:
                raise VerbError(not_known(name, known))
    store = Path((Store() if site is None else site.store).dir)
    source = LiveSource(folder, names, store)
    if names is not None and not args.watch and len(names) == 1:
        polled = site is None or names[0] not in _lined(site)
        if polled and (code := _ask_device(args, site, folder, names[0])) is not None:
            return code
    answer = source.ask()
    if args.watch:
        if answer is None and site is not None:
            return asyncio.run(_watch_wires(args, site, names))
        return _watch_daemon(args, source, answer)
    through = f"{DAEMON}; no device was asked"
    if answer is None:
        if site is None:
            return _fail(why_stopped(store, CLOSED), 3)
        through, answer = WIRES, _watch_once(args, site, names)
    if args.json:
        echo_json({"through": through, **answer})
    else:
        echo(
            f"{answer.get('gateway')} at {answer.get('site')}, {through}", "", *answer_rows(answer)
        )
    return _code(answer)


def _ask_device(args: argparse.Namespace, site: Site | None, folder: Path, name: str) -> int | None:
    """One device that is polled, now; None when it is not one, or nobody can be asked."""
    through = "read by the daemon"
    progress(f"waiting for {name}: the daemon asks it now, at most {ANSWER_S:g} s")
    try:
        answer = ask_daemon(folder, "read", ANSWER_S, device=name)
    except VerbError:
        if site is None:  # it may be a lane: the daemon knows
            return None
        raise
    if answer is None:
        if site is None:
            return None
        through = "read on the bus; the daemon does not run"
        progress(f"waiting for {name}: the daemon does not run, so its bus is read here")
        answer = standalone.read_once(site, name)
    progress("")
    readings, health = answer["readings"], answer.get("health", {})
    text = str(answer.get("text") or "")
    if args.json:
        found = {"device": name, "through": through, "readings": readings}
        more = {"health": health, "text": text, "issues": answer.get("issues")}
        echo_json({**found, **{key: value for key, value in more.items() if value}})
    else:
        echo(f"{name}, {through}", *map(_line, readings))
        echo(*(f"  {word}: {said}" for word, said in health.items()), *_why(answer, text))
        echo(*attention_rows(_others(answer), name))
    if all(r["value"] is None for r in readings):
        return 3 if any(r["quality"] == "bad:silent" for r in readings) else 1
    return 1 if _lacks(readings) or answer.get("issues") else 0


def _others(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its open issues but for those that the reading itself shows."""
    shown = SHOWN_BY_READING if _lacks(answer["readings"]) else frozenset()
    return {"issues": [e for e in rows_of(answer, "issues") if e.get("kind") not in shown]}


def _lacks(readings: Iterable[Mapping[str, Any]]) -> bool:
    """A point has no value, and time alone brings none."""
    words = (str(row.get("quality")) for row in readings if row.get("value") is None)
    return any(word.partition(":")[2] not in TEMPORARY_REASONS for word in words)


def _why(answer: Mapping[str, Any], text: str) -> Iterable[str]:
    """Cause and remedy of what has no value, as the doctor has them."""
    found = [_failure(answer, text).finding] if text else held_findings(answer, ())
    for one in found:
        yield f"  {one.sentence}"
        if one.remedy:
            yield f"    {one.remedy}"


def _failure(answer: Mapping[str, Any], text: str) -> Failure:
    """With its reason, where all that has no value has the same."""
    rows = (row for row in answer["readings"] if row["value"] is None)
    words = {str(row["quality"]).partition(":")[2] for row in rows}
    return Failure.told(text, words.pop() if len(words) == 1 else "")


def _line(reading: dict[str, object]) -> str:
    value = "-" if reading["value"] is None else f"{reading['value']:.6g}"
    quality = "" if reading["quality"] == "good" else f"  {reading['quality']}"
    return f"  {reading['point']:<24}{value:>12} {reading['unit']:<6}{quality}"


def _lined(site: Site) -> frozenset[str]:
    """Lanes, bays, and devices on GPIO lines."""
    buses = {name for name, bus in site.buses.items() if bus.kind == "gpio"}
    devices = (name for name, device in site.devices.items() if device.bus in buses)
    return frozenset((*site.lanes, *site.bays, *devices))


def _watch_once(args: argparse.Namespace, site: Site, names: Sequence[str] | None) -> Any:
    lines = names is not None and not _lined(site).isdisjoint(names)
    if lines:
        progress(f"watching lines for {args.for_s:g} s")
    else:
        progress(f"waiting for devices, at most {args.for_s:g} s")
    try:
        return watch_once(site, names, args.for_s, lines=lines)
    finally:
        progress("")


def _watch_daemon(
    args: argparse.Namespace, source: LiveSource, answer: Mapping[str, Any] | None
) -> int:
    """Until Ctrl-C. A daemon that restarts is waited for."""
    shown, why = _Shown(args.json, DAEMON, everything=args.all), ""
    if answer is None:
        _fail(source.why_stopped(), 0)
        why = "waiting"
    while True:
        if answer is not None:
            shown.show(answer)
        time.sleep(args.every)
        answer, wrong = source.look()
        if wrong != why and (wrong or not why.startswith("waiting")):
            shown.note(wrong or "the daemon answers again")
        why = wrong


async def _watch_wires(args: argparse.Namespace, site: Site, names: Sequence[str] | None) -> int:
    """Until Ctrl-C; the buses are ours meanwhile."""
    shown = _Shown(args.json, WIRES, everything=args.all)
    async with WireWatch(site, names) as wires:
        await wires.wait(args.every, lines=False)
        while True:
            shown.show(wires.answer())
            await wires.wait(args.every, lines=True)


class _Shown:
    """Answers one after the other: on a terminal in their place, in a pipe only what is new."""

    def __init__(self, as_json: bool, through: str, *, everything: bool) -> None:
        self._json, self._through, self._everything = as_json, through, everything
        self._block = RedrawnBlock(CUT) if not as_json and has_cursor() else None
        self._news, self._note = News(), ""

    def show(self, answer: Mapping[str, Any]) -> None:
        self._note = ""
        if self._block is not None:
            self._block.show(self._whole(answer))
            return
        for kind, one in self._news.items(answer):
            if self._json:
                echo_json({"what": kind, **one})
            else:
                echo(*news_rows(kind, one, answer))

    def note(self, text: str) -> None:
        """Why there is no answer, or that there is one again."""
        _fail(text, 0)
        if self._block is not None:
            self._block = RedrawnBlock(CUT)  # below what was said

    def _whole(self, answer: Mapping[str, Any]) -> Iterable[str]:
        yield f"{shown_place(answer)}, {self._through}; Ctrl-C ends"
        yield ""
        yield from watch_rows(answer) if self._everything else answer_rows(answer)


def _code(answer: Mapping[str, Any]) -> int:
    """1 when a device or a point has no value, a line is not watched, or an issue is open."""
    shown = [each for kind in KINDS for each in rows_of(answer, kind)]
    names = {str(each.get("name")) for each in shown}
    if any(issue_source(issue) in names for issue in rows_of(answer, "issues")):
        return 1
    loops = (loop for lane in rows_of(answer, "lanes") for loop in rows_of(lane, "loops"))
    well = all(
        each.get("state") == "ok"
        and any(row.get("value") is not None for row in rows_of(each, "readings"))
        and not _lacks(rows_of(each, "readings"))
        for each in rows_of(answer, "devices")
    )
    watched = all(line.get("on") is not None for line in (*rows_of(answer, "contacts"), *loops))
    return 0 if well and watched else 1


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone read: {text}", err=True)
    return code
