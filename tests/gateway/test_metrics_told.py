"""Whoever adds a metric is told what is missing: CONTRIBUTING.md, "Add a metric".

A field that is given to `Health(...)` and not declared fails type checking, and `make check` fails
until the documents are made anew. The rest is told here.
"""

import ast
from collections import Counter as Tally
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Final

from edge.health.fields import FIELDS
from edge.health.openmetrics import families, render
from edge.outbox import OutboxCounts
from edge.uplink.rowtable import UplinkCounters
from edge.wire.contract.health import Health
from tests.docs.source import files, tree

KEPT: Final = Path(__file__).parent / "metrics_0.2.0.txt"
FOLDERS: Final = tuple(
    f"edge/{name}" for name in ("gateway", "uplink", "outbox", "health", "acquire")
)
MADE: Final = ("Health", "OutboxCounts", "LogCounts", "Vitals", "replace")
DECLARED: Final = frozenset(Health.__struct_fields__)
LINK: Final = frozenset(each.name for each in fields(UplinkCounters))


@dataclass(frozen=True, slots=True)
class Code:
    """What the code of edge says: what calls of MADE give by name, and what may grow."""

    given: dict[str, list[tuple[str, ast.expr]]]
    counted: frozenset[str]  # `counts.NAME += ...`, in the uplink
    growing: frozenset[str]  # attributes that are added to; functions and properties


@cache
def code() -> Code:
    given: dict[str, list[tuple[str, ast.expr]]] = {name: [] for name in MADE}
    counted, growing = set[str](), set[str]()
    for path in files(*FOLDERS):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.keywords:
                if node.func.id in given:
                    given[node.func.id] += [(e.arg, e.value) for e in node.keywords if e.arg]
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                growing.add(node.name)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute):
                growing.add(node.target.attr)
                holder = ast.unparse(node.target.value).rpartition(".")[2]
                if path.parent.name == "uplink" and holder in ("counts", "_counts"):
                    counted.add(node.target.attr)
    return Code(given, frozenset(counted), frozenset(growing))


def test_every_field_of_health_is_filled_and_at_one_place() -> None:
    filled = Tally(name for name, _ in code().given["Health"])
    filled.update((LINK - {"dead_letters"}) & DECLARED)  # passed on; but those the outbox tells
    forgotten = sorted(DECLARED - filled.keys())
    assert not forgotten, (
        f"declared in edge/wire/contract/health.py, but never filled: {forgotten}. Count it in"
        " edge/uplink/rowtable.py:UplinkCounters, or give it to the Health(...) of the part that"
        " knows it: OutboxCounts.health, Vitals.health, BoxMonitor, health_sources"
    )
    twice = sorted(name for name, times in filled.items() if times > 1)
    assert not twice, f"filled at two places, so one of them is lost: {twice}"


def test_every_counter_of_the_link_is_declared() -> None:
    declared = {field.key for field in FIELDS if field.kind == "counter"}
    surplus = sorted(LINK - declared)
    assert not surplus, (
        f"counted in edge/uplink/rowtable.py:UplinkCounters, but not declared: {surplus}. Declare"
        " it under the same name in edge/wire/contract/health.py:Health, as a Counter"
    )


def test_every_counter_of_the_link_is_counted() -> None:
    never = sorted(LINK - code().counted)
    assert not never, f"no code of edge/uplink says `counts.NAME += ...` of: {never}"


def test_every_count_of_the_outbox_is_given() -> None:
    forgotten = sorted(
        {each.name for each in fields(OutboxCounts)}
        - {name for made in ("OutboxCounts", "replace") for name, _ in code().given[made]}
    )
    assert not forgotten, (
        f"in edge/outbox/outboxstats.py:OutboxCounts, but never given: {forgotten}. Give it in"
        " OutboxStats.counts there"
    )


# -- what a counter is read from grows ------------------------------------------------------------


def stands_still(value: ast.expr, seen: tuple[str, ...] = ()) -> str:
    """The attribute that it is read from and that nobody adds to; "" if there is none."""
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "known":
        value = value.args[0]
    if not isinstance(value, ast.Attribute) or value.attr in code().growing:
        return ""  # calculated here, or it grows
    made = (code().given[name] for name in MADE if name != "Health" and value.attr not in seen)
    sources = [source for found in made for name, source in found if name == value.attr]
    still = [stands_still(source, (*seen, value.attr)) for source in sources]
    return "" if "" in still else ast.unparse(value)


def test_what_a_counter_is_read_from_grows() -> None:
    counters = {field.key for field in FIELDS if field.kind == "counter"}
    filled = [(name, value) for name, value in code().given["Health"] if name in counters]
    assert filled
    still = {name: found for name, value in filled if (found := stands_still(value))}
    assert not still, (
        f"declared a Counter, but no code of edge adds to what it is read from: {still}"
    )


# -- names are a promise --------------------------------------------------------------------------


def test_the_metrics_of_0_2_0_keep_their_names_kinds_and_units() -> None:
    values = {"gauge": 1, "counter": 1, "word": "x", "words": ["x"], "ratios": {"x": 1}}
    made = render(families({field.key: values[field.kind] for field in FIELDS}, {"gateway": "g"}))
    told = {line for line in made.splitlines() if line.startswith(("# TYPE", "# UNIT"))}
    kept = KEPT.read_text(encoding="utf-8").splitlines()
    assert [line for line in kept if line not in told] == []
