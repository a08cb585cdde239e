"""The doctor as the page starts it: what systemd keeps from it is no fault of the box."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.gpio import SimChip
from edge.diagnose import wholeway
from edge.diagnose.checks import CheckId
from edge.diagnose.confined import UNSEEN, UNSEEN_ALONE, WHY
from edge.health.boxalarms import BoxReadings, read_box
from tests.cli.answering_daemon import answering
from tests.cli.doctor.cabinet import LOOPS, METERS, Site
from tests.kit.command import Command, CommandResult

OUTCOMES = ("ok", "warning", "fault", "not checked")


def by_outcome(said: CommandResult) -> dict[str, set[str]]:
    rows = json.loads(said.out)["checks"]
    return {word: {row["id"] for row in rows if row["outcome"] == word} for word in OUTCOMES}


@pytest.fixture
def shut_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """All file systems look read-only, as under ProtectSystem=strict."""

    def readings(folder: Path, root: Path) -> BoxReadings:
        return replace(read_box(folder, root), read_only=True)

    monkeypatch.setattr(wholeway, "read_box", readings)


def test_beside_a_gateway_only_what_it_tells_is_told_of_the_network_and_the_card(
    kerbstone: Command, wired: Site, chip: SimChip, tmp_path: Path, shut_in: None
) -> None:
    file = wired(LOOPS, METERS, words=("/dev/ttyNOTHERE",))
    issue = {
        "kind": "broker_untrusted", "about": "", "severity": "fault",
        "cause": "Another authority has signed the broker's certificate.", "remedy": "Renew it.",
    }  # fmt: skip
    status: dict[str, Any] = {"gateway": "g", "issues": [issue]}
    with answering(tmp_path / "run", {"status": status, "live": {"devices": []}}):
        plain = by_outcome(kerbstone("doctor", "--config", file, "--json"))
        found = kerbstone("doctor", "--config", file, "--json", "--confined")
    seen = by_outcome(found)
    assert {"disk_writable", "bus_port"} <= plain["fault"], "it would be told without the word"
    assert seen["fault"] & UNSEEN == {"tls_authority"}, "the gateway itself has told it"
    rows = {row["id"]: row for row in json.loads(found.out)["checks"]}
    left: set[CheckId] = set(UNSEEN) - {"tls_authority"}
    assert left <= seen["not checked"]
    assert {rows[one]["cause"] for one in left} == {WHY}
    assert "gateway_runs" in seen["ok"]


def test_alone_it_touches_no_wire_and_says_so(
    kerbstone: Command, wired: Site, chip: SimChip, shut_in: None
) -> None:
    file = wired(LOOPS, METERS, words=("/dev/ttyNOTHERE",))
    seen = by_outcome(kerbstone("doctor", "--config", file, "--json", "--confined"))
    assert seen["fault"] & UNSEEN_ALONE == set()
    assert set(UNSEEN_ALONE) <= seen["not checked"]
    assert "gateway_runs" in seen["fault"] | seen["warning"]
