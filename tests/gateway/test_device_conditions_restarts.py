"""What devices report and learn, through the committer and over its restarts."""

from pathlib import Path

import msgpack
import pytest

from edge.core import Condition
from edge.gateway.deviceconditions import EVENTS_BEFORE_FLICKER
from edge.gateway.windowcommitter import BASELINE_NS
from tests.kit.engine import S
from tests.kit.lives import PERIOD_NS, GatewayLife, GatewayStorage, ends, grown, steps_of

FAN = {Condition.FAN: "the fan stands still"}


def flap(life: GatewayLife, count: int) -> None:
    """It ends without a fault."""
    for i in range(count):
        life.ingest.conditions("hut_air", "1", FAN if i % 2 == 0 else {})


def health(box: GatewayStorage) -> list[str]:
    return [record.body["state"] for record in box.events("health")]


def test_a_flapping_bit_costs_the_outbox_no_more_than_its_limit(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    flap(life, 3600)
    life.run(20 * PERIOD_NS)
    assert len(health(box)) == EVENTS_BEFORE_FLICKER + 1
    assert health(box)[-2:] == ["flicker", "off"]
    assert life.ingest.devices["hut_air"].health == {}


@pytest.mark.parametrize("reboot", [False, True])
def test_killed_before_it_came_to_rest_the_last_state_is_told_all_the_same(
    tmp_path: Path, reboot: bool
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    flap(life, 99)  # it ends with a fault, which has been told
    flap(life, 100)  # and without, which has not
    life.run(3 * S)  # and killed
    assert health(box)[-2:] == ["on", "flicker"]
    if reboot:
        box.reboot(zero_ns=400 * S)
    GatewayLife(box, 4 * S).run(90 * S)
    assert len(health(box)) == EVENTS_BEFORE_FLICKER + 1
    assert health(box)[-1] == "off"


def test_a_record_that_is_closed_at_a_start_has_its_health(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.ingest.conditions("hut_air", "1", FAN)
    life.run(4 * S)  # and killed, with its window open
    GatewayLife(box, 7 * S).run(12 * S)
    found = [record.body.get("health") for record in box.of("hut_air")]
    assert found == [["fan"]] * len(found)
    assert len(found) >= 2


@pytest.mark.parametrize("swapped", [False, True])
def test_a_swap_before_the_power_was_cut_is_no_growth_after_it(
    tmp_path: Path, swapped: bool
) -> None:
    """The number is in the outbox, and the window in which its register was new is lost."""
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.ingest.conditions("main_meter", "1", {})
    life.run(7 * S)
    if swapped:
        life.ingest.conditions("main_meter", "2", {})
    life.run(int(7.6 * S))  # and killed, then the power is cut
    GatewayLife(box, int(7.7 * S)).run(8 * S)
    box.reboot(zero_ns=400 * S)
    GatewayLife(box, 9 * S).run(20 * S)
    before, after = (next(r for r in box.of("main_meter")[::-1] if r.boot == 1),
                     next(r for r in box.of("main_meter") if r.boot == 2))  # fmt: skip
    since = steps_of(after, "first") if swapped else steps_of(before, "last")
    last = steps_of(after, "last")
    assert since is not None
    assert last is not None
    assert steps_of(after, "delta") == last - since > 0


def test_a_swap_before_the_stage_went_is_no_growth_after_it(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.ingest.conditions("main_meter", "1", {})
    life.run(7 * S)
    life.ingest.conditions("main_meter", "2", {})
    life.run(int(7.6 * S))  # and killed
    for path in box.stage():
        path.unlink()
    GatewayLife(box, 9 * S).run(20 * S)
    first = next(r for r in box.of("main_meter") if r.key.epoch == box.epoch)
    assert steps_of(first, "delta") == (steps_of(first, "last") or 0) - (
        steps_of(first, "first") or 0
    )


def test_a_swap_that_is_in_a_closed_window_is_done_with(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.ingest.conditions("main_meter", "1", {})
    life.ingest.conditions("main_meter", "2", {})
    life.run(12 * S)
    box.reboot(zero_ns=400 * S)
    GatewayLife(box, 13 * S).run(20 * S)
    first, last = ends(box, "main_meter")
    assert grown(box, "main_meter") == last - first > 20


def learnt(box: GatewayStorage) -> dict[str, list[object]]:
    found: dict[str, list[object]] = msgpack.unpackb(box.states["drivers"][1])["learnt"]
    return found


class RestoredNose:
    """Something that learns."""

    def snapshot(self) -> bytes:
        return b""

    def restore(self, kept: bytes, age_s: float) -> None:
        self.given = kept, age_s


def test_what_devices_learn_is_written_each_quarter_of_an_hour_and_at_a_stop(
    tmp_path: Path,
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.committer._baselines._devices["nose"] = RestoredNose()
    writes, was = 0, None
    for i in range(2 * BASELINE_NS // PERIOD_NS + 2):
        life.now_ns = (i + 1) * PERIOD_NS + S
        life.buses.learnt = {"nose": b"%d" % life.now_ns}
        coroutine = life.committer.tick(life.now())
        with pytest.raises(StopIteration):
            coroutine.send(None)
        now = box.states.get("drivers")
        writes, was = writes + (now != was), now
    assert writes == 2
    life.buses.learnt = {"nose": b"last"}
    life.stop()
    assert learnt(box)["nose"][-1] == b"last"


def test_what_was_learnt_and_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).stop()
    box.states["drivers"] = (1, msgpack.packb({"learnt": {"nose": 1}}))
    GatewayLife(box, 7 * S).run(12 * S)
    assert box.of("hut_air")
