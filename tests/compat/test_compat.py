"""A box that runs this version goes on from what each former one has left on its disk."""

import asyncio
import shutil
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.gateway.lastgood import LastGood
from edge.link.linkstate import LinkStateFile
from edge.outbox import Outbox, StoredRecord
from edge.platform.resendrequest import request_resend
from edge.platform.subscription import parse_source
from edge.process.merge import merge_bodies
from edge.wire import Receipt, Topics, encode_receipts
from tests.compat import reader
from tests.compat.box import Box
from tests.compat.reader import Row
from tests.compat.versions import VERSIONS, manifest, unpack
from tests.compat.wires import Wires
from tests.kit.broker import BINARY, Mosquitto
from tests.kit.clock import VirtualClock

Key = tuple[int, str, int]
S: Final = 1_000_000_000
AWAY_NS: Final = 60 * S  # between the kill and the next start: the window has ended meanwhile
BOXES: Final = ("street", "full", "ill")
PARTS: Final = (
    "street",
    pytest.param("full", marks=pytest.mark.long),
    pytest.param("ill", marks=pytest.mark.long),
)
each_version = pytest.mark.parametrize("version", VERSIONS)


def waiting(folder: Path, owner: str) -> tuple[list[Row], reader.Journal]:
    """What a box has not been rid of, on the card or in memory; and what it knows of it."""
    rows = {row.id: row for row in reader.read_outbox(folder / "store/outbox.db").rows}
    if (log := folder / "run/commit.log").exists():
        rows |= {row.id: row for row in reader.rows_of_log(reader.read_commit_log(log))}
    journal = reader.read_journal(folder / "run/delivery.journal", owner)
    return [row for row in rows.values() if row.id not in journal.confirmed], journal


def logged_states(folder: Path) -> dict[str, tuple[int, bytes]]:
    """States that are newer than those on the card."""
    log = folder / "run/commit.log"
    frames = reader.read_commit_log(log)[1:] if log.exists() else []
    return {owner: (number, data) for f in frames for owner, (number, data) in f["states"].items()}


# -- what lies there is what was written -----------------------------------------------------------


@each_version
@pytest.mark.parametrize("part", BOXES)
def test_a_folder_is_as_its_manifest_says(version: str, part: str, tmp_path: Path) -> None:
    told, folder = manifest(version)[part], unpack(version, part, tmp_path)
    store, run, owner = folder / "store", folder / "run", told["owner"]
    outbox = reader.read_outbox(store / "outbox.db")
    assert reader.told(outbox) == told["outbox"]
    assert reader.read_epochs(store / "epochs") == told["epochs"]
    assert reader.read_epochs(run / "epochs") == told["run_epochs"]
    assert reader.read_highwater(store / "highwater", owner) == told["highwater"]
    assert reader.read_highwater(run / "highwater", owner) == told["run_highwater"]
    assert reader.read_start_history(folder / "state/start_history") == told["start_history"]
    if "journal" in told:
        found, rows = (
            reader.read_journal(run / "delivery.journal", owner),
            {r.id for r in outbox.rows},
        )
        counts = {"confirmed": len(found.confirmed & rows), "sent": len(found.sent & rows)}
        assert told["journal"] == {**counts, "rows": len(rows)}
    if "stage" in told:
        stage = reader.read_stage(run)
        assert reader.told_of_stage(stage, outbox.state("app")["segment"]) == told["stage"]
    if "commit_log" in told:
        logged = reader.rows_of_log(reader.read_commit_log(run / "commit.log"))
        assert len(logged) == told["commit_log"]["rows"] > 0
        assert reader.digest([row[1:] for row in logged]) == told["commit_log"]["digest"]


# -- the outbox, without a daemon ------------------------------------------------------------------


@each_version
@pytest.mark.parametrize("part", BOXES)
def test_an_outbox_gives_each_row_and_its_states(version: str, part: str, tmp_path: Path) -> None:
    told, folder = manifest(version)[part], unpack(version, part, tmp_path)
    known, logged = reader.read_outbox(folder / "store/outbox.db"), logged_states(folder)
    states = {**known.states, **logged}
    rows, journal = waiting(folder, told["owner"])
    outbox = Outbox.open(
        folder / "store", limit_bytes=8 << 20, boot_id=told["boot_id"], run_dir=folder / "run",
        merge=merge_bodies, ballast_bytes=0, owner=told["owner"],
    )  # fmt: skip
    epoch = outbox.begin()
    assert outbox.opened.damage is None
    assert outbox.opened.foreign is None
    assert epoch.epoch >> 32 == told["epochs"]["starts"] + 1
    assert epoch.former is not None
    assert epoch.former.epoch == told["epochs"]["epoch"]
    assert epoch.past == "known"
    assert epoch.unclean
    found: dict[int, StoredRecord] = {}
    after = 0
    while page := outbox.pending(after, 100):
        found |= {each.row: each for each in page}
        after = page[-1].row
    for row in rows:
        one = found[row.id].record
        assert (one.key.epoch, str(one.key.stream), one.key.seq) == row.key
        assert (one.source, one.boot, one.from_ns, one.to_ns) == row[4:8]
        assert one.body == row.body
        assert found[row.id].redelivered == (row.id in journal.sent)
    assert found.keys() == {row.id for row in rows}
    for owner, state in states.items():
        assert outbox.state(owner) == state, owner
    if not logged:  # else it has just gone to the disk, with a later mark
        found_marks = outbox.marks(epoch.former.boot)
        assert {(one.mono_ns, one.wall_ns, str(one.tq)) for one in found_marks} == {
            (mono_ns, wall_ns, tq) for _, _, mono_ns, wall_ns, tq in known.clock
        }
    _, dead = outbox.details()
    assert sorted((one.epoch, one.stream, one.seq, one.source) for one in dead) == sorted(
        (*row.key, row.source) for row in known.dead
    )
    outbox.close()


@each_version
@pytest.mark.parametrize("part", BOXES)
def test_after_a_power_cut_an_outbox_goes_on_in_another_boot(
    version: str, part: str, tmp_path: Path
) -> None:
    told, folder = manifest(version)[part], unpack(version, part, tmp_path)
    known = reader.read_outbox(folder / "store/outbox.db")
    shutil.rmtree(folder / "run")
    outbox = Outbox.open(
        folder / "store", limit_bytes=8 << 20, boot_id="another", merge=merge_bodies,
        ballast_bytes=0, owner=told["owner"],
    )  # fmt: skip
    epoch = outbox.begin()
    assert (outbox.opened.damage, outbox.opened.foreign) == (None, None)
    assert epoch.former is not None
    assert epoch.former.epoch == told["epochs"]["epoch"]
    assert (epoch.same_boot, epoch.boot) == (False, epoch.former.boot + 1)
    found = {each.row: each.record for each in outbox.pending(0, 1000)}
    assert {row.id: row.body for row in known.rows} == {row: r.body for row, r in found.items()}
    assert outbox.bounds(epoch.boot)[0] is not None, "what the former boot was certain of"
    outbox.close()


# -- the daemon ------------------------------------------------------------------------------------


@dataclass
class City:
    """Hears a box, and answers it."""

    client: aiomqtt.Client
    heard: dict[Key, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    async def listen(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            stream = message.topic.value.split("/")[5]
            if stream in reader.STREAMS:
                found = reader.message(message.payload)
                self.heard[found["epoch"], found["stream"], found["seq"]].append(found)

    def of(self, epoch: int, stream: str) -> list[Mapping[str, Any]]:
        """Of one start, each once."""
        return [told[0] for key, told in sorted(self.heard.items()) if key[:2] == (epoch, stream)]

    def events(self, epoch: int, kind: str) -> list[Mapping[str, Any]]:
        return [each for each in self.of(epoch, "event") if each["event"] == kind]

    async def confirm(self, gateway: str) -> None:
        """A receipt for all that has come."""
        numbers: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
        for epoch, stream, seq in sorted(self.heard):
            numbers[epoch, stream].append((seq, seq))
        receipts = [Receipt(*key, tuple(ranges)) for key, ranges in numbers.items()]
        for payload in encode_receipts(gateway, receipts):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ContentType = payload.content_type
            topic = Topics("kerbstone/v1", "compat", gateway).receipt
            await self.client.publish(topic, payload.data, 1, properties=properties)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    one = Mosquitto(tmp_path / "broker").start()
    yield one
    one.kill()


@asynccontextmanager
async def listening(broker: Mosquitto) -> AsyncIterator[City]:
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=60
    ) as client:
        city = City(client)
        for levels in ("+", "+/+"):
            await client.subscribe(f"kerbstone/v1/compat/+/up/{levels}", qos=1)
        task = asyncio.create_task(city.listen())
        try:
            yield city
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(box: Box, done: Callable[[], Any], timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert box.running, box.log.read_text()
        assert time.monotonic() < end, box.log.read_text()
        await asyncio.sleep(0.05)


@each_version
@pytest.mark.parametrize("part", PARTS)
async def test_a_box_goes_on_where_it_was_killed(
    version: str, part: str, tmp_path: Path, broker: Mosquitto
) -> None:
    told, folder = manifest(version)[part], unpack(version, part, tmp_path)
    before = reader.read_outbox(folder / "store/outbox.db")
    rows, journal = waiting(folder, told["owner"])
    gateway = told["owner"].partition("/")[2]
    with Wires(folder, loops=False) as wires:
        box = Box(folder, (folder / "site.toml").read_text(), broker.url, wires.port)
        # its own time, and not this machine's: who is up for less long never comes to its window
        end_ns = reader.read_stage(folder / "run")[-1].header["window"][1]
        box.at(end_ns + AWAY_NS, reader.wall_of(before, end_ns) + AWAY_NS)
        async with listening(broker) as city:
            try:
                box.start()
                await until(box, lambda: city.heard.keys() >= {row.key for row in rows})
                (epoch,) = {key[0] for key in city.heard} - {told["epochs"]["epoch"]}
                await until(box, lambda: city.events(epoch, "gap") and city.of(epoch, "air"))
                # what was lost is declared once somebody has confirmed, with the next commit
                await until(box, lambda: len(city.events(epoch, "drop")) >= len(before.dropped))
                check_rows(rows, journal, city)
                check_start(told, before, city, epoch)
                if "stage" in told:
                    check_stage(told, city, epoch)
                    await until(box, lambda: wires.sensor.learnt_s >= learnt_s(before) > 0)
                    await check_resend(rows, city, broker, box)
                    await city.confirm(gateway)
                box.stop()
            finally:
                box.kill()
    log = box.log.read_text()
    for word in ("cannot be read", "cannot be used", "do not fit", "damaged", "Traceback"):
        assert word not in log, log
    after = reader.read_outbox(folder / "store/outbox.db")
    assert not {row.key for row in after.rows} & {row.key for row in rows}
    assert after.meta["token"] == before.meta["token"]
    assert after.dead == before.dead
    assert after.states.keys() >= before.states.keys()


def check_rows(rows: list[Row], journal: reader.Journal, city: City) -> None:
    """Each row as it was written; none that was confirmed."""
    former = {row.epoch for row in rows}
    expected = {row.key for row in rows}
    assert {key for key in city.heard if key[0] in former} == expected
    for row in rows:
        first, *_ = city.heard[row.key]
        assert {name: first[name] for name in row.body} == row.body
        assert first["mono"] == [row.from_ns // 1000, row.to_ns // 1000]
        assert first["boot"] == row.boot
        assert bool(first.get("redelivered")) == (row.id in journal.sent)


def check_start(told: Mapping[str, Any], before: reader.OutboxFile, city: City, epoch: int) -> None:
    """A new epoch, which names the one before; and what was lost before it is declared."""
    assert epoch >> 32 == told["epochs"]["starts"] + 1
    (gap, *_) = city.events(epoch, "gap")
    assert gap["former"]["epoch"] == told["epochs"]["epoch"]
    assert sum(gap["former"]["last"].values()) == told["run_highwater"][1]
    declared = {
        (e["epoch_of"], e["stream_of"], e["reason"], *e["range"], e["count"])
        for e in city.events(epoch, "drop")
    }
    assert declared >= {tuple(each) for each in before.dropped}


def check_stage(told: Mapping[str, Any], city: City, epoch: int) -> None:
    """What the window had seen is counted, once; the time in between is reported."""
    stage = told["stage"]
    gap = city.events(epoch, "gap")[0]
    assert gap["reason"] == "restart"
    assert gap["gap"][0] == stage["mark_ns"] // 1000
    assert city.of(epoch, "traffic")[0]["volume"] == stage["contacts"]["north_1.lead"]
    energy, *_ = city.of(epoch, "energy")
    assert energy["points"]["voltage_l1"]["n"] == stage["sweeps"][energy["source"]]


def learnt_s(before: reader.OutboxFile) -> int:
    """For how long the algorithm of the gas sensor had learnt."""
    *_, kept = before.state("drivers")["learnt"]["hut_air"]
    return int.from_bytes(kept.split(b"\n", 2)[2])


async def check_resend(rows: list[Row], city: City, broker: Mosquitto, box: Box) -> None:
    """What is in the outbox goes out again when the city asks for it."""
    mine = [row for row in rows if row.stream == "air"]
    missing = {(mine[0].epoch, "air"): [(mine[0].seq, mine[-1].seq)]}
    heard = {row.key: len(city.heard[row.key]) for row in mine}
    source = parse_source(broker.url, "compat-audit")
    branch = f"kerbstone/v1/compat/{box.gateway}"
    answer = await request_resend(source, branch, missing, 30)
    gone = mine[-1].seq - mine[0].seq + 1 - len(mine)  # confirmed, among the others
    assert (answer.resent, answer.gone, answer.error) == (len(mine), gone, "")
    await until(box, lambda: all(len(city.heard[key]) > n for key, n in heard.items()))


# -- what else lies on a box -----------------------------------------------------------------------


@each_version
def test_the_last_good_configuration_runs_after_three_failed_starts(
    version: str, tmp_path: Path
) -> None:
    folder = unpack(version, "broken", tmp_path)
    assert reader.read_start_history(folder / "start_history") == manifest(version)["broken"]
    good = LastGood(folder, folder / "broken.toml")
    site = good.choose(manifest(version)["street"]["wall_ns"] // S)
    assert "the last good configuration runs" in good.fallback
    assert site.place.owner == "compat/gw-1"
    assert site.devices["hut_air"].driver == "sen55"


@each_version
def test_the_link_goes_on_with_its_months_and_its_age(version: str, tmp_path: Path) -> None:
    told, path = manifest(version)["link"], unpack(version, "link", tmp_path) / "link_state"
    assert reader.read_link_state(path) == told
    state = LinkStateFile(path, told["boot"], VirtualClock(int(told["mono_s"] * S))).load()
    assert (state.age_s, state.boots) == (told["age_s"], told["boots"])
    assert [(each.label, each.used) for each in state.months] == [
        (each["label"], each["used"]) for each in told["months"]
    ]
    assert len(state.unreported) == len(told["unreported"]) > 0
    assert not path.with_suffix(".damaged").exists()
