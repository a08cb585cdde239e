"""Who is let in by RabbitMQ with the configuration that ships, and what he may do there."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from edge.provision import pki
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError, PublishAnswer
from tests.cluster.rabbit import Rabbit
from tests.kit.caller import Caller
from tests.kit.citybroker import DOWN, UP, TlsListener
from tests.kit.forged import SERVER, Pair, forge
from tests.kit.waiting import until

TYPE = "application/json"
OWN, OTHER = UP.format("gw-0001"), UP.format("gw-0002")
BAD_ID, NOBODY, TAKEN_OVER = 133, 134, 142
LET_IN = "connack 133"  # TLS was fine, and only the client id is not: `Place.answer` says "any"


async def publish(place: TlsListener, pair: Pair, name: str, topic: str) -> PublishAnswer:
    caller = Caller()
    link = await caller.open(place.broker(pair, name))
    assert link.publish(topic, topic, b"{}", TYPE) is None
    await until(lambda: len(caller.answers) == 1)
    await link.close()
    return caller.answers[0][1]


@pytest.mark.parametrize("topic", [
    OTHER, DOWN.format("gw-0001"), OWN.replace("v1", "v2"), OWN.replace("event", "*"),
    f"{OWN}/mitte/gw-0002/up/event",
    OWN.replace("/mitte", "/mitte/mitte"), "$SYS/broker/uptime", "x",
])  # fmt: skip
async def test_a_gateway_that_writes_elsewhere_loses_its_connection(
    rabbit: Rabbit, topic: str
) -> None:
    """RabbitMQ 4.0 gives no answer to it: it hangs up."""
    place, pair = rabbit.places[0], rabbit.gateway("gw-0001")
    assert await publish(place, pair, "gw-0001", OWN) in (0, 16)
    assert isinstance(await publish(place, pair, "gw-0001", topic), ConnectionLostError)


@pytest.mark.parametrize("wish", [
    "#", "$SYS/#", "kerbstone/v1/+/+/down/#", OWN, DOWN.format("gw-0002"),
    "kerbstone/v1/#", "+/+/+/gw-0001/down/#",
])  # fmt: skip
async def test_a_gateway_that_asks_for_more_than_its_own_gets_nothing(
    rabbit: Rabbit, wish: str
) -> None:
    caller = Caller()
    link = await caller.open(
        rabbit.places[0].broker(rabbit.gateway("gw-0001"), "gw-0001"), subscribe=[wish]
    )
    assert link.unsubscribed == (wish,)
    await until(lambda: len(caller.lost) == 1)
    await link.close()


async def test_what_is_for_one_gateway_reaches_it_at_any_node_and_no_other(rabbit: Rabbit) -> None:
    """Commands, receipts, and records the other way; the platform does not play a gateway."""
    one, two, platform = Caller(), Caller(), Caller()
    links = [
        await one.open(rabbit.brokers("gw-0001")[0], ["kerbstone/v1/+/gw-0001/down/#"]),
        await two.open(rabbit.brokers("gw-0002")[1], ["kerbstone/v1/mitte/gw-0002/down/cmd/+"]),
        await platform.open(
            rabbit.places[2].broker(rabbit.platform, "platform"),
            ["kerbstone/v1/+/+/up/+", "kerbstone/v1/+/+/up/+/+"],
        ),
    ]
    assert [link.unsubscribed for link in links] == [(), (), ()]
    assert links[0].publish(OWN, OWN, b"{}", TYPE) is None
    command = "kerbstone/v1/mitte/gw-0002/down/cmd/status"
    for topic in (DOWN.format("gw-0001"), command):
        assert links[2].publish(topic, topic, b"{}", TYPE) is None
    await until(lambda: len(platform.answers) == 2 and bool(one.messages and two.messages))
    await until(lambda: len(platform.messages) == 1)
    assert links[2].publish(OWN, OWN, b"{}", TYPE) is None
    await until(lambda: len(platform.lost) == 1)
    assert [message.topic for message in one.messages] == [DOWN.format("gw-0001")]
    assert [message.topic for message in two.messages] == [command]
    assert [message.topic for message in platform.messages] == [OWN]
    for link in links:
        await link.close()


def test_only_a_valid_certificate_of_this_authority_is_let_in(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    make = rabbit.authority
    stranger = tmp_path / "stranger"
    pki.make_pki(stranger, rabbit.now)
    cases: list[tuple[Pair | None, str]] = [
        (rabbit.gateway("gw-0001"), LET_IN),
        (forge(make, tmp_path, "gw-0001"), LET_IN),
        (None, "TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        (forge(make, tmp_path, "gw-0001", days=(-9, -1)), "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        (forge(make, tmp_path, "gw-0001", days=(1, 9)), "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        (forge(make, tmp_path, "gw-0001", purpose=SERVER), "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
        ((stranger / "gateways/gw-0001.crt", stranger / "gateways/gw-0001.key"),
         "TLSV1_ALERT_UNKNOWN_CA"),
    ]  # fmt: skip
    for place in rabbit.places:
        assert [place.answer(pair) for pair, _ in cases] == [answer for _, answer in cases]


def test_tls_below_1_3_is_refused(rabbit: Rabbit) -> None:
    for place in rabbit.places:
        context = place.context(rabbit.gateway("gw-0001"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert place.answer(None, context) == "TLSV1_ALERT_PROTOCOL_VERSION"


async def refusal(rabbit: Rabbit, pair: Pair, client_id: str, **said: str) -> int:
    broker = replace(rabbit.places[0].broker(pair, client_id), **said)  # type: ignore[arg-type]
    with pytest.raises(BrokerRefusedError) as caught:
        await Caller().open(broker)
    return caught.value.code


async def test_who_a_client_says_to_be_counts_for_nothing(rabbit: Rabbit) -> None:
    pair = rabbit.gateway("gw-0001")
    for client_id in ("any", "", "platform", "gw-0002", "gw-000.", "GW-0001"):
        assert await refusal(rabbit, pair, client_id) == BAD_ID
    for name, password in (
        ("platform", ""),
        ("platform", "x"),
        ("gw-0002", ""),
        ("guest", "guest"),
    ):
        said = {"username": name, "password": password}
        assert await refusal(rabbit, pair, "gw-0001", **said) == NOBODY


@pytest.mark.parametrize("name", [
    "gw-0009", "gw/+", "gw#", "+", "#", "*", "..", "", "a" * 65, "$SYS", "gw-0001/x", "gw-000.",
    ".*", "gw-0001\n", "guest",
])  # fmt: skip
async def test_a_name_that_was_signed_and_not_approved_is_not_let_in(
    rabbit: Rabbit, tmp_path: Path, name: str
) -> None:
    """Also a gateway with a good name: it is let in when it has been admitted."""
    assert await refusal(rabbit, forge(rabbit.authority, tmp_path, name), name) == NOBODY


async def test_of_two_with_one_identity_the_first_is_told_at_whatever_node(rabbit: Rabbit) -> None:
    first, second = Caller(), Caller()
    brokers = rabbit.brokers("gw-0001")
    one = await first.open(brokers[0])
    two = await second.open(brokers[1])
    await until(lambda: len(first.lost) == 1)
    again = await first.open(brokers[2])
    await until(lambda: len(second.lost) == 1)
    assert [first.lost[0].code, second.lost[0].code] == [TAKEN_OVER, TAKEN_OVER]
    for link in (one, two, again):
        await link.close()


def test_nothing_listens_but_mqtt_amqp_and_the_way_between_the_nodes(rabbit: Rabbit) -> None:
    """MQTT, the sinks' AMQP, the way between the nodes; no management, no metrics; and nothing that
    another machine could reach."""
    for node in rabbit.nodes:
        ports = node.port, node.amqp_port, node.between
        assert listening(node.pid) == {("127.0.0.1", port) for port in ports}


def listening(pid: int) -> set[tuple[str, int]]:
    """Where a process listens, as the kernel says."""
    links = (str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())
    own = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in own:
                address, port = words[1].split(":")
                plain = ".".join(str(byte) for byte in reversed(bytes.fromhex(address[:8])))
                found.add((plain if table == "tcp" else address, int(port, 16)))
    return found
