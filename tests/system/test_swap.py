"""A box is killed with records that nobody has, and another one goes on in its place."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer

from drivers.meters.register_map import load_register_map
from drivers.sim.meter import MeterLoad
from edge.cli.run import HANDED_OVER_CODE
from edge.platform.openstore import open_store
from tests.kit.broker import Mosquitto
from tests.kit.gateway import KERBSTONE, METER, ROOT
from tests.kit.otherbox import BoxProcess
from tests.kit.pymodbuspeer import Peer, living
from tests.kit.serialport import PtyPair

TABLE = load_register_map("sdm630")


class City:
    """`kerbstone receipts`, and what is in its store."""

    def __init__(self, broker: Mosquitto, store: Path) -> None:
        self.store = store
        self._process = subprocess.Popen(
            [*KERBSTONE, "receipts", "--broker", broker.url, "--store", str(store)],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        assert "listening" in self._process.stderr.readline()

    def records(self, stream: str) -> list[dict[str, Any]]:
        with contextlib.closing(open_store(self.store, write=False)) as store:
            return [dict(each.sent()) for each in store.records("gw-1", stream)]

    def conflicts(self) -> int:
        with contextlib.closing(open_store(self.store, write=False)) as store:
            return sum(1 for _ in store.conflicts("gw-1"))

    def wait(self, done: Callable[["City"], Any], timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        while not done(self):
            assert time.monotonic() < end, self.records("event")
            time.sleep(0.2)

    def audit(self, *words: str) -> tuple[int, str]:
        command = [*KERBSTONE, "audit", "--store", str(self.store), *words]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        return said.returncode, said.stdout + said.stderr

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0


@pytest.fixture
def city(tmp_path: Path, broker: Mosquitto) -> Iterator[City]:
    one = City(broker, tmp_path / "city.db")
    yield one
    one.close()


@pytest.fixture
def meter() -> Iterator[tuple[MeterLoad, str]]:
    """131 kW: a step of its register each 0.3 s. The same one for both boxes."""
    load = MeterLoad(amps=lambda _: (200.0, 210.0, 190.0))
    load.reset(1000.0)
    ptys = PtyPair()
    server = lambda: ModbusSerialServer(  # noqa: E731
        living(TABLE, load.values, 1), framer=FramerType.RTU, port=ptys.a, baudrate=38_400
    )
    with Peer(server):
        yield load, ptys.b
    ptys.close()


@pytest.fixture
def boxes(
    tmp_path: Path, broker: Mosquitto, meter: tuple[MeterLoad, str]
) -> Iterator[tuple[BoxProcess, BoxProcess]]:
    made = tuple(
        BoxProcess(
            tmp_path / name, broker, METER, meter=meter[1], serial=serial, boot=f"boot-{name}"
        )
        for name, serial in (("old", "1000aaaa"), ("new", "1000bbbb"))
    )
    yield made[0], made[1]
    for each in made:
        each.close()


def import_steps(records: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    ordered = sorted(records, key=lambda r: (r["mono"], r["epoch"]))
    return [r["points"]["energy_import"] for r in ordered]


def counted(steps: list[Mapping[str, Any]]) -> float:
    """kWh that the records have counted."""
    return float(sum(round(p["delta"] / p["step"]) * p["step"] for p in steps if p["delta"]))


def waiting(box: BoxProcess) -> int:
    return int(json.loads(box.ask("outbox").stdout)["rows"])


def answers(box: BoxProcess) -> bool:
    """Its daemon, not the files alone, which `kerbstone outbox` reads too."""
    return box.ask("status").returncode in (0, 1)


def wait_for(done: Callable[[], Any], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.2)


def gap_of(city: City, epoch: int) -> Mapping[str, Any]:
    """The first event of an epoch: the time before it."""
    return next(e for e in city.records("event") if e["event"] == "gap" and e["epoch"] == epoch)


def test_a_killed_box_is_swapped_and_nothing_is_lost_or_counted_twice(
    tmp_path: Path, broker: Mosquitto, city: City, boxes: tuple[BoxProcess, BoxProcess]
) -> None:
    old, new = boxes
    old.start()
    city.wait(lambda c: len(c.records("energy")) >= 2)
    broker.stop()
    wait_for(lambda: waiting(old) >= 4)
    old.kill()

    file = tmp_path / "swap.kerbstone"
    said = old.run("backup", "--last", "--by", "anna", file)
    assert said.returncode == 0, said.stderr + said.stdout
    assert "records in it wait for the city" in said.stdout
    assert old.exit_code() == HANDED_OVER_CODE, "this box counts nothing more"
    assert "handed over to another box" in old.log.read_text()

    said = new.run("restore", "--by", "ben", file)
    assert said.returncode == 0, said.stderr + said.stdout
    broker.start()
    new.start()
    city.wait(lambda c: [e for e in c.records("event") if e["event"] == "box_swap"])
    (swap,) = [e for e in city.records("event") if e["event"] == "box_swap"]
    city.wait(lambda c: len([r for r in c.records("energy") if r["epoch"] == swap["epoch"]]) >= 3)
    assert new.stop() == 0, new.log.read_text()
    city.wait(lambda c: c.audit()[0] == 0)

    former = swap["epoch_before"]
    assert swap["epoch"] != former
    assert (
        former == json.loads(old.run("backup", "--last", "--json", tmp_path / "2").stdout)["epoch"]
    )
    assert (swap["serial_before"], swap["serial"]) == ("1000aaaa", "1000bbbb")
    assert (swap["how"], swap["counting"], swap["by"]) == ("restored", "continues", "ben")
    gap = gap_of(city, swap["epoch"])
    assert (gap["reason"], gap["swap"]) == ("restart", "restored")
    assert "Another box goes on here" in gap["text"]
    energy = city.records("energy")
    assert {r["epoch"] for r in energy} == {former, swap["epoch"]}
    steps = import_steps(energy)
    first = next(p["first"] for p in steps if p["first"] is not None)
    last = next(p["last"] for p in reversed(steps) if p["last"] is not None)
    assert counted(steps) == pytest.approx(last - first, abs=1e-6)
    assert last - first > 0.3

    # the old card: what it still holds is sent as it was, and known there
    count = len(energy)
    rescued = old.run("outbox", "rescue", old.store / "outbox.db")
    assert rescued.returncode == 0, rescued.stdout + rescued.stderr
    assert "records sent" in rescued.stdout
    assert len(city.records("energy")) == count
    assert city.conflicts() == 0
    code, report = city.audit()
    assert code == 0, report


def test_a_copy_of_a_box_that_went_on_never_counts_twice(
    tmp_path: Path, city: City, boxes: tuple[BoxProcess, BoxProcess]
) -> None:
    old, new = boxes
    old.start()
    city.wait(lambda c: len(c.records("energy")) >= 2)
    file = tmp_path / "copy.kerbstone"
    said = old.run("backup", file)
    assert said.returncode == 0, said.stderr + said.stdout
    assert "a copy: the gateway goes on" in said.stdout
    before = len(city.records("energy"))
    city.wait(lambda c: len(c.records("energy")) >= before + 2)
    old.kill()

    assert new.run("restore", "--check", file).returncode == 0
    said = new.run("restore", file)
    assert said.returncode == 0, said.stderr + said.stdout
    assert "totals begin anew" in said.stdout
    new.start()
    city.wait(lambda c: [e for e in c.records("event") if e["event"] == "box_swap"])
    (swap,) = [e for e in city.records("event") if e["event"] == "box_swap"]
    assert swap["counting"] == "anew"
    epoch = swap["epoch"]
    assert gap_of(city, epoch)["swap"] == "restored"
    assert "from a copy" in gap_of(city, epoch)["text"]
    city.wait(lambda c: len([r for r in c.records("energy") if r["epoch"] == epoch]) >= 3)
    assert new.stop() == 0, new.log.read_text()
    for steps in (
        import_steps([r for r in city.records("energy") if (r["epoch"] == epoch) is mine])
        for mine in (False, True)
    ):
        first = next(p["first"] for p in steps if p["first"] is not None)
        last = next(p["last"] for p in reversed(steps) if p["last"] is not None)
        assert counted(steps) == pytest.approx(last - first, abs=1e-6)
    code, report = city.audit()
    assert code == 1
    assert "an older copy was restored" in report, "a copy is no swap, and the city sees it"
    assert city.conflicts() == 0


def test_a_box_that_has_begun_by_itself_goes_on_for_the_old_one(
    tmp_path: Path, broker: Mosquitto, city: City, boxes: tuple[BoxProcess, BoxProcess]
) -> None:
    old, new = boxes
    old.start()
    city.wait(lambda c: len(c.records("energy")) >= 2)
    broker.stop()
    wait_for(lambda: waiting(old) >= 3)
    assert old.stop() == 0
    new.start()  # nobody has restored anything yet, and the meter is wired to it
    wait_for(lambda: new.ask("outbox").returncode == 0 and waiting(new) >= 4)
    assert new.stop() == 0

    file = tmp_path / "swap.kerbstone"
    assert old.run("backup", "--last", file).returncode == 0
    said = new.run("restore", file)
    assert said.returncode == 2
    assert "--set-aside" in said.stderr
    assert new.run("restore", "--set-aside", file).returncode == 0
    broker.start()
    new.start()
    city.wait(lambda c: [e for e in c.records("event") if e["event"] == "box_swap"])
    rescued = new.run("outbox", "rescue", new.store / "outbox.before.restore.db")
    assert rescued.returncode == 0, rescued.stdout + rescued.stderr
    assert new.stop() == 0
    (swap,) = [e for e in city.records("event") if e["event"] == "box_swap"]
    epochs = {r["epoch"] for r in city.records("energy")}
    assert {swap["set_aside"]["epoch"], swap["epoch_before"]} <= epochs
    assert swap["counting"] == "anew", "this box has counted in between"
    total = 0.0
    for epoch in epochs:
        steps = import_steps([r for r in city.records("energy") if r["epoch"] == epoch])
        first = next(p["first"] for p in steps if p["first"] is not None)
        last = next(p["last"] for p in reversed(steps) if p["last"] is not None)
        assert counted(steps) == pytest.approx(last - first, abs=1e-6)
        total += counted(steps)
    assert total > 0.3
    code, report = city.audit("--contents")
    assert code == 0, report
    code, report = city.audit()
    assert code == 0, report


def test_the_status_of_the_old_box_says_where_it_has_gone(
    tmp_path: Path, boxes: tuple[BoxProcess, BoxProcess]
) -> None:
    old, _ = boxes
    old.start()
    wait_for(lambda: answers(old))
    refused = old.run("backup", "--last", tmp_path / "swap")
    assert refused.returncode == 2
    assert "stop it first" in refused.stderr
    assert old.stop() == 0
    assert old.run("backup", "--last", tmp_path / "swap").returncode == 0
    said = old.run("status")
    assert said.returncode == 3
    assert "another box has gone on in its place" in said.stdout
    assert "systemctl start" not in said.stdout
    assert old.run("backup", "--undo").returncode == 0
    old.start()
    wait_for(lambda: answers(old))
    assert old.stop() == 0
