"""The reference in docs/scenarios.md and docs/schemas/scenario.json, made from the rig's models."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.config.reference import render_section
from edge.rig.devicefaults import DEVICE_FAULTS
from edge.rig.expectationchecks import EXPECT_KEYS
from edge.rig.faultcatalogue import FAULT_KINDS, TARGET_TEXTS, FaultKind
from edge.rig.scenario import LAYERS, TABLES, About, Condition, Detector
from edge.rig.scenarioschema import scenario_schema

PAGE: Final = Path(__file__).parent / "scenarios.md"
MARK: Final = "<!-- {} -->\n"
END: Final = "<!-- end of {} -->"


def scenario_page() -> str:
    """The page as it is, with its tables as the code has them."""
    text = PAGE.read_text(encoding="utf-8")
    for name, lines in (("keys", _keys()), ("expectations", _expects()), ("faults", _faults())):
        before, _, rest = text.partition(MARK.format(name))
        _, _, after = rest.partition(END.format(name))
        body = "\n".join(lines).strip()
        text = f"{before}{MARK.format(name)}\n{body}\n\n{END.format(name)}{after}"
    return text


def schema_text() -> str:
    return json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n"


def _keys() -> Iterator[str]:
    yield from render_section("[scenario]", About, 3)
    for name, (_, model) in TABLES.items():
        yield from render_section(f"[[{name}]]", model, 3)
        if name == "fault":
            yield from render_section("when = [{}, ...], in [[fault]]", Condition, 4)
        if name == "trace":
            yield from render_section("detectors = [{}, ...], in [[trace]]", Detector, 4)


def _expects() -> Iterator[str]:
    yield "| `what` | needs | may have |\n|---|---|---|"
    for what, keys in EXPECT_KEYS.items():
        needed, more = (", ".join(f"`{key}`" for key in each) or "-" for each in
                        (keys.needed, keys.more))  # fmt: skip
        yield f"| `{what}` | {needed} | {more} |"


def _faults() -> Iterator[str]:
    yield "| of | what that is |\n|---|---|"
    yield from (f"| {target} | {text} |" for target, text in TARGET_TEXTS.items())
    reasons: list[str] = []
    yield f"\n| of | `kind` | what breaks | `amount` | {' | '.join(LAYERS)} |"
    yield "|---|---|---|---|" + "---|" * len(LAYERS)
    for rows in _grouped():
        if rows[0].name not in DEVICE_FAULTS or rows[0].target not in ("device", "chip"):
            yield _row(rows, f"`{rows[0].name}`", rows[0].text, reasons)
    own = [row for row in FAULT_KINDS if row.name in DEVICE_FAULTS][:2]
    yield _row(own, "see below", "what a device does by itself", reasons)
    yield "\nWhy not:\n"
    yield from (f"{number}. {why}." for number, why in enumerate(reasons, 1))
    yield "\nWhat a device does by itself; `kerbstone sim DRIVER --faults` lists it of a driver:\n"
    yield "| `kind` | what breaks |\n|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in DEVICE_FAULTS.items())


def _grouped() -> Iterator[list[FaultKind]]:
    """The same fault of several targets together."""
    found: dict[tuple[str, str], list[FaultKind]] = {}
    for row in FAULT_KINDS:
        found.setdefault((row.name, row.text), []).append(row)
    yield from found.values()


def _row(rows: list[FaultKind], kind: str, text: str, reasons: list[str]) -> str:
    measure, targets = rows[0].measure, ", ".join(row.target for row in rows)
    amount = "-" if measure is None else measure.text
    over = "" if rows[0].heals else "; over at once"
    cells = []
    for layer in LAYERS:
        why = [row for row in rows if layer in row.cannot]
        for row in why:
            if row.cannot[layer] not in reasons:
                reasons.append(row.cannot[layer])
        numbers = sorted({reasons.index(row.cannot[layer]) + 1 for row in why})
        shown = ", ".join(map(str, numbers))
        no = "no" if len(why) == len(rows) else f"not {why[0].target}" if why else "yes"
        cells.append(f"{no} ({shown})" if why else no)
    return f"| {targets} | {kind} | {text}{over} | {amount} | {' | '.join(cells)} |"
