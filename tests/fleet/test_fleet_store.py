"""A fleet, mosquitto, `kerbstone receipts` and `kerbstone audit`: all ends agree on each number."""

import asyncio
import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from edge.uplink.reconnect import STABLE_AFTER_S
from tests.fleet.fleetstore import (
    fleet_keys,
    ledger_keys,
    make_fleet,
    run_fleet,
    store_keys,
)
from tests.kit.broker import Make, Mosquitto, free_port
from tests.kit.command import Command
from tests.kit.platform import COMMAND, ROOT, platform
from tests.kit.waiting import until


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
def test_the_audit_finds_nothing_wrong_and_the_ledger_is_the_store(
    broker: Mosquitto, kerbstone: Command, tmp_path: Path, encoding: str
) -> None:
    store, ledger = tmp_path / "city.db", tmp_path / "sent.jsonl"
    with platform(broker, store) as process:
        for records in (2000, 800):  # the second run: the boxes were started again
            said = kerbstone(
                "fleet", "--broker", broker.url, "--gateways", "5", "--backlog", "5", "--speed",
                "600", "--records", str(records), "--jitter", "0.2", "--ledger", ledger,
                "--encoding", encoding, "--json",
            )  # fmt: skip
            assert said.code == 0, said.out + said.err
            found = json.loads(said.out)
            assert found["unconfirmed"] == 0
            assert found["records"] == found["sent"] == found["pubacks"] == found["receipted"]
            assert found["sent_again"] == found["refused"] == {}
        process.terminate()
        assert process.wait(60) == 0
    stored = store_keys(store)
    assert set(stored.values()) == {1}
    assert stored.keys() == ledger_keys(ledger, "sent") == ledger_keys(ledger, "receipted")
    audited = kerbstone("audit", "--store", store)
    assert audited.code == 0, audited.out
    assert "numbers that no manifest seals" not in audited.out


async def test_a_broker_that_is_killed_costs_no_record(broker: Mosquitto, tmp_path: Path) -> None:
    store = tmp_path / "city.db"
    fleet = make_fleet(broker, receipt_s=2.0, minutes=60, backlog=20)
    with platform(broker, store):
        running = asyncio.create_task(run_fleet(fleet))
        while fleet.tally.pubacks < 600:
            await asyncio.sleep(0.01)
        broker.kill()
        await asyncio.sleep(0.5)
        broker.start()
        assert await running == "confirmed"
    tally = fleet.tally
    assert tally.lost.total() == len(fleet.gateways)
    assert sum(tally.again.values()) > 0
    assert fleet.pending == 0
    stored = store_keys(store)
    assert set(stored.values()) == {1}
    assert stored.keys() == fleet_keys(fleet, "sent") == fleet_keys(fleet, "receipted")


async def test_another_address_of_the_broker_is_tried(broker: Mosquitto) -> None:
    """`localhost` is ::1, too, and the broker may listen at 127.0.0.1 alone."""
    fleet = make_fleet(broker, gateways=3, receipt_s=None, minutes=2)
    fleet._addresses = ["127.0.0.2", "127.0.0.1"]
    assert await run_fleet(fleet) == "confirmed"
    assert (fleet.ever_online, fleet.tally.failures) == (3, {})
    assert fleet._addresses == ["127.0.0.1", "127.0.0.2"]


async def test_a_session_that_is_kept_is_taken_up_again(broker: Mosquitto) -> None:
    for _ in range(2):
        fleet = make_fleet(broker, gateways=2, receipt_s=None, minutes=2, session_expiry_s=600)
        assert await run_fleet(fleet) == "confirmed"
    assert broker.log.count("c0, k30") == 4
    assert "Sending CONNACK to gw-001 (1, 0)" in broker.log


async def test_nobody_who_stores_leaves_everything_unconfirmed(broker: Mosquitto) -> None:
    fleet = make_fleet(broker, gateways=2, minutes=3, drain_s=0.5)
    assert await run_fleet(fleet) == "time"
    assert fleet.tally.pubacks == fleet.tally.sent > 0
    assert fleet.pending == fleet.tally.sent
    assert fleet.tally.no_subscribers == fleet.tally.pubacks


async def test_what_is_on_its_way_at_a_signal_still_arrives(broker: Mosquitto) -> None:
    fleet = make_fleet(broker, receipt_s=None, minutes=None)
    stop = asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    while fleet.tally.pubacks < 100:
        await asyncio.sleep(0.01)
    stop.set()
    assert await running == "stopped"
    assert fleet.pending == 0
    assert fleet_keys(fleet, "sent") == fleet_keys(fleet, "acknowledged")
    offline = broker.log.count("up/status', ...")
    assert offline >= 2 * len(fleet.gateways)


def test_a_broker_that_is_not_there_is_exit_3(kerbstone: Command) -> None:
    said = kerbstone(
        "fleet", "--broker", f"mqtt://127.0.0.1:{free_port()}", "--gateways", "2", "--for", "0.5",
        "--drain", "0.5", "--jitter", "0.1",
    )  # fmt: skip
    assert said.code == 3
    assert "cannot be reached" in said.err
    assert "attempts failed" in said.out
    assert "None" not in said.out


def test_a_record_that_is_not_receipted_is_exit_1(
    kerbstone: Command, broker: Mosquitto, tmp_path: Path
) -> None:
    ledger = tmp_path / "sent.jsonl"
    said = kerbstone(
        "fleet", "--broker", broker.url, "--gateways", "2", "--records", "20", "--speed", "600",
        "--drain", "0.5", "--jitter", "0.1", "--ledger", ledger,
    )  # fmt: skip
    assert said.code == 1
    assert "are not receipted" in said.out
    assert ledger_keys(ledger, "sent") == ledger_keys(ledger, "acknowledged")
    assert not ledger_keys(ledger, "receipted")


async def test_streams_that_are_not_allowed_are_refused_by_their_code(mosquitto: Make) -> None:
    acl = "topic write kerbstone/v1/+/+/up/traffic/+\ntopic write kerbstone/v1/+/+/up/status\n"
    acl += "topic write kerbstone/v1/+/+/up/meta\ntopic read kerbstone/v1/#\n"
    one = mosquitto()
    one.kill()
    (one.folder / "acl").write_text(acl)
    one._conf = f"allow_anonymous true\nacl_file {one.folder}/acl\n"
    one.start()
    fleet = make_fleet(one, gateways=2, receipt_s=None, last=True, minutes=4, drain_s=0.5)
    assert await run_fleet(fleet) == "time"
    assert set(fleet.tally.refused) == {135}
    assert {each[2] for each in fleet_keys(fleet, "acknowledged")} == {"traffic"}
    assert set(fleet.tally.retained_refused) == {135}


async def test_500_real_connections_come_back_over_the_jitter(broker: Mosquitto) -> None:
    fleet = make_fleet(
        broker, gateways=500, receipt_s=None, minutes=None, minute_s=60.0, jitter_s=6.0
    )
    stop = asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    await until(lambda: fleet.online == 500)
    await asyncio.sleep(STABLE_AFTER_S + 0.5)  # or they count as failed, and wait differently
    broker.kill()
    before = broker.log.count("New client connected")
    broker.start()
    await until(lambda: fleet.tally.lost.total() == 500)
    await until(lambda: fleet.online == 500)
    stop.set()
    await running
    lines = [line for line in broker.log.splitlines() if "New client connected" in line]
    seconds = Counter(line.partition(":")[0] for line in lines[before:])
    assert sum(seconds.values()) == 500
    assert len(seconds) >= 5
    assert max(seconds.values()) < 200
    assert fleet.tally.lost.total() == 500
    assert fleet.pending == 0


def test_a_signal_ends_it_with_the_summary(broker: Mosquitto, tmp_path: Path) -> None:
    ledger = tmp_path / "sent.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "fleet", "--broker", broker.url, "--gateways", "3", "--speed", "600",
         "--jitter", "0.1", "--confirm", "broker", "--ledger", str(ledger), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    end = time.monotonic() + 60
    while broker.log.count("Received PUBLISH") < 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert (found["ending"], found["unconfirmed"]) == ("stopped", 0)
    assert len(ledger_keys(ledger, "acknowledged")) == found["sent"] > 0


def test_each_gateway_has_a_user_of_its_own(kerbstone: Command, mosquitto: Make) -> None:
    """As brokers of a city have it: who is another user may write nothing here."""
    one = mosquitto()
    one.kill()
    (one.folder / "acl").write_text("pattern readwrite kerbstone/v1/+/%u/#\n")
    one._conf = f"allow_anonymous true\nacl_file {one.folder}/acl\n"
    one.start()
    words = (
        "fleet", "--broker", one.url, "--gateways", "3", "--records", "20", "--speed", "600",
        "--confirm", "broker", "--jitter", "0.1", "--drain", "2", "--json", "--username",
    )  # fmt: skip
    own, same = kerbstone(*words, "{gw}"), kerbstone(*words, "gw-00001")
    assert (own.code, same.code) == (0, 1)
    assert json.loads(own.out)["refused"] == {}
    assert json.loads(same.out)["refused"].keys() == {"135"}
