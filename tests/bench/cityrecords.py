"""Records of a city, ready to be sent: gateways with eight lanes, an air sensor and a meter each,
one bundle a minute, sealed every 15 minutes.

Bodies are the contract's examples, with counts that differ from record to record.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge.core import Envelope, Record, RecordKey, Stream
from edge.fleet.street import Street
from edge.uplink.manifests import Manifests
from edge.wire import Topics, encode
from edge.wire.clockmoments import Moment
from edge.wire.records import HEADER_KEYS
from tests.kit.asread import as_read
from tests.kit.clock import NTP

LANES: Final = 8
SEAL_BUNDLES: Final = 15
S: Final = 1_000_000_000
NOON: Final = 1_795_608_000 * S  # 2026-11-25T12:00:00Z
BOOT: Final = 7
EXAMPLES: Final = Path(__file__).parents[2] / "docs/contract/examples"


class CityMessage(NamedTuple):
    topic: str
    payload: bytes
    content_type: str


def _body(name: str) -> dict[str, Any]:
    payload = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))[0]["payload"]
    return {key: value for key, value in payload.items() if key not in HEADER_KEYS}


LANE, AIR, ENERGY = _body("lane"), _body("air"), _body("energy")


def _energy(minute: int) -> dict[str, Any]:
    """The register goes on from where it stood a minute ago."""
    grown = {
        **ENERGY["points"]["energy_import"], "first": round(1000 + 0.05 * (minute - 1) + 0.001, 3),
        "last": round(1000 + 0.05 * minute, 3), "delta": 0.05,
    }  # fmt: skip
    return {**ENERGY, "points": {**ENERGY["points"], "energy_import": grown}}


def bundles(
    gateways: int, minutes: int, street: Street | None = None
) -> Iterator[list[CityMessage]]:
    """What each gateway in turn sends for a minute; bodies of `street`, if it is given."""
    city = [_Gateway(number, street) for number in range(gateways)]
    for _ in range(minutes):
        for each in city:
            yield each.minute()


class _Gateway:
    def __init__(self, number: int, street: Street | None) -> None:
        self._name, self._number, self._street = f"gw-{number:05d}", number, street
        self._topics = Topics("kerbstone/v1", "mitte", self._name)
        self._epoch = (7 << 32) + number
        self._seq: dict[Stream, int] = {}
        self._minutes = 0
        self._manifests = Manifests()
        self._random = random.Random(number)

    def minute(self) -> list[CityMessage]:
        start, end = self._minutes * 60 * S, (self._minutes + 1) * 60 * S
        self._minutes += 1
        made = [
            self._message(stream, source, start, end, body) for stream, source, body in self._said()
        ]
        if self._minutes % SEAL_BUNDLES == 0:
            for draft in self._manifests.due(end, all_=True):
                body = as_read(draft)
                made.append(self._message(Stream.MANIFEST, draft.source, end, end, body))
        return made

    def _said(self) -> Iterator[tuple[Stream, str, dict[str, Any]]]:
        if street := self._street:
            for place, (stream, source) in enumerate(
                zip(street.streams, street.sources, strict=True)
            ):
                yield stream, source, dict(street.body(self._number, self._minutes, place))
            return
        for lane in range(LANES):
            source, chance = f"lane_{lane}", self._random
            counted = {
                "lane": source, "volume": chance.randrange(40),
                "on_us": chance.randrange(20_000_000), "occupancy": round(chance.random(), 4),
            }  # fmt: skip
            yield Stream.TRAFFIC, source, {**LANE, **counted}
        yield Stream.AIR, "hut", AIR
        yield Stream.ENERGY, "mains", _energy(self._minutes)

    def _message(
        self, stream: Stream, source: str, start: int, end: int, body: dict[str, Any]
    ) -> CityMessage:
        self._seq[stream] = self._seq.get(stream, 0) + 1
        key = RecordKey(self._epoch, stream, self._seq[stream])
        record = Record(key, source, BOOT, start, end, body)
        if stream is not Stream.MANIFEST:
            self._manifests.handed(record, Moment(BOOT, 0, NOON // 1000, NTP))
        envelope = Envelope(NOON + start, NOON + end, NTP)
        data, content_type = encode(record, envelope, self._name, "msgpack")
        return CityMessage(self._topics.record(stream, source), data, content_type)
