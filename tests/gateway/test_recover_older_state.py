"""States that are older than what was sent: told by the stage, by the epoch that kept them, and by
the outbox; what comes next is uncertain, or in no record."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.core import Record
from edge.gateway.recover import AWAY_NS
from edge.outbox import CommitRider, PastState
from tests.kit import lives as daemon_lives
from tests.kit.engine import S
from tests.kit.lives import GatewayLife, GatewayStorage, closed


def after(box: GatewayStorage, epoch: int) -> list[Record]:
    """Energy of the meter in the start that followed."""
    return [record for record in box.of("main_meter") if record.key.epoch == epoch]


def believed(monkeypatch: pytest.MonkeyPatch, past: PastState) -> None:
    """What the outbox says of its states, from now on."""
    made = daemon_lives.FragileWriter.__init__

    def with_past(
        self: daemon_lives.FragileWriter,
        box: GatewayStorage,
        life: GatewayLife,
        rider: CommitRider,
    ) -> None:
        made(self, box, life, rider)
        self.epoch = replace(self.epoch, past=past)

    monkeypatch.setattr(daemon_lives.FragileWriter, "__init__", with_past)


def test_a_state_without_the_segment_that_it_names_is_older_if_a_later_one_is_there(
    tmp_path: Path,
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(7 * S)
    states = dict(box.states)
    life.run(18 * S)
    box.states = states  # an older copy, while nobody looked
    again = GatewayLife(box, 19 * S)
    again.run(30 * S)
    closed(again)
    first = after(box, box.epoch)[0].body["points"]["energy_import"]
    assert first["quality"]["uncertain:gap"] == 1
    assert daemon_lives.grown(box, "main_meter") <= 2 * 30 + 2, "0.002 kWh a second, once"
    texts = [record.body["text"] for record in box.events("gap")]
    assert any("older than the newest numbers" in text for text in texts)


@pytest.mark.parametrize(("past", "grown"), [("older", False), ("doubtful", True)])
def test_what_the_outbox_says_of_its_states_is_believed(
    tmp_path: Path, past: PastState, grown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(12 * S)
    believed(monkeypatch, past)
    box.reboot(100 * S)
    again = GatewayLife(box, 20 * S)
    again.run(30 * S)
    closed(again)
    first = after(box, box.epoch)[0]
    reported = first.body["points"]["energy_import"]
    assert reported["quality"]["uncertain:gap"] == 1
    assert ((daemon_lives.steps_of(first, "delta") or 0) > 15) is grown, "what came in between"


@pytest.mark.parametrize("reboot", [False, True])
def test_models_miss_all_that_is_not_known_since_an_older_state(
    tmp_path: Path, reboot: bool, dark: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since its window began; in another boot nobody knows how long: an hour."""
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(12 * S)
    believed(monkeypatch, "older")
    if reboot:
        box.reboot(100 * S)
    GatewayLife(box, 20 * S).stage.close()
    assert dark == [(120 * S - AWAY_NS, 120 * S) if reboot else (10 * S, 20 * S)]


@pytest.mark.parametrize("past", ["known", "older"])
def test_states_that_a_blind_start_has_spared_are_in_doubt(
    tmp_path: Path, past: PastState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not read them, counted and sent for itself, and left them as they are. If the
    outbox says that they are older still, they are."""
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(12 * S)
    states = dict(box.states)
    box.states = {}
    GatewayLife(box, 13 * S).run(18 * S)
    box.states = states
    for path in box.stage():
        path.unlink()
    believed(monkeypatch, past)
    again = GatewayLife(box, 19 * S)
    again.run(30 * S)
    closed(again)
    first = after(box, box.epoch)[0].body["points"]["energy_import"]
    assert first["quality"]["uncertain:gap"] == 1
    grown = daemon_lives.steps_of(after(box, box.epoch)[0], "delta") or 0
    assert (grown > 15) is (past == "known"), "what came in between"
