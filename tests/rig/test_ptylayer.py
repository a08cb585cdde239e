"""The layer of real processes: the unmodified daemon, a real broker, faults and their healing."""

import socket
import ssl
import sys
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge.rig.box import ReaderAdapter, Said
from edge.rig.boxprocess import KERBSTONE, BoxProcess, faketime
from edge.rig.layer import NO_BOUND_S, LayerError
from edge.rig.ptylayer import PtyLayer, PtyWish
from edge.rig.rigbroker import OwnBroker
from edge.rig.runlog import FaultSpan, RunLog
from edge.rig.runner import run
from edge.rig.scenario import Condition, Fault, Traffic, Value, Vehicle
from edge.wire import decode
from tests.kit.broker import BINARY
from tests.kit.waiting import wait_until
from tests.rig.scenes import scenario, write_site

pytestmark = pytest.mark.skipif(
    not Path(BINARY).exists(), reason="mosquitto is not installed: apt-get install mosquitto"
)


def fault(
    name: str, target: str, kind: str, at_s: float, for_s: float | None, **keys: Any
) -> Fault:
    return Fault(name=name, target=target, kind=kind, at_s=at_s, for_s=for_s, **keys)


def played(folder: Path, wish: PtyWish | None = None, **tables: Any) -> RunLog:
    write_site(folder)
    said: list[str] = []
    made = scenario(folder, **{"duration_s": 16.0, "settle_s": 40.0, **tables})
    log = run(made, PtyLayer(folder / "run", wish), lambda t_s, text: said.append(f"{t_s} {text}"))
    print(*said, sep="\n")
    return log


def windows(log: RunLog, lane: str) -> list[Any]:
    return [one for one in log.heard if (one.stream, one.source) == ("traffic", lane)]


def spans(log: RunLog) -> dict[str, FaultSpan]:
    return {one.name: one for one in log.faults}


@pytest.mark.scene
def test_a_run_with_faults_of_wires_and_broker_is_counted_and_complete(tmp_path: Path) -> None:
    traffic = Traffic(lanes=("north_1",), per_hour=900, speed_kmh=50.0, spread_kmh=3.0)
    cars = tuple(Vehicle(lane="north_2", at_s=float(t_s)) for t_s in range(2, 15, 2))
    faults = (
        fault("meter", "main_meter", "silent", 2.0, 4.0),
        fault("loop", "north_2", "dead", 5.0, 5.0),
        fault("flap", "broker", "flap", 6.0, 5.0, amount=1.0),
        Fault(
            name="late", target="link", kind="latency", amount=0.2, for_s=2.0,
            when=(Condition(state="volume", of="north_1", above=1),),
        ),
    )  # fmt: skip
    warm = Value(device="hut", point="temperature", constant=31.5)
    log = played(tmp_path, traffic=(traffic,), vehicles=cars, values=(warm,), faults=faults)
    assert (log.ending, log.text) == ("whole", "")
    assert log.lasted_s < 50.0  # it ends when all has come

    driven = [one for one in log.driven if one.lane == "north_1"]
    assert len(driven) >= 2
    assert sum(one.body["volume"] or 0 for one in windows(log, "north_1")) == len(driven)
    seen = sum(one.body["volume"] or 0 for one in windows(log, "north_2"))
    assert seen < len(cars) == len([one for one in log.driven if one.lane == "north_2"])

    air = [one for one in log.heard if one.source == "hut" and one.stream == "air"]
    assert air[-1].body["points"]["temperature"]["mean"] == pytest.approx(31.5, abs=0.2)
    after = [one for one in windows(log, "north_1") if (one.to_s or 0.0) > 0]
    assert all(one.error_s == 0.0 and one.from_s < one.to_s < one.t_s + 0.1 for one in after)

    found = spans(log)
    assert set(found) == {"meter", "loop", "flap", "late"}
    for one in found.values():
        assert one.ended_s is not None, one
        assert one.evidence, one
        assert one.through > 0, one
        assert all(one.began_s - 0.1 <= e.t_s <= one.ended_s + 0.1 for e in one.evidence), one
    assert "main_meter was asked" in found["meter"].evidence[0].text
    assert "north_2.lead is open" in found["loop"].evidence[0].text
    assert len(found["flap"].evidence) >= 4  # it went and came back twice
    numbers = {(one.stream, one.seq) for one in log.heard if one.seq}
    for stream in ("traffic", "air", "energy", "event"):
        seqs = sorted(seq for name, seq in numbers if name == stream)
        assert seqs == list(range(1, len(seqs) + 1)), stream
    assert any(one.connected is False for one in log.seen)
    assert max(one.queue or 0 for one in log.seen) > 0
    assert log.seen[-1].queue == 0


@pytest.mark.scene
def test_a_box_that_is_killed_and_held_comes_back(tmp_path: Path) -> None:
    faults = (
        fault("kill", "gateway", "kill", 2.0, None),
        fault("stop", "gateway", "stop", 9.0, 3.0),
    )
    cars = tuple(Vehicle(lane="north_1", at_s=float(t_s)) for t_s in range(1, 14))
    log = played(tmp_path, duration_s=14.0, vehicles=cars, faults=faults)
    assert (log.ending, log.text) == ("whole", "")
    kill, stop = spans(log)["kill"], spans(log)["stop"]
    texts = [one.text for one in kill.evidence]
    assert "was killed" in texts[0]
    assert texts[-1] == "the box answers again"
    assert kill.through > 0
    assert "stands still" in stop.evidence[0].text
    assert sum(one.queue is None for one in log.seen) >= 3
    boots = {one.body.get("event") for one in log.heard if one.stream == "event"}
    assert "start" in boots


@pytest.mark.scene
def test_power_disk_and_clock_fail_where_they_can(tmp_path: Path) -> None:
    faults = [fault("cut", "power", "cut", 1.0, None)]
    wall = faketime()
    if wall is not None:
        faults.append(fault("jump", "clock", "jump", 6.0, None, amount=7200.0))
    log = played(tmp_path, duration_s=9.0, faults=tuple(faults))
    assert (log.ending, log.text) == ("whole", "")
    cut = spans(log)["cut"]
    assert [one.text for one in cut.evidence][-1] == "the box answers again"
    if wall is not None:
        assert "+7200 s" in spans(log)["jump"].evidence[0].text
        late = [one.body["to"] for one in log.heard if one.stream == "air" and one.t_s > 8.5]
        early = [one.body["to"] for one in log.heard if one.stream == "air" and one.t_s < 1.0]
        assert late
        assert not early or early[0][:13] != late[-1][:13]  # another hour


@pytest.mark.scene
def test_a_full_disk_is_seen_to_be_full_and_stays_so(tmp_path: Path) -> None:
    """A box that gives up its reserve has room again; what fills its disk goes on."""
    log = played(tmp_path, duration_s=16.0, faults=(fault("full", "disk", "full", 1.0, 14.0),))
    if log.ending == "rig_failed":
        assert "needs root" in log.text
        pytest.skip(log.text)
    assert (log.ending, log.text) == ("whole", "")
    told = [one.text for one in spans(log)["full"].evidence]
    assert told[0] == "0 bytes are free"
    assert len(told) > 2
    room = [at for at, text in enumerate(told) if text != "0 bytes are free"]
    # what it has given up was full again at the next look; it may have been just before the last
    assert all(later - at > 1 for at, later in pairwise(room)), told


HAS_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


def test_a_broker_shows_a_certificate_that_has_ended_and_the_right_one_again(
    tmp_path: Path,
) -> None:
    broker = OwnBroker(tmp_path / "broker", tls=True)
    broker.start()
    try:
        assert broker.authority is not None
        context = ssl.create_default_context(cafile=str(broker.authority))

        def shakes_hands() -> bool:
            with socket.create_connection((broker.host, broker.box_port), 10) as sock:
                try:
                    context.wrap_socket(sock, server_hostname=broker.host).close()
                except ssl.SSLCertVerificationError as error:
                    return error.verify_code != HAS_EXPIRED
            return True

        assert shakes_hands()
        assert broker.refused_certificates() == 0
        broker.show_certificate(ended=True)
        wait_until(lambda: not shakes_hands())
        wait_until(lambda: broker.refused_certificates() > 0)
        broker.stop()
        broker.start()  # it goes and comes back, and its certificate is the same
        assert not shakes_hands()
        broker.show_certificate(ended=False)
        wait_until(shakes_hands)
    finally:
        broker.close()


def test_what_speaks_no_tls_has_no_certificate(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="speaks no TLS"):
        OwnBroker(tmp_path / "broker").show_certificate(ended=True)
    both = tuple(fault(kind, "broker", kind, 1.0, 2.0) for kind in ("quota", "expired_certificate"))
    log = played(tmp_path, faults=both)
    assert log.ending == "rig_failed"
    assert "cannot have both" in log.text


@pytest.mark.scene
@pytest.mark.parametrize(
    ("kind", "said", "issue"),
    [
        ("quota", "messages were refused", "broker_quota"),
        ("expired_certificate", "connections were ended", "broker_untrusted"),
    ],
)
def test_a_broker_that_refuses_loses_nothing(
    tmp_path: Path, kind: str, said: str, issue: str
) -> None:
    cars = tuple(Vehicle(lane="north_1", at_s=float(t_s)) for t_s in range(1, 24))
    refuses = fault("refuses", "broker", kind, 4.0, 12.0)
    log = played(tmp_path, duration_s=25.0, settle_s=60.0, vehicles=cars, faults=(refuses,))
    assert (log.ending, log.text) == ("whole", "")
    found = spans(log)["refuses"]
    assert said in found.evidence[0].text
    assert found.through > 0
    assert any(one.startswith(issue) for seen in log.seen for one in seen.issues)
    assert max(one.queue or 0 for one in log.seen) > 5
    assert log.seen[-1].queue == 0
    counted = {one.seq: one.body["volume"] for one in windows(log, "north_1") if one.seq}
    assert sum(counted.values()) == len(cars)


ENDS = (sys.executable, "-c", "print('no such wire'); raise SystemExit(7)")
DIES = (sys.executable, "-c", (
    "import subprocess, sys, time\n"
    "box = subprocess.Popen([sys.executable, '-m', 'edge.cli.main', 'run', '{site}'])\n"
    "time.sleep(12); box.kill(); print('out of memory'); sys.exit(9)"
))  # fmt: skip


def test_a_box_that_never_reads_is_told_with_its_log(tmp_path: Path) -> None:
    log = played(tmp_path, PtyWish(command=ENDS))
    assert log.ending == "rig_failed"
    assert "exit code 7" in log.text
    assert "no such wire" in log.text


@pytest.mark.scene
def test_a_box_that_ends_by_itself_has_failed(tmp_path: Path) -> None:
    log = played(tmp_path, PtyWish(command=DIES), duration_s=60.0)
    assert log.ending == "box_failed"
    assert "exit code 9" in log.text
    assert log.lasted_s < 30.0


def test_nothing_is_left_running(tmp_path: Path) -> None:
    write_site(tmp_path)
    layer = PtyLayer(tmp_path / "run")
    layer.open(scenario(tmp_path))
    process, broker_conf = layer._process, tmp_path / "run" / "broker" / "mosquitto.conf"
    assert isinstance(process, BoxProcess)
    pid = process.pid
    assert broker_conf.exists()
    layer.close()
    layer.close()
    assert not Path(f"/proc/{pid}").exists()
    commands = [
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)
    ]
    assert not any(str(tmp_path).encode() in one for one in commands)


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (PtyWish(command=("/no/such/box",)), "cannot be started"),
        (PtyWish(broker="mqtt://127.0.0.1:9"), "no broker answers"),
        (PtyWish(broker="mqtts://127.0.0.1:9"), "no TLS"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, wish: PtyWish, said: str) -> None:
    write_site(tmp_path)
    with pytest.raises(LayerError, match=said):
        PtyLayer(tmp_path / "run", wish).open(scenario(tmp_path))


@pytest.mark.scene
def test_times_of_a_foreign_box_are_measured_with_their_bound(tmp_path: Path) -> None:
    """Our own daemon, read as somebody else's: by what it publishes, an hour ahead."""

    def moment(text: str) -> float:
        return datetime.fromisoformat(text).timestamp() + 3600.0

    def read(topic: str, payload: bytes) -> list[Said]:
        return [
            Said(
                stream="counts", source=one.topic.source, from_s=moment(one.data["from"]),
                to_s=moment(one.data["to"]), body={"volume": one.data["volume"]},
            )
            for one in decode(topic, payload)
            if one.kind == "record" and one.topic.stream == "traffic"
        ]  # fmt: skip

    wish = PtyWish(command=KERBSTONE, adapter=ReaderAdapter(["kerbstone/v1/+/+/up/+/+"], read))
    cars = tuple(Vehicle(lane="north_1", at_s=float(t_s)) for t_s in range(1, 9))
    log = played(tmp_path, wish, duration_s=10.0, settle_s=5.0, vehicles=cars)
    assert log.ending == "whole"
    assert 0.0 < log.clock_bound_s <= 2.5
    assert log.clock_bound_s < NO_BOUND_S
    ends = [one.to_s for one in log.heard if one.source == "north_1" and one.to_s is not None]
    assert all(-5 < to_s < 30 for to_s in ends)
    assert {one.error_s for one in log.heard} == {log.clock_bound_s}


def test_waiting_costs_no_more_than_it_says(tmp_path: Path) -> None:
    write_site(tmp_path)
    layer = PtyLayer(tmp_path / "run")
    try:
        layer.open(scenario(tmp_path))
        began = time.monotonic()
        layer.run_until(layer.now_s() + 1.0)
        assert 0.9 < time.monotonic() - began < 3.0
    finally:
        layer.close()
