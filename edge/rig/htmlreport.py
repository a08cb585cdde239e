"""The report of a run as a page: one file that needs nothing from outside, works from a mail, with
the script switched off, and on paper.

On top what passed and what did not, in sentences; below one time axis with what was done and what
came of it; at the end the same in words, and the scenario. All texts of files and of boxes are
escaped; and no script runs but the one whose digest stands in the page's policy.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from edge.core.release import VERSION
from edge.rig.judgedrun import JudgedRun, seconds
from edge.rig.outcome import WORDS, WORST_FIRST, Outcome, Verdict, verdict_of, worst_first
from edge.rig.picturerows import PictureRow, grouped, shown
from edge.rig.runlog import RunLog, Stall
from edge.rig.runpicture import picture
from edge.rig.runtimeline import (
    event_moments,
    fault_moments,
    in_order,
    is_moment,
    outcome_moments,
)
from edge.rig.scenario import Scenario

STATIC: Final = Path(__file__).parent / "static"
SIGNS: Final[dict[Verdict, str]] = {"fail": "✗", "not_evaluated": "?", "pass": "✓"}
TICKS: Final = 8  # of the axis without a script
TOLD_LIMIT: Final = 1000  # rows of the table in words
LEGEND: Final = (
    ("true", "M0 13V4H20V13Z", "what the rig drove"),
    ("truth", "M0 7H26", "what a device measured"),
    ("said", "M0 11H10V4H26", "what the box said"),
    ("fault", "M0 2H26V12H0Z", "a fault"),
    ("mark evidence", "M8 0V14M14 0V14", "it was seen to be in force"),
    ("mark healed", "M13 0V14", "it healed"),
    ("flag", "M0 2H26V12H0Z", "a flag is on"),
    ("gap", "M0 2H26V12H0Z", "nothing is told: a gap, no value, no connection"),
    ("mark fail", "M13 0V14", "failed, or a wrong count"),
    ("mark not_evaluated", "M13 0V14", "not evaluated"),
)


def html_report(scenario: Scenario, log: RunLog, outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    run = JudgedRun(log)
    script = (STATIC / "report.js").read_text(encoding="utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    title = f"{scenario.about.name}: {WORDS[verdict_of(outcomes)]}"
    return "".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{shown(title)}</title>",
            f"<style>{(STATIC / 'report.css').read_text(encoding='utf-8')}</style></head><body>\n",
            *_head(scenario, log, outcomes),
            *_sentences(outcomes),
            *_time(picture(scenario, run, outcomes), log),
            *_words(run, outcomes),
            f"<details><summary>The scenario, as it was run</summary><pre>{_lines(log.scenario)}",
            f"</pre></details>\n<script>{script}</script></body></html>\n",
        ]
    )


def summary(outcomes: Sequence[Outcome]) -> str:
    """`1 failed, 2 not evaluated, 5 passed`."""
    count = Counter(each.verdict for each in outcomes)
    return ", ".join(f"{count[each]} {WORDS[each]}" for each in WORST_FIRST)


def _head(scenario: Scenario, log: RunLog, outcomes: Sequence[Outcome]) -> Iterator[str]:
    verdict = verdict_of(outcomes)
    yield f"<header><h1>{shown(scenario.about.name)}</h1>"
    yield f'<p class="verdict {verdict}">{SIGNS[verdict]} This run has '
    yield {"pass": "passed", "fail": "failed", "not_evaluated": "not passed"}[verdict]
    yield f": {summary(outcomes)}.</p>"
    if scenario.about.text:
        yield f"<p>{shown(' '.join(scenario.about.text.split()))}</p>"
    ending = {"whole": "whole", "broken_off": "it was broken off", "box_failed":
              "the box ended by itself", "rig_failed": "the rig failed"}[log.ending]  # fmt: skip
    rows = (
        ("Box", log.box), ("Layer", log.layer), ("Seed", str(log.seed)),
        ("Lasted", seconds(log.lasted_s)), ("Run", f"{ending}. {log.text}".strip()),
        ("Clocks", f"the box's clock is known to within {seconds(log.clock_bound_s)}"
         if log.clock_bound_s else "rig and box have one clock"),
        ("Rig", _lateness(log.stalls)),
        ("Scenario", f"SHA-256 {sha256(log.scenario.encode()).hexdigest()}"),
        ("Heard", f"{len(log.heard)} records and messages"), ("Judged by", f"kerbstone {VERSION}"),
    )  # fmt: skip
    yield "<dl>"
    for name, value in rows:
        yield f"<dt>{name}</dt><dd>{shown(value)}</dd>"
    yield "</dl></header>\n"


def _lateness(stalls: Sequence[Stall]) -> str:
    if not stalls:
        return "it was never late"
    worst = max(stalls, key=lambda each: each.for_s)
    times = f"{len(stalls)} times, most" if len(stalls) > 1 else "once"
    return f"it was late {times} by {worst.for_s:.2f} s at {seconds(worst.t_s)}"


def _sentences(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield '<main><h2>Expectations</h2><ul class="outcomes">\n'
    for each in worst_first(outcomes):
        yield f'<li class="{each.verdict}"><span class="mark">{SIGNS[each.verdict]} '
        yield f'{WORDS[each.verdict]}</span><span class="what">{shown(each.name)}</span>'
        moment = each.moment_s
        yield f"<p>{shown(each.text)}"
        if moment is not None and is_moment(moment):
            yield f' <a href="#time" data-at="{moment:.3f}">go to {seconds(moment)}</a>'
        yield "</p></li>\n"
    yield "</ul>\n"


def _time(rows: Sequence[PictureRow], log: RunLog) -> Iterator[str]:
    until = max(log.lasted_s, 1.0)
    yield '<h2 id="time">What happened, and when</h2><ul class="legend">'
    for css, d, text in LEGEND:
        yield f'<li><svg viewBox="0 0 26 14" aria-hidden="true"><path class="{css}" d="{d}"/>'
        yield f"</svg>{text}</li>"
    yield '</ul><div class="tools">'
    for action, sign, words in (
        ("in", "+", "Show less time"), ("out", "−", "Show more time"),
        ("left", "◀", "Go back"), ("right", "▶", "Go on"), ("all", "All", "Show all"),
    ):  # fmt: skip
        yield f'<button type="button" data-do="{action}" aria-label="{words}">{sign}</button>'
    yield '<span class="shown" role="status"></span></div><p class="hint">Drag over the rows to '
    yield "choose a time; turn the wheel on the axis, or with Ctrl on a row; keys: + − ← → and 0 "
    yield 'for all.</p>\n<div class="plots" tabindex="0" role="group" '
    yield f'aria-label="Rows on one time axis" data-from="0" data-until="{until:.2f}">'
    yield '<div class="shade"></div><div class="cursor"></div><div class="axis">'
    for tick in range(TICKS):
        share = tick / TICKS
        yield f'<span style="left:{share:.1%}">{seconds(round(share * until))}</span>'
    yield "</div>\n"
    for group, found in grouped(rows):
        yield f"<h3>{shown(group)}</h3>\n"
        for row in found:
            yield f'<div class="row"><div>{shown(row.label)}'
            yield f"<small>{shown(row.note.strip())}</small></div>"
            yield f'<svg viewBox="0 0 {until:.2f} {row.height:g}" preserveAspectRatio="none" '
            yield f'height="{row.height:g}" data-high="{row.height:g}" role="img" '
            yield f'aria-label="{shown(row.words)}">{"".join(row.shapes)}</svg></div>\n'
    yield "</div>\n"


def _words(run: JudgedRun, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The picture once more, for who reads or hears it."""
    told = in_order([*fault_moments(run), *event_moments(run), *outcome_moments(outcomes)])
    yield "<details><summary>The same in words</summary><table><tr><th>when</th><th>who</th>"
    yield "<th>what</th></tr>\n"
    for one in told[:TOLD_LIMIT]:
        yield f"<tr><td>{seconds(one.t_s)}</td><td>{one.who}</td><td>{shown(one.what)}</td></tr>\n"
    yield "</table>"
    if len(told) > TOLD_LIMIT:
        yield f"<p>{len(told) - TOLD_LIMIT} more lines are left out.</p>"
    yield "</details></main>\n"


def _lines(text: str) -> str:
    return "\n".join(shown(line) for line in text.expandtabs(4).split("\n"))
