"""What is committed beside the records comes back at the next start, and in time: what models and
devices have learnt, what doors and alarms were told, which calibration has run out."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import msgpack
import pytest

from drivers.chips.sgp41 import Sgp41
from edge.acquire.stage import Stage
from edge.core import Edge, Reason, Stamp, Stream
from edge.gateway.boxmonitor import BoxMonitor
from edge.gateway.windowcommitter import BASELINE_NS, MODEL_STATE_NS
from edge.gateway.wiring import Wiring
from edge.infer.judge import Judge
from tests.gateway import test_boxmonitor as observing
from tests.kit.clock import FLOOR
from tests.kit.engine import MS, S
from tests.kit.lives import PERIOD_NS, SITE, GatewayLife, GatewayStorage, closed, placed, volumes
from tests.kit.waiting import done
from tests.kit.wires import WIRES

DOOR = """
[device.door]
driver = "contact"
bus = "loops"
line = "e"
active = "high"
event = "door"
"""
NOSE = """
[bus.air]
kind = "i2c"
[device.nose]
driver = "sgp41"
bus = "air"
"""
UNTIL = datetime.date(2027, 3, 1)
CALIBRATED = f"""
[calibration.pm]
device = "hut_air"
point = "pm2_5"
offset = 1.0
by = "City laboratory"
on = 2026-03-02
until = {UNTIL}
"""
OVER_NS = int(datetime.datetime(2027, 3, 2, tzinfo=datetime.UTC).timestamp()) * S


@pytest.mark.parametrize(
    ("owner", "every_ns"), [("judge", MODEL_STATE_NS), ("drivers", BASELINE_NS)]
)
def test_what_was_learnt_is_written_so_often_and_no_more(
    tmp_path: Path, owner: str, every_ns: int
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    for _ in range(2):
        for waits_ns, written in ((every_ns - MS, False), (MS, True)):
            box.states.pop(owner, None)
            life.now_ns += waits_ns
            done(life.committer.close(life.now().mono_ns))
            assert (owner in box.states) is written
    life.stage.close()


def test_what_models_had_learnt_at_a_stop_is_what_the_next_start_begins_with(
    tmp_path: Path,
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(12 * S)
    assert "judge" not in box.states
    life.stop()
    learnt = msgpack.unpackb(msgpack.packb(life.pipeline.judge.snapshot()))
    raised = msgpack.unpackb(msgpack.packb(life.pipeline.judge.snapshot_flags()))
    with (
        mock.patch.object(Judge, "restore") as restored,
        mock.patch.object(Judge, "restore_flags") as flags,
    ):
        GatewayLife(box, 13 * S).stage.close()
    restored.assert_called_once_with(learnt)
    flags.assert_called_once_with(raised)


def test_devices_are_given_back_what_they_had_learnt_and_how_long_ago(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path, SITE + NOSE)
    life = GatewayLife(box, 0)
    life.buses.learnt = {"nose": b"so far"}
    life.run(7 * S)
    life.stop()
    with mock.patch.object(Sgp41, "restore") as restored:
        GatewayLife(box, 9 * S).stage.close()
    restored.assert_called_once_with(b"so far", 2.0)


def test_the_stage_of_another_gateway_is_set_aside_and_nothing_of_it_counts(
    tmp_path: Path,
) -> None:
    box = GatewayStorage(tmp_path)
    other = Stage(tmp_path, box.boot_id, "stadt/gw-2", staged=box.wiring.staged())
    other.rotate(0, PERIOD_NS, [], [])
    other.add_contacts(WIRES.between(0, S)[0])
    other.close()
    (segment,) = box.stage()
    life = GatewayLife(box, 2 * S)
    assert [path.name for path in tmp_path.glob("set_aside.*")] == [f"set_aside.{segment.name}"]
    life.run(PERIOD_NS + S)
    closed(life)
    assert volumes(box, "north_1") == sum(
        2 * S < at < PERIOD_NS + S for at in WIRES.rises("north_1.lead")
    )
    assert not any("uncertain:gap" in record.body["quality"] for record in box.of("north_1"))


@pytest.mark.parametrize("reboot", [False, True])
def test_a_door_that_was_opened_before_a_kill_is_told_once(tmp_path: Path, reboot: bool) -> None:
    box = GatewayStorage(tmp_path, SITE + DOOR)
    life = GatewayLife(box, 0)
    life.ingest.edges([Edge("e", False, life.now().mono_ns, 0)])
    life.run(6 * S)
    life.ingest.edges([Edge("e", True, life.now().mono_ns, 1)])
    life.run(7 * S)  # told, and committed; killed, with its window open
    if reboot:
        box.reboot(zero_ns=-7 * S)  # this boot's time begins anew
    life = GatewayLife(box, 8 * S)
    life.ingest.edges([Edge("e", True, life.now().mono_ns, 0)])
    life.run(9 * S)
    assert [event.body["state"] for event in box.events("door")] == ["on"]
    life.ingest.edges([Edge("e", False, life.now().mono_ns, 1)])
    closed(life)
    assert [event.body["state"] for event in box.events("door")] == ["on", "off"]


def test_a_fault_of_what_is_not_configured_any_more_is_over(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path, SITE + NOSE)
    life = GatewayLife(box, 0)
    life.ingest.fault("nose", Reason.SILENT, "it does not answer")
    life.run(6 * S)  # and killed
    box.site = placed(tmp_path)
    box.wiring = Wiring.of(box.site)
    closed(GatewayLife(box, 7 * S))
    on, off = box.events("sensor_fault")
    assert (on.source, on.body["state"]) == ("nose", "on")
    assert (off.source, off.body["state"]) == ("nose", "off")
    assert "is not configured any more" in off.body["text"]


class MonitoredLife(GatewayLife):
    """Its board is watched."""

    def watch_box(self) -> BoxMonitor | None:
        self.watched = observing.MonitoredGateway()
        self.watched.mono_ns = self.now().mono_ns
        about, sources = self.watched.box_monitor._facts, self.watched.box_monitor._sources
        return BoxMonitor(
            about, sources, Path("/"), self.now(), read_box=lambda _: self.watched.look
        )  # fmt: skip

    def observe(self) -> None:
        assert self.box_monitor is not None
        with pytest.raises(StopIteration) as reported:
            self.box_monitor.observe(self.now()).send(None)
        self.urgent.add(reported.value.value)


def test_an_alarm_that_was_on_at_a_kill_is_ended_by_the_next_start(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = MonitoredLife(box, 0)
    life.watched.vital(cpu_temperature=99.0)
    life.observe()
    life.run(6 * S)
    assert life.box_monitor is not None
    on = life.box_monitor.alarms.snapshot()
    assert on
    again = MonitoredLife(box, 7 * S)  # it was killed
    assert again.box_monitor is not None
    assert again.box_monitor.alarms.snapshot() == on
    GatewayLife(box, 8 * S).stage.close()  # nobody watches, and nobody minds


def test_the_health_of_the_box_rides_in_the_commit_of_a_window(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = MonitoredLife(box, 0)
    life.observe()
    life.now_ns = 901 * S
    done(life.committer.close(life.now().mono_ns))
    (record,) = (record for record in box.records if record.key.stream == Stream.HEALTH)
    assert (record.from_ns, record.to_ns) == (0, 901 * S)
    life.stage.close()


class Dated(GatewayLife):
    """It knows the day, but not to the second: windows follow the boot. At 0 it is five periods
    before a certificate is over."""

    def now(self) -> Stamp:
        mono_ns = super().now().mono_ns
        return Stamp(mono_ns, OVER_NS - 5 * PERIOD_NS + mono_ns, FLOOR)


def test_a_calibration_that_runs_out_is_said_from_the_window_on_in_which_it_did(
    tmp_path: Path,
) -> None:
    box = GatewayStorage(tmp_path, SITE + CALIBRATED)
    life = Dated(box, 0)
    life.run(8 * PERIOD_NS)
    closed(life)
    said = [expired(record.body) for record in box.of("hut_air")]
    assert said[:4] == [False] * 4
    assert said[5:] == [True] * (len(said) - 5)
    assert len(said) >= 7


def test_a_window_that_a_start_closes_says_that_its_calibration_had_run_out(
    tmp_path: Path,
) -> None:
    box = GatewayStorage(tmp_path, SITE + CALIBRATED)
    Dated(box, 6 * PERIOD_NS).run(7 * PERIOD_NS + 3 * S)  # and killed
    life = Dated(box, 8 * PERIOD_NS + S)
    life.run(9 * PERIOD_NS)
    closed(life)
    assert [expired(record.body) for record in box.of("hut_air")] == [True] * 3


def expired(body: Mapping[str, Any]) -> bool:
    return "uncertain:calibration" in str(body["points"])
