"""Two daemons never share a folder, and what waits never goes out under another gateway's name."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.sim.sen55 import Sen55
from edge.acquire.clock import boot_id
from edge.acquire.stage import PREFIX, find_segments
from edge.control.protocol import ask_daemon
from edge.outbox import inspect_outbox
from tests.kit.broker import Mosquitto
from tests.kit.gateway import AIR, KERBSTONE, LOOPS, ROOT, GatewayProcess, Records
from tests.kit.street import LoopStreet
from tests.long import one_in
from tests.system.test_read import wait_for

AIR_HELD = {"pm2_5": 9.5, "humidity": 45.5, "temperature": 23.5}


@pytest.fixture
def street(tmp_path: Path) -> LoopStreet:
    return LoopStreet(tmp_path, Sen55(AIR_HELD, powered_s=86_400))


def started(one: GatewayProcess) -> None:
    one.start()
    wait_for(lambda: ask_daemon(one.folder / "run", "status") is not None)


def pid_of(one: GatewayProcess) -> int:
    assert one._daemon is not None
    return one._daemon.pid


def second(one: GatewayProcess, old: str, new: str) -> subprocess.CompletedProcess[str]:
    """Another daemon, with a configuration that differs so far."""
    other = one.folder / "other.toml"
    text = one.config.read_text()
    assert old in text
    other.write_text(text.replace(old, new))
    return subprocess.run(
        [*KERBSTONE, "run", str(other)], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@one_in(2)
@pytest.mark.parametrize("key", ["dir", "run_dir"])
def test_a_second_daemon_shares_no_folder_with_the_first(
    broker: Mosquitto, site: Callable[..., GatewayProcess], street: LoopStreet, key: str
) -> None:
    with street:
        # the first has loops, the second asks another bus and another store: nothing but one
        # folder is common to them
        one = site(LOOPS, period_s=900)
        started(one)
        assert street.chip.wait_requested(["lead", "trail"], 60)
        segments = list((one.folder / "run").glob(f"{PREFIX}*"))
        text = one.config.read_text()
        folders = [f'dir = "{one.folder}/store"', f'run_dir = "{one.folder}/run"']
        kept = folders[0] if key == "dir" else folders[1]
        other = text.replace(LOOPS.format(dir=one.folder), AIR.format(dir=one.folder))
        for line in folders:
            if line != kept:
                other = other.replace(f"\n{line}", f'\n{line[:-1]}-2"')
        (one.folder / "run-2").mkdir(exist_ok=True)
        done = second(one, text, other)
        assert done.returncode == 3, done.stderr
        assert f"store.{key} = {one.folder}" in done.stderr
        assert f"in use by process {pid_of(one)}," in done.stderr
        assert [path for path in segments if path.exists()] == segments, "its stage is there"
        assert ask_daemon(one.folder / "run", "status") is not None, "and so is its socket"
        # the kernel takes the lock away: nobody has to remove anything
        one.kill()
        started(one)
        assert one.stop() == 0


@pytest.mark.long
def test_no_record_goes_out_under_the_name_of_a_renamed_gateway(
    broker: Mosquitto, site: Callable[..., GatewayProcess], street: LoopStreet
) -> None:
    with street:
        one = site(AIR, period_s=1)
        records = Records(broker, one.folder)
        broker.stop()
        started(one)
        wait_for(lambda: (ask_daemon(one.folder / "run", "outbox") or {"rows": 0})["rows"] >= 3)
        status = ask_daemon(one.folder / "run", "status")
        assert status is not None
        old = status["epoch"]
        one.kill()
        waiting = inspect_outbox(one.folder / "store", 16 << 20).rows
        segments = find_segments(one.folder / "run", boot_id(), 0, "test/gw-1")
        assert segments, "its stage is left behind"

        one.config.write_text(one.config.read_text().replace('"gw-1"', '"gw-2"'))
        broker.start()
        started(one)
        records.wait(lambda r: len([x for x in r.of("air") if x["gw"] == "gw-2"]) >= 2)
        events = [r for r in records.of("event") if r["gw"] == "gw-2"]
        sent = [r for r in records.all() if r["kind"] == "record"]
        assert not [r for r in sent if r["gw"] == "gw-2" and r["epoch"] == old]
        (storage,) = [event for event in events if event["event"] == "storage"]
        assert "gateway gw-1 of site test" in storage["text"]
        assert f"{waiting} records" in storage["text"]
        assert "kerbstone outbox rescue" in storage["text"]
        assert not [event for event in events if event["event"] == "drop"], "nothing of gw-2's"
        (gap,) = [
            each for each in events if (each["event"], each.get("reason")) == ("gap", "start")
        ]
        assert "former" not in gap, "no epoch of this gateway is known"
        assert one.stop() == 0
        kept = one.folder / "store" / "outbox.foreign.test.gw-1.db"
        assert str(kept) in storage["text"]
        (one.folder / "kept").mkdir()
        kept.rename(one.folder / "kept" / "outbox.db")
        assert inspect_outbox(one.folder / "kept", 16 << 20).rows == waiting, "all of it is there"
        set_aside = list((one.folder / "run").glob("set_aside.*"))
        # two, when it was killed while a window was being committed
        assert {each.name for each in set_aside} == {f"set_aside.{s.path.name}" for s in segments}
        records.stop()
