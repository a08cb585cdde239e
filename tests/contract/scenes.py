"""Scenes in which running code says what it can say: records as they go out, byte by byte."""

import asyncio
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Literal

from msgspec.structs import asdict

from edge.config.model.link import MB
from edge.core import (
    Bad,
    Condition,
    Draft,
    Envelope,
    Point,
    Quantity,
    Reason,
    Record,
    RecordKey,
    Sample,
    Stamp,
    StoredBody,
    Stream,
    StreamLevel,
    TimeQuality,
    sweep,
)
from edge.gateway.boxchange import BoxChange
from edge.gateway.boxswap import AsideEpoch, SwapNote
from edge.gateway.datasaver import DataSaver
from edge.gateway.deviceconditions import DeviceConditions, condition_events
from edge.gateway.ingest import Ingest
from edge.gateway.manifestsigner import make_byte_signer, make_signer
from edge.gateway.overload import OverloadMonitor, ShedCounts
from edge.gateway.rawdrafts import make_raw_drafts
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.verbs import link_step_event
from edge.link.budget import LEVEL_TEXTS
from edge.link.linkstate import TakenStep as Taken
from edge.outbox import Epoch, PreviousStart
from edge.outbox.downsample import merge_records
from edge.outbox.drops import DROP_REASONS, DropRange, PendingDrops, storage_event_draft
from edge.platform.subscription import ArrivedMessage
from edge.process.engine import Engine
from edge.process.enginesetup import DeviceSetup, EngineSetup
from edge.process.merge import merge_bodies
from edge.uplink.manifests import Manifests
from edge.wire import Receipt, Topics, encode, encode_command, encode_json, encode_receipts
from edge.wire.clockmoments import Moment
from edge.wire.contract.boxevent import ALARMS, BOX_EVENTS, Alarm, Configuration
from tests.gateway.commissionparts import CommissionedBox
from tests.kit.asread import as_read
from tests.kit.certificates import CertificateAuthority
from tests.kit.clock import NONE, NTP, NTS, VirtualClock
from tests.kit.engine import (
    PM25,
    TEMPERATURE,
    S,
    sweeps,
)
from tests.kit.lives import GatewayLife, GatewayStorage, lived
from tests.kit.ports import CountedRetained

GW = "gw-1"
TOPICS = Topics("kerbstone/v1", "stadtmitte", GW)
EPOCH, BOOT = (7 << 32) + 2_863_311_530, 7
WALL_NS = 1_790_000_000 * S  # in September 2026
Encoding = Literal["json", "msgpack"]


def numbered(drafts: Iterable[Draft]) -> Iterator[Record]:
    """Drafts as the outbox numbers them."""
    numbers: dict[Stream, int] = {}
    for draft in drafts:
        seq = numbers[draft.stream] = numbers.get(draft.stream, 0) + 1
        key = RecordKey(EPOCH, draft.stream, seq)
        yield Record(key, draft.source, BOOT, draft.from_ns, draft.to_ns, as_read(draft))


def sent(drafts: Iterable[Draft], encoding: Encoding) -> Iterator[ArrivedMessage]:
    """The same as the sender encodes them."""
    return (arrived(record, encoding) for record in numbered(drafts))


def again(records: Iterable[Record], encoding: Encoding) -> Iterator[ArrivedMessage]:
    """Of a backlog, sent before, of a boot that never knew the time."""
    for record in records:
        begin = WALL_NS + record.from_ns
        times = Envelope(begin, WALL_NS + record.to_ns, NONE, True, True, (begin, None))
        yield _packed(record, times, encoding)


def arrived(record: Record, encoding: Encoding) -> ArrivedMessage:
    """One that goes out live."""
    times = Envelope(WALL_NS + record.from_ns, WALL_NS + record.to_ns, NTP)
    return _packed(record, times, encoding)


def _packed(record: Record, times: Envelope, encoding: Encoding) -> ArrivedMessage:
    payload = encode(record, times, GW, encoding)
    topic = TOPICS.record(record.key.stream, record.source)
    return ArrivedMessage(topic, payload.data, payload.content_type, False)


def downsampled(drafts: Iterable[Draft]) -> list[Record]:
    """Three summaries of each source as one, as an outbox without room makes them."""
    summaries: dict[tuple[Stream, str], list[Record]] = {}
    for record in numbered(drafts):
        if record.key.stream.level is StreamLevel.SUMMARY:
            summaries.setdefault((record.key.stream, record.source), []).append(record)
    return [
        reduce(lambda one, two: merge_records(one, two, merged), found[:3])
        for found in summaries.values()
        if len(found) >= 3
    ]


def merged(one: StoredBody, two: StoredBody) -> StoredBody:
    """Two bodies as one."""
    try:
        return merge_bodies(one, two)
    except ValueError as error:
        raise AssertionError(
            f"say in edge/process/merge.py how two with {list(one)} become one: {error}"
        ) from error


def others() -> list[Draft]:
    """What no street says, apart from what a box says of itself. A scene that is added here is
    compared with the contract, and captured."""
    return [*outbox(), *devices(), *raw(), *swapped()]


def swapped() -> list[Draft]:
    """Another box goes on: after a restore, and because the card was put into it."""
    epoch = Epoch(EPOCH, BOOT, False, PreviousStart(6 << 32, 6, {"air": 812}), True)
    before: dict[str, object] = {"serial": "10000000c0ffee01", "backup": None}
    restored = BoxChange(Path("/nonexistent"), "10000000c0ffee02")
    restored.restore(before)
    restored.note = SwapNote(
        backup="5eed5eed5eed5eed", backup_at="2026-09-21T08:00:00.000Z", last=True,
        restored_at="2026-09-21T09:30:00.000Z", by="anna",
        set_aside=AsideEpoch(epoch=(1 << 32) + 77, last={"air": 4, "event": 2}),
    )  # fmt: skip
    card = BoxChange(Path("/nonexistent"), "10000000c0ffee02")
    card.restore(before)
    return [*restored.events(6 * S, epoch), *card.events(6 * S, epoch)]


def outbox() -> list[Draft]:
    """What the outbox has to declare."""
    drops = PendingDrops({(EPOCH, "air", reason): DropRange(3, 9, 5) for reason in DROP_REASONS})
    drops.lose_epoch(EPOCH)
    troubles = [storage_event_draft(5 * S, on, "the disk is full") for on in (True, False)]
    return [*drops.event_drafts(4 * S), *troubles]


def devices() -> list[Draft]:
    """What devices say of themselves, and what their values say of each other."""
    before = DeviceConditions("123", {Condition.FAN: "the fan stands still"})
    reported = list(
        condition_events(
            "hut_air", before, DeviceConditions("124", {Condition.LASER: "worn"}), 9 * S
        )
    )
    return reported + contradicting()


def contradicting() -> list[Draft]:
    """A meter of which one phase is that of another meter, for five minutes."""
    keys = ("power", "power_l1", "power_l2", "power_l3")
    points = tuple(Point(key, Quantity.POWER, -30_000, 30_000) for key in keys)
    engine = Engine(EngineSetup(devices=(DeviceSetup("lamps", Stream.ENERGY, points, 1.0),)))
    engine.start(0)
    reported: list[Draft] = []
    for minute in range(10):
        whole = 3000.0 if minute < 5 else 2400.0
        rows = [(minute * 60.0 + n, (whole, 700.0, 800.0, 900.0)) for n in range(60)]
        engine.sweeps(sweeps("lamps", rows))
        reported += [d for d in engine.close((minute + 1) * 60 * S) if d.stream is Stream.EVENT]
    return reported


def raw() -> list[Draft]:
    """Batches, with everything that a column may be."""
    points = {"hut_air": (PM25.key, TEMPERATURE.key), "odd": ("word",)}
    words: list[Sample] = ["a", 1, 2.5, True]
    swept = [
        *sweeps(
            "hut_air", [(t, (Bad(Reason.CRC) if t == 3 else 9.0 + t / 7, 17.5)) for t in range(9)]
        ),
        *(sweep("odd", t * S, [value]) for t, value in enumerate(words)),
    ]
    return make_raw_drafts(points, swept, given_up=3)


def lives(folder: Path) -> list[Record]:
    """The committer's own records: a start, a kill and a restart, a reboot, alarms, faults, and
    the card in another box."""
    box = lived(GatewayStorage(folder), [(40, 400_000_000)])
    life = Synced(box, 200 * S)
    troubles(life.ingest, life.urgent)
    with tempfile.TemporaryDirectory() as other:
        life.urgent.add(accepted(Path(other)))
    life.run(207 * S)
    life.stop()
    box.reboot(0)
    GatewayLife(box, 300 * S, serial="10000000c0ffee01").run(306 * S)
    box.reboot(0)
    GatewayLife(box, 400 * S, serial="10000000c0ffee02").run(406 * S)
    return box.records


class Synced(GatewayLife):
    """One whose clock becomes known, and is set while it is trusted."""

    def now(self) -> Stamp:
        mono_ns, jump_ns = super().now().mono_ns, 3600 * S if self.now_ns > 205 * S else 0
        return Stamp(mono_ns, WALL_NS + mono_ns + jump_ns, self._trust())

    def _trust(self) -> TimeQuality:
        return NTP if self.now_ns > 202 * S else NONE


def troubles(ingest: Ingest, urgent: UrgentEvents) -> None:
    """All that ingest hears of, apart from values."""
    ingest.fault("hut_air", Reason.SILENT, "no answer")
    ingest.fault("hut_air", None, "answers again")
    ingest.line("a", Reason.FAULT, "closed", 201 * S)
    for i in range(30):
        health = {Condition.SETTINGS: "not as they should be"} if i % 2 else {}
        ingest.conditions("hut_air", "123", health)
    for kind, declared in ALARMS.items():
        assert declared.__struct_config__.tag == kind
        ingest.alarm(kind, f"what a person should hear of {kind}")
    assert set(ALARMS.values()) == {each for each in BOX_EVENTS if issubclass(each, Alarm)}
    change = Configuration(text="deaf", outcome="rolled_back", reason="deaf", digest="0123456789ab")
    urgent.add([Draft(Stream.EVENT, "gateway", 201 * S, 201 * S, change)])
    urgent.add(OverloadMonitor(191 * S).look(201 * S, ShedCounts(12 * S, 3, 250, 1)))
    _link(urgent)


def accepted(folder: Path) -> list[Draft]:
    """What a technician has signed on a box with a key, though nobody has driven over its lane."""
    cert, key = CertificateAuthority(folder).issue("gw-1")
    box = CommissionedBox(folder / "store", sign=make_byte_signer(key, cert))

    async def sign() -> None:
        await box.step("begin", by="A. Muster")
        await box.step("test", step="device:hut")
        await box.step("sign", by="A. Muster", reservations=True)

    asyncio.run(sign())
    return [replace(each, from_ns=201 * S, to_ns=201 * S) for each in box.drafts]


def _link(urgent: UrgentEvents) -> None:
    """What kerbstone-link tells the daemon."""
    reported = {
        "level": 2,
        "why": LEVEL_TEXTS[2],
        "used": 480 * MB,
        "budget": 500 * MB,
        "month": "2026-09",
    }
    DataSaver(VirtualClock(201 * S), CountedRetained(), urgent).set_level(reported)
    taken = Taken("reboot", "no broker for 40 min", "ordered", 12, 8_640_000.0)
    urgent.add([link_step_event(asdict(taken), 201 * S)])


def seals(drafts: Sequence[Draft], folder: Path) -> list[Draft]:
    """Manifests over what a street has said, signed with a device's key."""
    cert, key = CertificateAuthority(folder).issue("gw-1")
    manifests = Manifests(make_signer(key, cert))
    for record in numbered(drafts):
        manifests.handed(record, Moment(record.boot, 0, WALL_NS // 1000, NTP))
    manifests.handed(record, Moment(record.boot, 0, WALL_NS // 1000 + 1_000_000, NTS))  # again
    return manifests.due(max(draft.to_ns for draft in drafts), all_=True)


def commands() -> Iterator[tuple[str, bytes]]:
    """What comes down."""
    receipt = Receipt(EPOCH, "air", ((1, 20), (25, 25)))
    for payload in encode_receipts(GW, [receipt, replace(receipt, stream="event")]):
        yield TOPICS.receipt, payload.data
    ranges = [{"epoch": EPOCH, "stream": "air", "ranges": [[21, 24]]}]
    for verb, arguments in (("resend", {"ranges": ranges}), ("status", {})):
        payload = encode_command(GW, EPOCH, "audit-2026-09-21-1", arguments)
        yield f"{TOPICS.down}/cmd/{verb}", payload.data
    yield TOPICS.reconnect_spread, encode_json({"v": 1, "spread_s": 600})
