"""`kerbstone receipts` as a process, against mosquitto and a gateway that waits for receipts."""

import asyncio
import contextlib
import json
import random
import shlex
import signal
import subprocess
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core import Stream
from edge.platform.ledger import merge_numbers
from edge.platform.openstore import open_store
from edge.platform.recordingest import encode_receipts_of
from edge.wire import JSON, Payload, Topics, decode_receipts, encode
from tests.kit.broker import Make
from tests.kit.platform import COMMAND, ROOT, gateway
from tests.kit.platform import platform as receiving
from tests.kit.records import E1, E2, GW, TOPICS, entry, envelope, record, sealed
from tests.kit.waiting import until
from tests.long import more, one_in, size
from tests.platform.formerstore import write_former

# as the city's broker ought to be: what was acknowledged is on the disk
DURABLE = "allow_anonymous true\nmax_queued_messages 0\n"
OTHER = {"x": "another content"}


def long_session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 3600
    return properties


def kept(store: Path) -> set[tuple[int, str, int]]:
    reader = open_store(store, write=False)
    found = {each.key[1:] for gw, _ in reader.gateways() for each in reader.records(gw)}
    reader.close()
    return found


async def end_of(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("name", ["store.db", "store.jsonl"])
async def test_what_is_stored_is_receipted_once_more_when_it_comes_again(
    mosquitto: Make, tmp_path: Path, name: str
) -> None:
    broker, store = mosquitto(), tmp_path / name
    with receiving(broker, store, "--json") as process:
        async with gateway(broker) as sender:
            made = [record(n) for n in range(1, 31)]
            made += [
                record(1, stream=Stream.EVENT, source="gateway", at=(5, 5), body={"event": "x"})
            ]
            made += [record(1, epoch=E2, at=(9000, 9060))]
            for one in made:
                await sender.publish(one)
            await sender.put(TOPICS.status, Payload(b'{"v":1,"gw":"%s"}' % GW.encode(), JSON), True)
            wanted = {(m.key.epoch, str(m.key.stream), m.key.seq) for m in made}
            await until(lambda: sender.receipted == wanted)
            assert kept(store) == wanted, "what has a receipt is in the store"
            sender.receipted.clear()
            for one in made[:3]:
                await sender.publish(one, "json", redelivered=True, backfilled=True)
            await until(lambda: len(sender.receipted) == 3)
        process.send_signal(signal.SIGTERM)
        code, out, err = await end_of(process)
    assert code == 0, err
    counts = json.loads(out.splitlines()[-1])
    assert (counts["stored"], counts["repeats"], counts["conflicts"]) == (32, 3, 0)
    assert counts["others"] == 0, "the broker keeps what is no record"
    assert counts["receipts"] == sender.messages
    assert "Traceback" not in err
    assert "\r" not in err, "no progress in a pipe"


async def test_a_conflict_is_stored_receipted_and_a_finding(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, store = mosquitto(), tmp_path / "store.db"
    with receiving(broker, store) as process:
        async with gateway(broker) as sender:
            await sender.publish(record(1))
            await until(lambda: len(sender.receipted) == 1)
            sender.receipted.clear()
            await sender.publish(record(1, body=OTHER))
            await until(lambda: len(sender.receipted) == 1)
        process.send_signal(signal.SIGTERM)
        code, out, err = await end_of(process)
    assert code == 1
    assert "1 conflicts" in out
    assert f"{GW} {E1}/air/1" in err
    reader = open_store(store, write=False)
    assert [each.sent()["x"] for each in reader.records(GW)] == [1]
    assert [each.sent()["x"] for each in reader.conflicts(GW)] == [OTHER["x"]]
    reader.close()


async def test_what_cannot_be_read_has_no_receipt(mosquitto: Make, tmp_path: Path) -> None:
    broker, store = mosquitto(), tmp_path / "store.jsonl"
    with receiving(broker, store, "--filter", "kerbstone/v1/#") as process:
        async with gateway(broker) as sender:
            await sender.put(f"{TOPICS.up}/air/hut", Payload(b"\x81\xa1v\x02", JSON))
            await sender.put(f"{TOPICS.down}/cmd/status", Payload(b"{}", JSON))
            for n in (1, 2):  # before the second one it has heard its own receipt of the first
                await sender.publish(record(n))
                await until(lambda n=n: len(sender.receipted) == n)  # type: ignore[misc]
            process.send_signal(signal.SIGTERM)
            code, out, err = await end_of(process)
    assert code == 1
    assert "1 could not be read" in out, (out, err)
    assert sender.messages == 2


async def test_with_another_prefix_what_lies_below_the_usual_one_is_nobodys(
    mosquitto: Make, tmp_path: Path
) -> None:
    """Levels are counted behind it, whatever its own are called."""
    broker, store, prefix = mosquitto(), tmp_path / "store.db", "a/up"
    other = Topics(prefix, "stadt", GW)
    words = ["--prefix", prefix, "--filter", "#", "--json"]
    with receiving(broker, store, *words) as process:
        async with gateway(broker) as sender, gateway(broker, other) as at_home:
            payload = encode(record(1), envelope(record(1)), GW, "json")
            for branch in (TOPICS.up, f"kerbstone/v1/{other.up}", f"{other.up}/stadt/{GW}/up"):
                await sender.put(f"{branch}/air/hut", payload)
            await at_home.put(f"{other.up}/air/hut", payload)
            await until(lambda: at_home.receipted == {(E1, "air", 1)})
            assert sender.receipted == set()
        process.send_signal(signal.SIGTERM)
        code, out, _ = await end_of(process)
    assert code == 1
    counts = json.loads(out)
    assert (counts["stored"], counts["repeats"], counts["undecodable"]) == (1, 0, 3)


async def test_a_second_process_on_the_same_store_is_refused(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, store = mosquitto(), tmp_path / "store.db"
    command = [*COMMAND, "receipts", "--broker", broker.url, "--store", str(store)]
    with receiving(broker, store) as process:
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, cwd=ROOT, timeout=60
        )
        assert process.poll() is None
    assert done.returncode == 2, done.stderr
    assert "another" in done.stderr


async def test_what_came_while_nobody_was_there_is_stored(mosquitto: Make, tmp_path: Path) -> None:
    """The session is persistent, and its name is the store's."""
    broker, store = mosquitto(DURABLE), tmp_path / "store.db"
    with receiving(broker, store, "--for", "0.2") as process:
        assert (await end_of(process))[0] == 0
    async with gateway(broker) as sender:
        for n in range(1, 11):
            await sender.publish(record(n))
        assert not sender.receipted
        with receiving(broker, store):
            await until(lambda: len(sender.receipted) == 10)


async def test_a_manifest_is_proved_while_nothing_else_comes(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, path = mosquitto(), tmp_path / "store.db"

    def proved() -> list[str]:
        store = open_store(path, write=False)
        with contextlib.closing(store):
            return [stream for _, stream, _ in store.proofs(GW)]

    with receiving(broker, path):
        async with gateway(broker) as sender:
            for each in sealed(record(1), record(2)):
                await sender.publish(each)
            await until(lambda: proved() == ["air", "manifest"])


async def test_what_an_earlier_version_has_subscribed_is_left(
    mosquitto: Make, tmp_path: Path
) -> None:
    """The session is the same, and would bring every retained copy."""
    broker, store = mosquitto(DURABLE), tmp_path / "store.db"
    former = aiomqtt.Client("127.0.0.1", broker.port, identifier="city", clean_start=False,
        protocol=aiomqtt.ProtocolVersion.V5, properties=long_session())  # fmt: skip
    async with former as client:
        await client.subscribe([("kerbstone/v1/+/+/up/+", 1), ("kerbstone/v1/+/+/up/+/+", 1)])
    status = Payload(b'{"v":1,"gw":"%s"}' % GW.encode(), JSON)
    with receiving(broker, store, "--json", "--client-id", "city") as process:
        async with gateway(broker) as sender:
            await until(lambda: "Sending UNSUBACK to city" in broker.log)
            await sender.put(TOPICS.status, status)
            await sender.publish(record(1))
            await until(lambda: len(sender.receipted) == 1)
        process.send_signal(signal.SIGTERM)
        code, out, err = await end_of(process)
    assert code == 0, err
    assert (json.loads(out)["stored"], json.loads(out)["others"]) == (1, 0)


async def test_a_broker_that_comes_back_is_listened_to_again(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, store = mosquitto(), tmp_path / "store.db"
    with receiving(broker, store) as process:
        async with gateway(broker) as sender:  # it listens: a SUBACK that is sent may not be read
            await sender.publish(record(1))
            await until(lambda: len(sender.receipted) == 1)
        before = broker.log.count("Sending SUBACK")
        broker.kill()
        broker.start()
        await until(lambda: broker.log.count("Sending SUBACK") > before)
        async with gateway(broker) as sender:
            await sender.publish(record(2))
            await until(lambda: len(sender.receipted) == 1)
        process.send_signal(signal.SIGTERM)
        code, _, err = await end_of(process)
    assert code == 0
    assert "trying again" in err


async def test_a_store_of_an_earlier_version_is_converted_and_that_is_said(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, store = mosquitto(), tmp_path / "store.db"
    write_former(store, [entry(record(n)) for n in range(1, 300)])
    with receiving(broker, store, "--json") as process:
        async with gateway(broker) as sender:
            for n in (299, 300):
                await sender.publish(record(n))
            await until(lambda: len(sender.receipted) == 2)
        process.send_signal(signal.SIGTERM)
        code, out, err = await end_of(process)
    assert (code, json.loads(out)["stored"], json.loads(out)["repeats"]) == (0, 1, 1)
    assert err.count("is converted in place") == 1
    assert "\r" not in err, "no progress in a pipe"
    assert len(kept(store)) == 300


@one_in(2)
@more
@pytest.mark.parametrize("name", ["store.db", "store.jsonl"])
async def test_kill_9_loses_nothing_that_has_a_receipt(
    mosquitto: Make, tmp_path: Path, name: str
) -> None:
    """Killed again and again while records come; the gateway sends again what has no receipt."""
    broker, store = mosquitto(DURABLE), tmp_path / name
    rng = random.Random(4)
    made = [record(n) for n in range(1, 1201)]
    async with gateway(broker) as sender:

        async def send() -> None:
            again = False
            while len(sender.receipted) < len(made):
                for one in made:
                    if (one.key.epoch, "air", one.key.seq) not in sender.receipted:
                        await sender.publish(one, redelivered=again)
                await asyncio.sleep(0.2)  # the patience of this gateway
                again = True

        sending = asyncio.create_task(send())
        for _ in range(size(3, 5)):
            with receiving(broker, store) as process:
                seen = len(sender.receipted) + rng.randrange(1, 150)
                await until(lambda: sending.done() or len(sender.receipted) >= seen)  # noqa: B023
                process.kill()
                await asyncio.to_thread(process.wait)
                held = kept(store)
                assert sender.receipted <= held, "a receipt for what is not stored"
        with receiving(broker, store) as process:
            await sending
            process.send_signal(signal.SIGTERM)
            code, _, err = await end_of(process)
    assert code == 0, err
    assert kept(store) == sender.receipted == {(E1, "air", n) for n in range(1, 1201)}


@pytest.mark.parametrize("name", ["store.db", "store.jsonl"])
async def test_kill_9_loses_nothing_that_the_broker_had(
    mosquitto: Make, tmp_path: Path, name: str
) -> None:
    """The gateway confirms by the broker's word: it sends each record once, and never again."""
    broker, store = mosquitto(DURABLE), tmp_path / name
    rng = random.Random(5)
    with receiving(broker, store, "--for", "0.2", "--client-id", "city") as process:
        assert (await end_of(process))[0] == 0
    wanted = {(E1, "air", n) for n in range(1, 1201)}
    async with gateway(broker) as sender:

        async def send() -> None:
            for n in range(1, 1201):
                await sender.publish(record(n))

        sending = asyncio.create_task(send())
        for _ in range(size(3, 8)):
            with receiving(broker, store, "--client-id", "city") as process:
                seen = len(sender.receipted) + rng.randrange(1, 150)
                await until(lambda: sending.done() or len(sender.receipted) >= seen)  # noqa: B023
                await asyncio.sleep(rng.random() / 50)  # anywhere between arrival and commit
                process.kill()
                await asyncio.to_thread(process.wait)
            assert sender.receipted <= kept(store), "a receipt for what is not stored"
            acknowledged = broker.log.count("Received PUBACK from city")
            assert acknowledged <= len(kept(store)), "acknowledged before it was stored"
        with receiving(broker, store, "--client-id", "city") as process:
            await sending
            await until(lambda: sender.receipted == wanted)
            process.send_signal(signal.SIGTERM)
            code, _, err = await end_of(process)
    assert code == 0, err
    assert kept(store) == wanted


async def test_what_is_refused_is_acknowledged_when_it_is_written_down(
    mosquitto: Make, tmp_path: Path
) -> None:
    """Or it would come again for ever, and take the place of others."""
    broker, store = mosquitto(DURABLE), tmp_path / "store.db"
    topic = f"{TOPICS.up}/air/hut"
    foreign = encode(record(3), envelope(record(3)), "gw-evil", "json")
    words = ["--client-id", "city", "--idle", "0.3", "--json"]
    with receiving(broker, store, *words) as process:
        async with gateway(broker) as sender:
            await sender.put(topic, foreign)
            await sender.put(topic, Payload(b"\x81", JSON))
            code, out, _ = await end_of(process)
    counts = json.loads(out)
    assert (code, counts["foreign"], counts["undecodable"]) == (1, 1, 1)
    assert broker.log.count("Received PUBACK from city") == 2
    with receiving(broker, store, *words) as process:
        code, out, _ = await end_of(process)
    assert (code, json.loads(out)["commits"]) == (0, 0), "none came again"


@one_in(2)
@pytest.mark.parametrize("name", ["store.db", "store.jsonl"])
async def test_a_store_that_is_full_ends_it_and_nothing_more_is_receipted(
    mosquitto: Make, tmp_path: Path, name: str
) -> None:
    """The limit of a file's size stands for a full disk."""
    broker, store = mosquitto(), tmp_path / name
    words = shlex.join(
        [*COMMAND, "receipts", "--broker", broker.url, "--store", str(store), "--json"]
    )
    process = await asyncio.to_thread(
        lambda: subprocess.Popen(
            ["sh", "-c", f"ulimit -f 1500; exec {words}"], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    )  # fmt: skip
    await until(lambda: "Sending SUBACK" in broker.log)
    async with gateway(broker) as sender:
        for n in range(1, 81):
            await sender.publish(record(n, body={"long": f"{n}" * 10_000}))
            if n == 5:
                await until(lambda: len(sender.receipted) == 5)
        code, out, err = await end_of(process)
        counts = json.loads(out.splitlines()[-1])
        await until(lambda: sender.messages == counts["receipts"])
    assert code == 3, err
    assert "gateways keep records" in err
    assert "Traceback" not in err
    assert 5 <= len(sender.receipted) < 80
    assert sender.receipted <= kept(store)
    with receiving(broker, store) as again:  # with room it goes on
        async with gateway(broker) as sender:
            await sender.publish(record(99, body={"long": "short"}))
            await until(lambda: (E1, "air", 99) in sender.receipted)
        assert again.poll() is None


def test_receipts_are_few_and_their_ranges_merged() -> None:
    entries = [entry(record(n)) for n in (5, 1, 2, 3, 9, 2)]
    entries += [entry(record(1, stream=Stream.ENERGY)), entry(record(1, epoch=E2))]
    ((topic, payload),) = encode_receipts_of(entries)
    assert topic == Topics("kerbstone/v1", "stadt", GW).receipt
    found = {(r.epoch, r.stream): r.ranges for r in decode_receipts(payload.data, GW)}
    assert found == {
        (E1, "air"): ((1, 3), (5, 5), (9, 9)),
        (E1, "energy"): ((1, 1),),
        (E2, "air"): ((1, 1),),
    }
    assert merge_numbers([]) == ()
