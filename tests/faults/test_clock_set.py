"""The wall clock is set, by years, in the middle of what is measured in minutes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.kernelclock import boottime_ns
from edge.link.accesspointfiles import AccessPointState, is_open, read_state, write_state
from edge.wire.records import iso_time
from tests.gateway.commissionparts import WALL_NS, CommissionedBox
from tests.kit.broker import Mosquitto
from tests.kit.faketime import FakeWall, needs_faketime
from tests.kit.gateway import ROOT
from tests.system.changingbox import ChangingBox, TriedBox

YEAR_NS = 365 * 86_400 * 10**9
OPEN_S = 6.0
HOLDER = """
import sys, time
from pathlib import Path
from edge.kernelclock import boottime_ns
from edge.link.accesspointholder import AccessPointHolder, HolderParts
from tests.link.test_accesspointholder import RadioPoint

class Point(RadioPoint):
    def close(self):
        Path(sys.argv[2]).write_text(str(time.time()))

AccessPointHolder(HolderParts(
    spool=Path(sys.argv[1]), state=Path(sys.argv[1]), network="kerbstone-gw-17", make=Point,
    now_s=lambda: boottime_ns() / 1e9, wait=time.sleep, ended=lambda: False,
)).run()
"""


class SetBox(TriedBox):
    """Its wall clock is the test's; what is asked of it is asked at the true time."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        super().__init__(folder, broker)
        self.wall = FakeWall(folder)
        self.command = (*self.wall.command, *TriedBox.command)  # type: ignore[misc]


@needs_faketime
@pytest.mark.parametrize("end", ["confirmed", "rolled_back"])
def test_a_trial_lasts_as_long_whatever_the_clock_is_set_to(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Nobody's time to confirm is cut short, and no trial is never over."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with ChangingBox(tmp_path, broker, kind=SetBox) as box:
        gateway = box.gateway
        assert isinstance(gateway, SetBox)
        text = gateway.text.replace('gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"')
        gateway.apply(text, "--confirm-within", "30s")
        began_s = time.monotonic()
        for shift in ("+20y", "-10y", "+1y"):
            gateway.wall.set(shift)
            time.sleep(3)
            found = gateway.status()
            gone_s = time.monotonic() - began_s
            assert found["state"] == "trial", gateway.log.read_text()[-2000:]
            assert abs(found["trial"]["confirm_left_s"] - (30 - gone_s)) < 4
        if end == "confirmed":
            gateway.config_step("confirm")
            gateway.until_state(end)
            assert time.monotonic() - began_s < 28
        else:
            assert gateway.until_state(end)["reason"] == "unconfirmed"
            assert 27 <= time.monotonic() - began_s < 45
        box.finish()
        assert box.counted == len(box.street.passed)
        assert box.twice() == []


@needs_faketime
def test_an_access_point_closes_at_its_time_whatever_the_clock_is_set_to(tmp_path: Path) -> None:
    wall, closed = FakeWall(tmp_path), tmp_path / "closed"
    until_s = boottime_ns() / 1e9 + OPEN_S
    write_state(tmp_path, AccessPointState(open=True, until_s=until_s))
    with subprocess.Popen([*wall.command, sys.executable, "-c", HOLDER, tmp_path, closed],
                          cwd=ROOT) as holder:  # fmt: skip
        try:
            for shift in ("-10y", "+20y"):
                time.sleep(OPEN_S / 4)
                wall.set(shift)
                assert is_open(read_state(tmp_path), boottime_ns() / 1e9)
                assert not closed.exists()
            assert holder.wait(60) == 0
        finally:
            holder.kill()
    assert until_s <= boottime_ns() / 1e9 < until_s + 3
    assert float(closed.read_text()) - time.time() > 19 * YEAR_NS / 1e9, "it believed the clock"
    found = read_state(tmp_path)
    assert found is not None
    assert (found.open, found.text) == (False, "closed: its time is over")


async def test_a_clock_that_is_set_changes_no_finding_of_a_commissioning(tmp_path: Path) -> None:
    """What is measured is measured by monotonic time; the sheet says what the clock said."""
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    before = [(row["id"], row["verdict"]) for row in (await box.state())["steps"]]
    await box.step("begin", by="Anna", anew=True)
    await box.step("drive", lane="north_1", speed_kmh=31.0)
    box.clock.wall_ns -= 10 * YEAR_NS
    box.drive_over("north_1", 30.0)
    box.clock.wall_ns += 30 * YEAR_NS
    await box.step("finish")
    row = await box.row("lane:north_1")
    assert (row["verdict"], row["findings"][0]["kind"]) == ("passed", "drive_seen")
    assert "30 km/h, 4.5 m" in row["findings"][0]["text"]
    box.clock.wall_ns = WALL_NS - YEAR_NS
    box.confirmed_ns = box.clock.mono_ns
    await box.step("test", step="record")
    assert (await box.row("record"))["verdict"] == "passed", "by age, and not by date"
    await box.whole()
    assert [(row["id"], row["verdict"]) for row in (await box.state())["steps"]] == before
    await box.step("sign", by="Anna", reservations=True)
    accepted = (await box.state())["acceptance"]
    assert accepted["at"][:19] == iso_time(box.clock.now().wall_ns)[:19]
    box.clock.wall_ns += 5 * YEAR_NS
    assert (await box.state())["acceptance"] == accepted, "no date makes a sheet stale"
