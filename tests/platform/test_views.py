"""What people read of a city in SQL: tables by kind and views on them, on a real server."""

from collections.abc import Iterator
from typing import Any

import msgpack
import psycopg
import pytest

from edge.core import Stream
from edge.fleet.street import AIR_POINTS, METER_POINTS, Street
from edge.platform.openstore import open_store
from edge.platform.postgres import names
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.platform.recordstore import RecordStore
from edge.process.gaugewindow import GaugeWindow
from edge.wire import decode
from edge.wire.contract.bay import Bay
from edge.wire.contract.body import body_map
from edge.wire.contract.event import SensorFault
from edge.wire.contract.health import Health
from tests.kit.bodies import lane
from tests.kit.postgres import PostgresServer
from tests.kit.records import GW, entry, record


class City:
    """A store, and what its views say."""

    def __init__(self, url: str) -> None:
        self.store: RecordStore = open_store(url, write=True)
        self._db = psycopg.connect(
            url, options="-c timezone=UTC -c search_path=city", autocommit=True
        )

    def put(self, *entries: ReceivedRecord) -> list[str]:
        """Why each is in no table by kind."""
        return [done.unfit for done in self.store.commit(entries, [])]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._db.execute(query.encode()).fetchall()

    def close(self) -> None:
        self.store.close()
        self._db.close()


@pytest.fixture
def city(postgres: PostgresServer) -> Iterator[City]:
    made = City(postgres.database())
    yield made
    made.close()


def traffic(seq: int, **said: Any) -> ReceivedRecord:
    return sent(seq, Stream.TRAFFIC, "north_1", {**body_map(lane()), **said})


def sent(
    seq: int, stream: Stream, source: str, body: Any, encoding: str = "msgpack"
) -> ReceivedRecord:
    made = record(seq, stream=stream, source=source, body=dict(body))
    return entry(made, encoding=encoding)


def fault(seq: int, *, since_s: float, **said: Any) -> ReceivedRecord:
    """At the end of minute `seq`."""
    body = body_map(SensorFault(state="on", fault="chatter", text="x", since_s=since_s))
    made = record(seq, stream=Stream.EVENT, source="north_1", at=(seq * 60, seq * 60),
        body={**body, **said})  # fmt: skip
    return entry(made, encoding="json")


def test_all_that_a_street_says_is_in_a_view(city: City) -> None:
    street = Street(4, seed=1)
    entries = [
        sent(place + 1, stream, source, street.body(7, 30_000_000, place))
        for place, (stream, source) in enumerate(zip(street.streams, street.sources, strict=True))
    ]
    assert not any(city.put(*entries))
    found = {row[0]: row[1:] for row in city.rows(
        "SELECT lane, volume, occupancy, speed_kmh, space_mean_speed_kmh, length_m FROM lane_minute"
    )}  # fmt: skip
    assert set(found) == set(street.lanes)
    for place, name in enumerate(street.lanes):
        body = street.body(7, 30_000_000, place)
        volume, occupancy, speed, harmonic, length = found[name]
        assert volume == body["volume"]
        assert occupancy == pytest.approx(body["occupancy"], abs=1e-4)
        assert speed == pytest.approx(body["speed"]["mean"], abs=0.06)
        assert harmonic == pytest.approx(body["speed"]["harmonic"], abs=0.06)
        assert length == pytest.approx(body["length"]["mean"])
    air = street.body(7, 30_000_000, 4)["points"]
    points = city.rows("SELECT point, mean, min, max, n, flaw FROM air_minute")
    assert {point for point, *_ in points} == set(AIR_POINTS)
    for point, mean, low, high, n, flaw in points:
        gauge = air[point]
        assert (mean, n, flaw) == (gauge["mean"], gauge["n"], None)
        assert (low, high) == (pytest.approx(gauge["min"]), pytest.approx(gauge["max"]))
    meter = street.body(7, 30_000_000, 5)["points"]
    readings = city.rows("SELECT point, mean, reading, delta FROM energy_reading")
    assert {row[0] for row in readings} == {*METER_POINTS, "energy_import"}
    (register,) = [row[1:] for row in readings if row[0] == "energy_import"]
    wanted = meter["energy_import"]
    assert register == (None, wanted["last"], wanted["delta"])


def test_each_row_leads_back_to_its_record(city: City) -> None:
    city.put(traffic(1), traffic(2))
    assert city.rows("""
        SELECT r.source, length(r.payload) > 0 FROM lane_minute AS m
        JOIN kerbstone.gateway AS g USING (gw)
        JOIN kerbstone.ledger AS l ON (l.gateway, l.epoch, l.stream) = (g.id, m.epoch, 'traffic')
        JOIN kerbstone.record AS r ON (r.ledger, r.seq, r.received) = (l.id, m.seq, m.received)
    """) == [("north_1", True)] * 2  # fmt: skip


def test_a_repeat_and_a_conflict_change_nothing(city: City) -> None:
    first, other = traffic(1, volume=5), traffic(1, volume=9)
    for group in ([first, first, other], [other], [first]):
        city.put(*group)
        assert city.rows("SELECT volume FROM lane_minute") == [(5,)]
        assert city.rows("SELECT windows, volume FROM lane_hour") == [(1, 5)]


def test_what_is_doubted_since_is_null_with_the_reason(city: City) -> None:
    city.put(fault(4, since_s=90, part="lead"))
    city.put(*(traffic(seq, volume=5) for seq in range(1, 7)))
    assert city.rows("SELECT seq, volume, doubted FROM lane_minute ORDER BY seq") == [
        (1, 5, None), (2, 5, None), (3, None, "lead chatter"), (4, None, "lead chatter"),
        (5, 5, None), (6, 5, None),
    ]  # fmt: skip
    assert city.rows("SELECT windows, volume, counted_s, doubted FROM lane_hour") == [
        (6, 20, 240.0, "lead chatter")
    ]
    assert city.rows("SELECT doubted FROM lane_day") == [("lead chatter",)]


def test_a_doubted_trail_loop_leaves_what_the_lead_loop_counted(city: City) -> None:
    speed = Street(1, seed=1).body(1, 1, 0)["speed"]
    city.put(traffic(1, volume=5, speed=speed), fault(1, since_s=60, part="trail"))
    assert city.rows("SELECT volume, speed_kmh, speed_n, doubted FROM lane_minute") == [
        (5, None, None, "trail chatter")
    ]


def test_bays_events_and_health(city: City) -> None:
    bay = Bay(
        bay="b1", kind="loading", covered_s=60.0, occupied_us=30_000_000, occupancy=0.5, arrivals=1,
        departures=0, stay=None, overstays=0, overstay_us=None, occupied=1, since_s=30.0,
        quality={"good": 1}, health="ok",
    )  # fmt: skip
    health = Health(uptime_s=5.0, queue_rows=3, cpu_temperature=51.5, connected=True)
    city.put(
        sent(1, Stream.BAY, "b1", body_map(bay)),
        sent(1, Stream.HEALTH, "gateway", body_map(health)),
        fault(1, since_s=60),
    )
    assert city.rows("SELECT bay, kind, occupied_s, arrivals, occupied FROM bay_minute") == [
        ("b1", "loading", 30.0, 1, True)
    ]
    assert city.rows("SELECT kind, state, detail, part, text FROM event") == [
        ("sensor_fault", "on", "chatter", None, "x")
    ]
    health_row = (
        "SELECT uptime_s, queue_rows, cpu_temperature, connected, errors FROM gateway_health"
    )
    assert city.rows(health_row) == [(5.0, 3, 51.5, True, None)]


def test_completeness_is_a_query(city: City) -> None:
    city.put(traffic(1), traffic(2), traffic(9, covers=[[5, 9, 2]]))
    assert city.rows(
        "SELECT gw, stream, highest, numbers, covered, missing, gaps FROM completeness"
    ) == [(GW, "traffic", 9, 3, 2, 4, "{[3,5),[6,7),[8,9)}")]


def broken(first: ReceivedRecord, **said: Any) -> ReceivedRecord:
    payload = msgpack.packb(msgpack.unpackb(first.payload) | said)
    (message,) = decode(first.topic, payload, first.content_type)
    return make_received(message, first.topic, payload, first.content_type, first.received)


@pytest.mark.parametrize(
    "said",
    [
        {"volume": "many"}, {"volume": 1 << 40}, {"volume": -1}, {"covered_s": 1e300},
        {"quality": {"good": "x"}}, {"speed": {"n": 1}}, {"speed": []}, {"health": "x" * 99},
        {"headway": {"mean": 1e300}}, {"p_congested": -1e300},
        {"points": {"a": 7}}, {"points": {"x" * 65: {"quality": {}}}},
        {"points": {str(n): {"quality": {}} for n in range(300)}},
    ],
)  # fmt: skip
def test_a_body_of_another_shape_is_stored_and_in_no_table(city: City, said: Any) -> None:
    (why,) = city.put(broken(traffic(1), **said))
    assert why
    assert [each.key[3] for each in city.store.records(GW)] == [1]
    assert city.rows("SELECT 1 FROM lane_minute") == []
    assert city.put(traffic(2)) == [""], "others are unharmed"


@pytest.mark.parametrize(
    "said",
    [
        {"health": "a\0b"}, {"from": "0001-01-01T00:00:00.000+14:00"},
        {"from": "9999-12-31T23:59:59Z"},
        {"to": "9999-12-31T23:59:59Z"}, {"from": "1970-01-01T00:00:00Z"}, {"new_field": {"a": [1]}},
        {"points": {"a\0b": {"quality": {"bad:\0": 1}, "mean": 1e308}}},
        {"covers": [[1, 1 << 52, 1]]}, {"covers": "all"},
    ],
)  # fmt: skip
def test_strange_values_harm_nothing(city: City, said: Any) -> None:
    assert len(city.put(broken(traffic(1), **said), traffic(2))) == 2
    assert len(list(city.store.records(GW))) == 2
    city.rows("SELECT * FROM lane_day")


def test_a_fault_since_before_the_calendar_began_is_no_fault_of_the_city(city: City) -> None:
    first = fault(1, since_s=900_000_000)
    city.put(
        broken(entry_as_msgpack(first), **{"from": "0001-01-01T00:00:00Z"}), fault(2, since_s=1e9)
    )
    assert len(city.rows("SELECT 1 FROM event")) == 2


def entry_as_msgpack(first: ReceivedRecord) -> ReceivedRecord:
    payload, kind = msgpack.packb(first.sent()), "application/vnd.kerbstone.record+msgpack"
    (message,) = decode(first.topic, payload, kind)
    return make_received(message, first.topic, payload, kind, first.received)


def test_a_gateway_that_invents_names_is_bounded(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "SOURCES_LIMIT", 5)
    monkeypatch.setattr(names, "LISTS_LIMIT", 2)
    why = city.put(*(sent(n, Stream.TRAFFIC, f"lane{n}", body_map(lane())) for n in range(1, 9)))
    assert [bool(each) for each in why] == [False] * 5 + [True] * 3
    gauge = body_map(GaugeWindow(AIR_POINTS["co2"][0]).body())
    bodies = [{"covered_s": 60.0, "points": {f"p{n}": gauge}} for n in range(4)]
    why = city.put(*(sent(n + 1, Stream.AIR, "lane1", body) for n, body in enumerate(bodies)))
    assert [bool(each) for each in why] == [False] * 2 + [True] * 2
