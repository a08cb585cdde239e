"""A right gateway passes every check; one with one flaw fails the one check that looks for it."""

import asyncio
from typing import Final

import pytest

from edge.conform.kit import CHECKS, given_by, judge_all
from edge.conform.product import Product
from edge.conform.run import ConformRun, Plan
from tests.conform.scriptedgateway import PERIOD_S, RECEIPT_S, MemoryLine, ScriptedGateway
from tests.kit.clock import VirtualClock

PRODUCT: Final = Product(
    name="Scripted", version="1", site="test", gateway="gw-1", receipt_s=RECEIPT_S,
    period_s=float(PERIOD_S), return_s=30.0, client_id="gw-1",
    can=frozenset({"last", "resend", "signed"}), expendable=True,
)  # fmt: skip
SOUND: Final = "held back"  # no flaw: a record that is late, and says so
LISTEN_S: Final = 200.0
SEALED_S: Final = 1100.0  # more than a quarter of an hour

FLAWS: Final = {
    "topics.declared": "unknown topic",
    "topics.qos": "qos 0",
    "topics.retain": "records retained",
    "payload.format": "not a number",
    "payload.header": "no boot",
    "payload.fields": "field out of range",
    "payload.encoding": "json records",
    "status.held": "offline at last",
    "status.epoch": "other epoch live",
    "meta.held": "no meta",
    "meta.sources": "source not described",
    "last.held": "last differs",
    "records.live": "silent",
    "records.numbers": "number left out",
    "records.unique": "repeat differs",
    "records.repeats": "repeat without mark",
    "records.times": "hole in time",
    "records.wall": "wall backwards",
    "records.backfilled": "late without mark",
    "manifests.form": "count wrong",
    "manifests.digest": "digest wrong",
    "manifests.clock": "another clock",
    "manifests.sealed": "never sealed",
    "manifests.signed": "not signed",
    "receipts.again": "comes again too early",
    "receipts.doubling": "wait not doubled",
    "receipts.stop": "ignores receipts",
    "commands.answer": "names another verb",
    "commands.status": "status not published",
    "commands.same_id": "answers anew",
    "commands.stale": "obeys any epoch",
    "commands.unknown": "obeys anything",
    "commands.malformed": "deaf after nonsense",
    "commands.resend": "resends nothing",
    "commands.gone": "nothing is gone",
    "connection.will": "no will",
    "connection.returns": "late return",
    "connection.meta": "meta once",
    "connection.retained": "obeys retained",
    "starts.epoch": "skips a start",
    "starts.former": "no former",
    "starts.gap": "no gap event",
    "starts.stale": "obeys the former",
}
"""Check and the flaw that it finds."""


def verdicts(*flaws: str, drop_s: float = 0.0) -> dict[str, tuple[str, str]]:
    """Of each check its verdict, and what was said. `drop_s`: how long the hook takes."""

    async def play() -> dict[str, tuple[str, str]]:
        clock = VirtualClock()
        line = MemoryLine(clock)
        gateway = ScriptedGateway(line, frozenset(flaws))

        async def drop() -> None:
            await clock.sleep_until(clock.mono_ns + int(drop_s * 1e9))
            await line.take_over("gw-1")

        listen_s = SEALED_S if {SOUND, "never sealed"} & set(flaws) else LISTEN_S
        plan = Plan(listen_s, drop, gateway.restart)
        run = asyncio.create_task(ConformRun(PRODUCT, line, clock, plan).run())
        playing = asyncio.create_task(gateway.run())
        while not run.done():
            await clock.run(60.0)
            assert not playing.done(), playing.exception()
        playing.cancel()
        results = judge_all(run.result(), given_by(PRODUCT, drop=True, restart=True))
        return {r.check.id: (r.verdict, r.reason or "; ".join(r.faults)) for r in results}

    return asyncio.run(play())


def test_a_gateway_that_keeps_the_contract_passes_every_check() -> None:
    assert {c: said for c, said in verdicts(SOUND).items() if said[0] != "passed"} == {}


def test_a_hook_may_take_longer_than_the_gateway_to_come_back() -> None:
    drop_s = PRODUCT.return_s + 10
    assert verdicts(SOUND, drop_s=drop_s)["connection.returns"] == ("passed", "")
    assert verdicts("late return", drop_s=drop_s)["connection.returns"][0] == "failed"


def test_every_check_has_a_flaw_that_it_finds() -> None:
    assert FLAWS.keys() == {check.id for check in CHECKS}


@pytest.mark.parametrize(("check", "flaw"), FLAWS.items())
def test_a_flaw_fails_its_check_and_no_other(check: str, flaw: str) -> None:
    found = {name: said for name, said in verdicts(flaw).items() if said[0] == "failed"}
    assert list(found) == [check], found
