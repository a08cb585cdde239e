"""What gateways say of themselves, as the city's database keeps it: status, issues, description."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from edge.fleet.boxmeta import description
from edge.platform.gatewaynotice import GatewayNotice
from edge.platform.postgres import notices
from edge.platform.postgres.store import PostgresStore
from edge.platform.recordingest import RecordIngest
from edge.platform.subscription import ArrivedMessage
from tests.kit.postgres import PostgresServer
from tests.kit.records import E1, E2, GW

BRANCH = f"kerbstone/v1/stadt/{GW}"
T = 1_795_608_000_000  # 2026-11-25T12:00:00Z
ISSUE = {
    "kind": "device_fails", "about": "meter", "severity": "fault",
    "since": "2026-11-25T11:00:00.000Z", "cause": "It is silent.", "remedy": "Look at its wires.",
}  # fmt: skip


class City:
    def __init__(self, url: str) -> None:
        self.store = PostgresStore(url, write=True)
        self._db = psycopg.connect(
            url, options="-c timezone=UTC -c search_path=city", autocommit=True
        )

    def put(self, *made: GatewayNotice) -> None:
        self.store.keep_notices(made)

    def run(self, statement: str) -> None:
        self._db.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._db.execute(query.encode()).fetchall()

    @property
    def state(self) -> tuple[Any, ...]:
        """State, since when (s after T), and issues."""
        (row,) = self.rows(
            f"SELECT state, extract(epoch FROM since)::int - {T // 1000}, issues FROM gateway"
        )
        return row

    def close(self) -> None:
        self.store.close()
        self._db.close()


@pytest.fixture
def city(postgres: PostgresServer) -> Iterator[City]:
    made = City(postgres.database())
    yield made
    made.close()


def online(at_s: int, *issues: Any, epoch: int = E1) -> GatewayNotice:
    data = {"v": 1, "gw": GW, "state": "online", "boot": 1, "epoch": epoch, "tq": "ntp",
        "issues": list(issues)}  # fmt: skip
    return GatewayNotice("status", GW, BRANCH, T + at_s * 1000, data)


def offline(at_s: int) -> GatewayNotice:
    data = {"v": 1, "gw": GW, "state": "offline", "why": "lost"}
    return GatewayNotice("status", GW, BRANCH, T + at_s * 1000, data)


def meta(at_s: int, **said: Any) -> GatewayNotice:
    data = {**description(GW, "stadt", ("north_1",)), **said}
    return GatewayNotice("meta", GW, BRANCH, T + at_s * 1000, data)


def test_the_last_status_is_kept_with_its_issues(city: City) -> None:
    city.put(online(0, ISSUE))
    assert city.rows("SELECT gw, kind, about, since::text, remedy, state FROM open_issue") == [
        (GW, "device_fails", "meter", "2026-11-25 11:00:00+00", "Look at its wires.", "online")
    ]
    city.put(online(60))
    assert city.state == ("online", 0, 0), "and since when it is online"
    city.put(online(90, epoch=E2))
    assert city.state == ("online", 90, 0), "started anew"


def test_what_was_accepted_is_seen(city: City) -> None:
    said = {"state": "stale", "number": 3, "by": "Anna", "at": "2026-11-25T11:00:00.000Z",
            "sheet_sha256": "ab" * 32, "stale": ["lane:north_1"]}  # fmt: skip
    notice = online(0)
    city.put(replace(notice, data={**notice.data, "acceptance": said}))
    columns = "site, gw, state, sheet, signed_by, signed_at, sheet_sha256, stale, gateway_state"
    assert city.rows(f"SELECT {columns} FROM acceptance") == [
        ("stadt", GW, "stale", 3, "Anna", said["at"], "ab" * 32, ["lane:north_1"], "online")
    ]
    odd: list[Any] = [None, 7, "x", []]
    for strange in (*odd, {"number": "1e9"}, {"number": 10**12, "at": {"a": 1}}):
        city.put(replace(notice, published_ms=notice.published_ms + 1000,
                         data={**notice.data, "acceptance": strange}))  # fmt: skip
        assert city.rows("SELECT sheet FROM acceptance") == [(None,)]


def test_who_is_gone_keeps_its_issues(city: City) -> None:
    city.put(online(0, ISSUE), offline(30))
    assert city.state == ("offline", 30, 1)
    assert city.rows("SELECT state, why, epoch FROM gateway") == [("offline", "lost", E1)]


def test_an_older_message_that_comes_later_replaces_no_newer_one(city: City) -> None:
    """As after the death of a sink, whose messages go to another one."""
    said = [online(0, ISSUE), offline(30), online(60)]
    for order in itertools.permutations(said):
        for each in order:
            city.put(each)
        assert city.state[0] == "online"
        assert city.state[2] == 0


def test_each_change_of_a_description_is_kept_once(city: City) -> None:
    named = {"site_name": "Ring 3", "latitude": 52.5, "longitude": 13.25}
    city.put(meta(0), meta(60), meta(120, **named), meta(180, **named))
    history = city.rows("SELECT site, site_name, latitude FROM gateway_history ORDER BY since")
    assert history == [("stadt", None, None), ("stadt", "Ring 3", 52.5)]
    city.put(meta(90, site_name="Ring 2"))  # late: it goes where it belongs
    (now,) = city.rows("SELECT site, site_name, latitude, longitude, software FROM gateway")
    assert now[:4] == ("stadt", "Ring 3", 52.5, 13.25)
    assert now[4]
    points = city.rows("SELECT point, unit FROM point WHERE device = 'hut_air' ORDER BY point")
    assert ("co2", "ppm") in points
    city.put(meta(200, names={"north_1": "Nordring"}))
    assert city.rows("SELECT source, name FROM display_name") == [("north_1", "Nordring")]


def test_a_gateway_that_changes_itself_all_the_time_is_bounded(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "CHANGES_LIMIT", 3)
    for number in range(10):
        city.put(meta(number, site_name=f"name {number}"))
    assert city.rows("SELECT count(*) FROM gateway_history") == [(3,)]
    assert city.rows("SELECT site_name FROM gateway") == [("name 9",)]


@pytest.mark.parametrize(
    "said",
    [
        {"state": 7}, {"state": "online"}, {"state": "online", "epoch": -1}, {},
        {"state": "online", "epoch": 1, "boot": 1, "tq": "a\0b",
         "issues": [ISSUE | {"cause": "\0"}]},
        {"state": "online", "epoch": 1, "boot": 1, "tq": "ntp", "issues": [ISSUE | {"since": "?"}]},
        {"state": "online", "epoch": 1, "boot": 1, "tq": "ntp", "issues": "none"},
        {"state": "offline", "why": "\0" * 9999},
        {"state": "online", "epoch": 1, "boot": 1, "tq": "ntp", "x": [b"\xff", {"y": b""}]},
        {"state": "online", "epoch": 1, "boot": 1, "tq": "ntp", "x": object()},
        {"state": "offline", "why": b"\xff"},
    ],
)  # fmt: skip
def test_strange_statuses_harm_nothing(city: City, said: dict[str, Any]) -> None:
    city.put(GatewayNotice("status", GW, BRANCH, T, said), online(1))
    assert city.state[0] == "online"
    city.rows("SELECT * FROM open_issue")


@pytest.mark.parametrize(
    "said",
    [
        {"zone": 5}, {"latitude": 1e9}, {"names": "x"}, {"names": {"a": {"b": "\0"}}},
        {"devices": []}, {"devices": {"a": 5}}, {"devices": {"a": {"points": [1]}}},
        {"box": "x"}, {"site_name": "\0\ud800"}, {"names": {"a": b"\xff"}}, {"x": object()},
    ],
)  # fmt: skip
def test_strange_descriptions_harm_nothing(city: City, said: dict[str, Any]) -> None:
    city.put(meta(0, **said), meta(1))
    assert city.rows("SELECT count(*) > 0 FROM point") == [(True,)]
    city.rows("SELECT * FROM display_name")


def test_one_that_the_database_refuses_stops_no_other(city: City) -> None:
    city.run("""DO $$ BEGIN
        CREATE FUNCTION kerbstone.no_seven() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF NEW.boot = 7 THEN RAISE division_by_zero; END IF; RETURN NEW; END';
        CREATE TRIGGER no_seven BEFORE INSERT ON kerbstone.gateway_status
            FOR EACH ROW EXECUTE FUNCTION kerbstone.no_seven();
    END $$""")
    bad = replace(online(2), data={**online(2).data, "boot": 7})
    city.put(online(0, ISSUE), bad, meta(0), online(3))
    assert city.state == ("online", 0, 0)
    assert city.rows("SELECT count(*) FROM gateway_history") == [(1,)]


def test_a_moment_that_is_none_harms_nothing(city: City) -> None:
    city.put(replace(online(0), published_ms=1 << 60), replace(meta(0), published_ms=-(1 << 60)))
    city.put(online(1))
    assert city.state[0] == "online"


def test_a_message_counts_from_when_the_broker_got_it(city: City) -> None:
    ingest = RecordIngest(city.store, report=lambda _: None, keep_notices=city.store.keep_notices)
    for each, published_ms in (
        (online(0), T + 60_000), (offline(0), T + 30_000), (online(0), None), (online(0), 1 << 60),
    ):  # fmt: skip
        topic = f"{BRANCH}/up/status"
        came = ArrivedMessage(topic, json.dumps(each.data).encode(), None, False, published_ms)
        ingest.take([came], 0, (T + 90_000) * 1_000_000)
    assert city.state == ("online", 60, 0)
    assert ingest.counts.others == 4
    (heard,) = city.rows("SELECT extract(epoch FROM heard)::int FROM gateway")
    assert heard == (T // 1000 + 90,)
