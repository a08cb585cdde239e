"""A hostile gateway at mosquitto with the files that ship: it is taken for nobody but itself."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edge.platform.keepquota import KEPT_PER_KIND
from edge.platform.openstore import open_store
from tests.hostile.attack import OWN, Attack, impostor_topics, shown_as
from tests.hostile.attempts import EVIL, SITE, VICTIM, attempts, record
from tests.hostile.platform import audited, listening, stored, tallied
from tests.kit.citybroker import CityBroker, running
from tests.kit.mqttclient import MqttClient
from tests.long import examples, more

Connect = Callable[[str], MqttClient]
# a broker cannot be asked again and again for the smallest failure
FEW = settings(deadline=None, database=None, phases=[Phase.generate])


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityBroker]:
    with running(tmp_path / "city") as city:
        yield city


@pytest.fixture
def client(city: CityBroker) -> Iterator[Connect]:
    """Makes clients with the certificate of a gateway; all are gone after the test."""
    made: list[MqttClient] = []

    def connect(name: str) -> MqttClient:
        tls = city.gateways.context(city.gateway(name))
        made.append(MqttClient(city.gateways.port, tls, name))
        return made[-1]

    yield connect
    for each in made:
        each.drop()


def victim(client: Connect) -> MqttClient:
    made = client(VICTIM)
    assert made.connect() == 0
    assert made.subscribe(b"#") == [1]
    return made


@more
def test_nothing_that_one_gateway_says_is_stored_receipted_audited_or_shown_as_anothers(
    city: CityBroker, client: Connect, tmp_path: Path
) -> None:
    store = tmp_path / "city.db"
    with listening(
        city.platforms, city.platform, tmp_path, "receipts", "--store", str(store)
    ) as receipts:
        attack = Attack(lambda: client(EVIL), victim(client), store)

        @settings(FEW, max_examples=examples(40))
        @given(st.lists(attempts, min_size=1, max_size=12))
        def published(found: list[tuple[str, str, bool]]) -> None:
            attack.publish(found)
            attack.judge()

        @settings(FEW, max_examples=examples(15))
        @given(attempts)
        def died(found: tuple[str, str, bool]) -> None:
            attack.will(*found)
            attack.judge()

        published()
        died()
        for topic in impostor_topics():
            attack.publish([(topic, VICTIM, True), (topic, EVIL, False)])
        attack.judge()
        assert receipts.end() == 1, "what was refused is a finding"
    print(f"{attack.allowed} were let through, {attack.refused} refused by the broker")
    assert attack.allowed > 20
    assert attack.refused > 20
    assert {gw for gw, _ in tallied(store)} <= {EVIL, ""}
    assert tallied(store)[EVIL, "foreign"] > 5
    code, lines = audited(store)
    assert code == 1
    assert {each["gw"] for each in lines if "gw" in each} <= {EVIL}
    assert any(each.get("finding") == "foreign" for each in lines)
    with listening(
        city.platforms, city.platform, tmp_path, "subscribe", "--json", "--filter", "#"
    ) as shown:
        for topic in impostor_topics():
            attack.publish([(topic, VICTIM, False), (topic, EVIL, False)])
        attack.publish([(OWN, EVIL, False)])
        while OWN not in shown.out:
            assert shown.process.poll() is None
        assert shown_as(shown.out) == {EVIL}
        assert f"gw is '{VICTIM}'" in shown.err, "and it is told"


def test_a_topic_alias_changes_nothing(city: CityBroker, client: Connect, tmp_path: Path) -> None:
    """An empty topic with an alias is that of the alias: also for the ACL."""
    store = tmp_path / "city.jsonl"
    other = f"kerbstone/v1/{SITE}/{VICTIM}/up/energy/m"
    with listening(city.platforms, city.platform, tmp_path, "receipts", "--store", str(store)):
        attack = Attack(lambda: client(EVIL), victim(client), store)
        evil = client(EVIL)
        evil.publish(OWN.encode(), record(EVIL, "energy", "hut", 900), alias=1)
        evil.publish(other.encode(), record(VICTIM, "energy", "m", 1), alias=2)
        for alias in (2, 1):
            evil.publish(b"", record(VICTIM, "energy", "m", 2), alias=alias)
        attack.judge()


@pytest.mark.parametrize("name", ["city.db", "city.jsonl"])
def test_what_is_refused_is_told_as_what_it_is_and_has_no_receipt(
    city: CityBroker, client: Connect, tmp_path: Path, name: str
) -> None:
    store, own = tmp_path / name, f"kerbstone/v1/{SITE}/{EVIL}/up"
    with listening(
        city.platforms, city.platform, tmp_path, "receipts", "--store", str(store), "--json"
    ) as receipts:
        evil = client(EVIL)
        evil.subscribe(b"#")
        for seq in range(1, 8):
            evil.publish(f"{own}/energy/m".encode(), record(VICTIM, "energy", "m", seq))
            evil.publish(f"{own}/manifest/m".encode(), record(VICTIM, "manifest", "m", seq))
        evil.publish(f"{own}/energy/m".encode(), b"{")
        Attack(lambda: client(EVIL), victim(client), store).judge()
        assert evil.received == []
        assert receipts.end() == 1
    assert '"foreign": 14' in receipts.out
    reported = [line for line in receipts.err.splitlines() if "foreign" in line]
    assert len(reported) == 6, "a few, and once that there are more"
    assert f"further messages of {EVIL}" in reported[-1]
    assert tallied(store) == {(EVIL, "foreign"): 14, (EVIL, "undecodable"): 1}
    code, lines = audited(store)
    assert code == 1
    assert f"{EVIL}: 14 messages were refused: they named another gateway or site" in str(lines)


def test_a_gateway_may_not_file_under_the_site_of_another_street(
    city: CityBroker, client: Connect, tmp_path: Path
) -> None:
    store, sites = tmp_path / "city.db", tmp_path / "sites"
    sites.write_text(f"# gateway, sites\n{EVIL} {SITE}\n{VICTIM} nord sued\n")
    with listening(
        city.platforms, city.platform, tmp_path, "receipts", "--store", str(store),
        "--sites", str(sites),
    ) as receipts:  # fmt: skip
        evil = client(EVIL)
        for site in (SITE, "nord"):
            topic = f"kerbstone/v1/{site}/{EVIL}/up/energy/m"
            evil.publish(topic.encode(), record(EVIL, "energy", "m", 900 + len(site)))
        Attack(lambda: client(EVIL), victim(client), store).judge()
        assert receipts.end() == 1
    assert f"{EVIL} belongs to {SITE}, but publishes under nord" in receipts.err
    assert {topic.split("/")[2] for _, topic in stored(store)} == {SITE}
    assert tallied(store) == {(EVIL, "foreign"): 1}


@pytest.mark.parametrize("name", ["city.db", "city.jsonl"])
def test_contents_without_an_end_under_one_key_fill_no_disk(
    city: CityBroker, client: Connect, tmp_path: Path, name: str
) -> None:
    """The report's case: 199 contents under one key were all kept."""
    store, sent = tmp_path / name, 199
    topic = f"kerbstone/v1/{SITE}/{EVIL}/up/energy/m".encode()
    with listening(
        city.platforms, city.platform, tmp_path, "receipts", "--store", str(store)
    ) as receipts:
        evil = client(EVIL)
        for x in range(sent):
            assert evil.publish(topic, record(EVIL, "energy", "m", 1000, x)) in (0, 16)
        Attack(lambda: client(EVIL), victim(client), store).judge()
        assert receipts.end() == 1
    assert tallied(store) == {(EVIL, "conflict"): sent - 1}
    reader = open_store(store, write=False)
    assert len(list(reader.conflicts(EVIL))) == KEPT_PER_KIND
    reader.close()
    reported = receipts.err.splitlines()
    assert [sum(f"{kind}: " in line for line in reported) for kind in ("conflict", "excess")] == [
        6,
        6,
    ]
    code, lines = audited(store)
    assert code == 1
    assert (
        f"{sent - 1 - KEPT_PER_KIND} more contents arrived under numbers that were already used"
        in str(lines)
    )
