"""A hostile gateway and a hostile subscriber at RabbitMQ with the files that ship."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edge.wire import gateway_of
from tests.cluster.rabbit import GATEWAYS, Rabbit
from tests.hostile.attack import OWN, Attack, impostor_topics, shown_as
from tests.hostile.attempts import EVIL, SITE, VICTIM, attempts, record
from tests.hostile.platform import audited, listening, stored, tallied
from tests.kit.forged import Pair
from tests.kit.mqttclient import MqttClient

FEW = settings(deadline=None, database=None, phases=[Phase.generate])
SHARES = [
    b"$share/city/kerbstone/v1/+/+/up/+/+",
    b"$share/x/#",
    b"$share/x/kerbstone/v1/+/gw-0001/down/#",
]
DOWN = b"kerbstone/v1/+/gw-0002/down/#"

NOT_AUTHORIZED = 135

Connect = Callable[[Pair, str], MqttClient]


@pytest.fixture
def client(rabbit: Rabbit) -> Iterator[Connect]:
    """Makes clients with a certificate; all are gone after the test."""
    made: list[MqttClient] = []

    def connect(pair: Pair, name: str) -> MqttClient:
        made.append(MqttClient(rabbit.places[0].port, rabbit.places[0].context(pair), name))
        return made[-1]

    yield connect
    for each in made:
        each.drop()


@pytest.fixture
def session(rabbit: Rabbit) -> Iterator[None]:
    """The platform's: what `receipts` leaves at the broker is gone after the test."""
    yield
    rabbit.forget_session()


@pytest.mark.usefixtures("session")
def test_nothing_that_one_gateway_says_is_stored_receipted_audited_or_shown_as_anothers(
    rabbit: Rabbit, client: Connect, tmp_path: Path
) -> None:
    store, place = tmp_path / "city.db", rabbit.places[0]
    with listening(place, rabbit.platform, tmp_path, "receipts", "--store", str(store)) as receipts:
        victim = client(rabbit.gateway(VICTIM), VICTIM)
        victim.wishes = (DOWN,)
        assert victim.connect() == 0
        attack = Attack(lambda: client(rabbit.gateway(EVIL), EVIL), victim, store)

        @settings(FEW, max_examples=25)
        @given(st.lists(attempts, min_size=1, max_size=6))
        def published(found: list[tuple[str, str, bool]]) -> None:
            attack.publish(found)
            attack.judge()

        @settings(FEW, max_examples=8)
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
    assert attack.allowed > 10
    assert attack.refused > 20
    assert {gw for gw, _ in tallied(store)} <= {EVIL}
    assert tallied(store)[EVIL, "foreign"] > 1
    code, lines = audited(store)
    assert code == 1
    assert {each["gw"] for each in lines if "gw" in each} <= {EVIL}
    with listening(
        place, rabbit.platform, tmp_path, "subscribe", "--json",
        "--filter", "kerbstone/v1/+/+/up/#",
    ) as shown:  # fmt: skip
        for topic in impostor_topics():
            attack.publish([(topic, VICTIM, False), (topic, EVIL, False)])
        attack.publish([(OWN, EVIL, False)])
        while OWN not in shown.out:
            assert shown.process.poll() is None
        assert shown_as(shown.out) == {EVIL}
        assert f"gw is '{VICTIM}'" in shown.err, "and it is told"


def test_a_dot_is_a_slash_for_who_receives_it_and_no_way_into_another_branch(
    rabbit: Rabbit, client: Connect
) -> None:
    """So no level of a topic may have one: it would arrive one level deeper."""
    platform = client(rabbit.platform, "platform")
    assert platform.subscribe(b"kerbstone/v1/+/+/up/+", b"kerbstone/v1/+/+/up/+/+") == [1, 1]
    evil = client(rabbit.gateway(EVIL), EVIL)
    own = f"kerbstone/v1/{SITE}/{EVIL}/up"
    for topic, arrives in (
        (OWN, OWN), (OWN.replace("/", "."), OWN), (f"{own}/energy.m", f"{own}/energy/m"),
    ):  # fmt: skip
        assert evil.publish(topic.encode(), b"{}") in (0, 16)
        platform.hear()
        assert platform.received.pop()[0] == arrives
        assert gateway_of(arrives) == EVIL
    other = f"{SITE}.{VICTIM}.up.energy.m"
    for topic in (
        f"{own}/{other}",
        f"{own}/energy.{other}",
        f"kerbstone/v1/{other}",
        f"{own}/a.b.c",
    ):
        assert evil.publish(topic.encode(), b"{}") is None, "it hangs up"
    platform.hear()
    assert platform.received == []


@pytest.mark.parametrize("share", SHARES)
def test_a_shared_subscription_is_refused_to_everybody(
    rabbit: Rabbit, client: Connect, share: bytes
) -> None:
    """RabbitMQ 4.0 takes the filter as a name like others, and nobody has rights on it."""
    for pair, name in ((rabbit.gateway(EVIL), EVIL), (rabbit.platform, "platform")):
        asking = client(pair, name)
        assert asking.subscribe(share) == [NOT_AUTHORIZED]
        end = time.monotonic() + 60
        while asking.connected:  # it hangs up too
            assert time.monotonic() < end
            asking.hear()


@pytest.mark.usefixtures("session")
def test_a_gateway_that_asks_for_a_share_takes_nothing_from_the_platform(
    rabbit: Rabbit, client: Connect, tmp_path: Path
) -> None:
    store = tmp_path / "city.db"
    with listening(rabbit.places[0], rabbit.platform, tmp_path, "receipts", "--store", str(store)):
        evil = client(rabbit.gateway(EVIL), EVIL)
        victim = client(rabbit.gateway(VICTIM), VICTIM)
        victim.wishes = (DOWN,)
        topic = f"kerbstone/v1/{SITE}/{VICTIM}/up/energy/m".encode()
        for seq in range(1, 22):
            evil.subscribe(SHARES[seq % len(SHARES)])
            assert victim.publish(topic, record(VICTIM, "energy", "m", seq)) == 0
        while len(stored(store)) < 21:
            victim.hear()
        assert evil.received == []


def test_a_gateway_whose_site_is_known_writes_at_no_other(rabbit: Rabbit, client: Connect) -> None:
    """As the enrolment server knows it; and who had other rights gets these with the next call."""
    own, other = (f"kerbstone/v1/{site}/{EVIL}/up/air/hut".encode() for site in (SITE, "nord"))
    evil = client(rabbit.gateway(EVIL), EVIL)
    assert evil.publish(other, b"{}") in (0, 16)
    at_home: dict[str, tuple[str, ...]] = {**dict.fromkeys(GATEWAYS, ()), EVIL: (SITE,)}
    try:
        assert rabbit.cluster.admit(at_home) == ((EVIL,), ())
        end = time.monotonic() + 60
        while evil.connected:  # it would go on with what its session was allowed
            assert time.monotonic() < end
            evil.hear()
        assert evil.publish(own, b"{}") in (0, 16)
        assert evil.publish(other, b"{}") is None, "it hangs up"
    finally:
        assert rabbit.cluster.admit(GATEWAYS) == ((EVIL,), ())
