"""Who is let in by mosquitto with the configuration that ships, and what he may do there."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.platform.subscription import record_subscriptions
from edge.provision import pki
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError
from tests.kit.caller import Caller
from tests.kit.citybroker import DOWN, UP, CityBroker, TlsListener, running
from tests.kit.forged import SERVER, Pair, forge
from tests.kit.waiting import until

TYPE = "application/json"
OWN, OTHER = UP.format("gw-0001"), UP.format("gw-0002")
REFUSED = 135


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityBroker]:
    with running(tmp_path / "city") as city:
        yield city


async def publish(place: TlsListener, pair: Pair, *topics: str) -> dict[str, int]:
    """The reason code of each."""
    caller = Caller()
    link = await caller.open(place.broker(pair, "any"))
    for topic in topics:
        assert link.publish(topic, topic, b"{}", TYPE) is None
    await until(lambda: len(caller.answers) == len(topics))
    await link.close()
    return codes(caller)


def codes(caller: Caller) -> dict[str, int]:
    found = {}
    for topic, answer in caller.answers:
        assert not isinstance(answer, ConnectionLostError)
        found[str(topic)] = answer.code if isinstance(answer, BrokerRefusedError) else answer
    return found


async def test_a_gateway_writes_its_own_branch_and_no_other(city: CityBroker) -> None:
    elsewhere = OWN.replace("v1", "v2")
    found = await publish(
        city.gateways, city.gateway("gw-0001"), OWN, OTHER, DOWN.format("gw-0001"), elsewhere,
        "$SYS/broker/uptime", "x", f"{OWN}/mitte/gw-0002/up/event", f"city/{OTHER}",
    )  # fmt: skip
    assert found.pop(OWN) == 16, "nobody listens, and it is allowed"
    assert len(found) == 7
    assert set(found.values()) == {REFUSED}


async def test_who_asks_for_everything_gets_what_is_meant_for_him(city: CityBroker) -> None:
    eager, platform = Caller(), Caller()
    link = await eager.open(
        city.gateways.broker(city.gateway("gw-0001"), "any"), subscribe=["#", "$SYS/#"]
    )
    other = await platform.open(
        city.platforms.broker(city.platform, "p"), subscribe=["kerbstone/v1/+/+/up/+"]
    )
    gateway = await publish(city.gateways, city.gateway("gw-0002"), OTHER)
    assert gateway == {OTHER: 0}
    for topic in (DOWN.format("gw-0002"), DOWN.format("gw-0001"), OWN):
        other.publish(topic, topic, b"{}", TYPE)
    await until(lambda: len(platform.answers) == 3 and len(eager.messages) >= 1)
    assert codes(platform)[OWN] == REFUSED, "the platform does not play a gateway"
    assert [message.topic for message in platform.messages] == [OTHER]
    assert [message.topic for message in eager.messages] == [DOWN.format("gw-0001")]
    await link.close()
    await other.close()


async def test_the_platform_may_ask_for_the_streams_of_records_alone(city: CityBroker) -> None:
    platform = Caller()
    asked = record_subscriptions("kerbstone/v1/+/+/up/#")
    link = await platform.open(city.platforms.broker(city.platform, "p"), subscribe=asked)
    up = OWN.removesuffix("event")
    found = await publish(
        city.gateways, city.gateway("gw-0001"), OWN, f"{up}air/hut", f"{up}status", f"{up}last/hut"
    )
    assert found == {OWN: 0, f"{up}air/hut": 0, f"{up}status": 16, f"{up}last/hut": 16}
    await until(lambda: len(platform.messages) == 2)
    await link.close()


async def test_a_gateway_at_the_platforms_door_is_what_it_is_at_its_own(city: CityBroker) -> None:
    """Also its client id is forced there: it can take nobody's session over but its own."""
    pair, platform, eager = city.gateway("gw-0001"), Caller(), Caller()
    held = await platform.open(city.platforms.broker(city.platform, "any"))
    link = await eager.open(city.platforms.broker(pair, "platform"), subscribe=["#"])
    found = await publish(city.gateways, city.gateway("gw-0002"), OTHER)
    link.publish(OTHER, OTHER, b"{}", TYPE)
    link.publish(DOWN.format("gw-0001"), DOWN.format("gw-0001"), b"{}", TYPE)
    await until(lambda: len(eager.answers) == 2)
    assert set(codes(eager).values()) == {REFUSED}
    assert found == {OTHER: 0}
    assert eager.messages == []
    assert platform.lost == []
    await link.close()
    await held.close()


def test_only_a_valid_certificate_of_this_authority_is_let_in(
    city: CityBroker, tmp_path: Path
) -> None:
    make, place = city.authority, city.gateways
    stranger = tmp_path / "stranger"
    pki.make_pki(stranger, city.now)
    cases: list[tuple[Pair | None, str]] = [
        (city.gateway("gw-0001"), "connack 0"),
        (forge(make, tmp_path, "gw-0001"), "connack 0"),
        (None, "TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        (forge(make, tmp_path, "gw-0001", days=(-9, -1)), "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        (forge(make, tmp_path, "gw-0001", days=(1, 9)), "SSLV3_ALERT_BAD_CERTIFICATE"),
        (forge(make, tmp_path, "gw-0001", purpose=SERVER), "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
        ((stranger / "gateways/gw-0001.crt", stranger / "gateways/gw-0001.key"),
         "TLSV1_ALERT_UNKNOWN_CA"),
    ]  # fmt: skip
    for each in (place, city.platforms):
        assert [each.answer(pair) for pair, _ in cases] == [answer for _, answer in cases]


def test_tls_below_1_3_is_refused(city: CityBroker) -> None:
    for place in (city.gateways, city.platforms):
        context = place.context(city.gateway("gw-0001"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert place.answer(None, context) == "TLSV1_ALERT_PROTOCOL_VERSION"


async def test_a_revoked_gateway_stays_until_it_is_kicked(city: CityBroker, tmp_path: Path) -> None:
    """The city kicks: with a new certificate in the gateway's name it takes the session over."""
    pair, caller = city.gateway("gw-0001"), Caller()
    link = await caller.open(city.gateways.broker(pair, "any"))
    city.revoke("gw-0001")
    assert city.gateways.answer(pair) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    assert city.gateways.answer(city.gateway("gw-0002")) == "connack 0"
    link.publish(OWN, OWN, b"{}", TYPE)
    await until(lambda: len(caller.answers) == 1)
    assert codes(caller) == {OWN: 16}, "its session goes on"
    kick = forge(city.authority, tmp_path, "gw-0001")
    assert city.gateways.answer(kick) == "connack 0"
    await until(lambda: len(caller.lost) == 1)
    assert caller.lost[0].code == 142
    assert city.gateways.answer(pair) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    await link.close()


async def test_a_denial_in_the_acl_silences_an_open_session_at_once(city: CityBroker) -> None:
    caller = Caller()
    pair = city.gateway("gw-0001")
    link = await caller.open(city.gateways.broker(pair, "any"), subscribe=["#"])
    with (city.folder / "acl").open("a") as acl:
        acl.write("\nuser gw-0001\ntopic deny #\n")
    city.reload()
    link.publish(OWN, OWN, b"{}", TYPE)
    await until(lambda: len(caller.answers) == 1)
    assert codes(caller) == {OWN: REFUSED}
    down, other = DOWN.format("gw-0001"), Caller()
    platform = await other.open(city.platforms.broker(city.platform, "p"))
    platform.publish(down, down, b"{}", TYPE)
    await until(lambda: len(other.answers) == 1)
    assert caller.messages == []
    assert caller.lost == []
    assert await publish(city.gateways, city.gateway("gw-0002"), OTHER) == {OTHER: 0}
    await link.close()
    await platform.close()


async def test_a_restart_ends_the_session_of_a_revoked_gateway(city: CityBroker) -> None:
    caller = Caller()
    link = await caller.open(city.gateways.broker(city.gateway("gw-0001"), "any"))
    city.revoke("gw-0001")
    city.stop()
    await until(lambda: len(caller.lost) == 1)
    city.start()
    assert city.gateways.answer(city.gateway("gw-0001")) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    await link.close()


async def test_two_with_one_identity_are_both_told(city: CityBroker) -> None:
    """Whatever client id they say: the broker takes the one in the certificate."""
    pair, first, second = city.gateway("gw-0001"), Caller(), Caller()
    one = await first.open(city.gateways.broker(pair, "one"))
    two = await second.open(city.gateways.broker(pair, "two"))
    await until(lambda: len(first.lost) == 1)
    again = await first.open(city.gateways.broker(pair, "one"))
    await until(lambda: len(second.lost) == 1)
    assert [first.lost[0].code, second.lost[0].code] == [142, 142]
    for link in (one, two, again):
        await link.close()


@pytest.mark.parametrize("name", ["gw/+", "gw#", "+", "#", "..", "", "a" * 65, "$SYS", "gw-0001/x"])
async def test_a_dangerous_name_that_was_signed_reaches_nobody_else(
    city: CityBroker, tmp_path: Path, name: str
) -> None:
    pair = forge(city.authority, tmp_path, name)
    eager = Caller()
    link = await eager.open(city.gateways.broker(pair, "any"), subscribe=["#"])
    found = await publish(
        city.platforms, city.platform, DOWN.format("gw-0001"), DOWN.format("gw-0002")
    )
    # 0 as soon as anybody has asked for the topic, also if the ACL keeps it from him
    assert set(found.values()) == {0}
    for topic in (OWN, OTHER):
        link.publish(topic, topic, b"{}", TYPE)
    await until(lambda: len(eager.answers) == 2)
    assert codes(eager) == {OWN: REFUSED, OTHER: REFUSED}
    assert eager.messages == []
    await link.close()
