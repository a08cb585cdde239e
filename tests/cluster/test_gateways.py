"""Gateways are admitted and removed; those that are revoked, and what ends an open session."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.broker.rabbitmq import gateways
from edge.uplink.mqtt import BrokerRefusedError
from tests.cluster.rabbit import GATEWAYS, Rabbit
from tests.kit.caller import Caller
from tests.kit.citybroker import UP
from tests.kit.waiting import until

TYPE = "application/json"
OWN = UP.format("gw-0001")
LET_IN = "connack 133"  # TLS was fine, and only the client id is not: `Place.answer` says "any"
REVOKED, NO_LIST = "SSLV3_ALERT_CERTIFICATE_REVOKED", "SSLV3_ALERT_BAD_CERTIFICATE"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def city(rabbit: Rabbit) -> Iterator[Rabbit]:
    """Afterwards nobody is revoked, and the usual gateways are admitted."""
    before = (rabbit.folder / "crl.pem").read_bytes()
    yield rabbit
    (rabbit.folder / "crl.pem").write_bytes(before)
    rabbit.cluster.publish()
    rabbit.cluster.admit(GATEWAYS)


async def test_a_revoked_gateway_is_refused_at_once_and_its_session_ended_by_a_command(
    city: Rabbit,
) -> None:
    pair, caller = city.gateway("gw-0001"), Caller()
    link = await caller.open(city.brokers("gw-0001")[1])
    city.authority.renew_list(city.now, [city.serial("gw-0001")])
    city.cluster.publish()
    assert [place.answer(pair) for place in city.places] == [REVOKED] * 3
    assert city.places[0].answer(city.gateway("gw-0002")) == LET_IN
    assert link.publish(OWN, OWN, b"{}", TYPE) is None
    await until(lambda: caller.answers == [(OWN, 0)])  # its session goes on, and the queue has it
    city.nodes[0].ctl("close_all_user_connections", "gw-0001", "revoked")
    await until(lambda: len(caller.lost) == 1)
    await link.close()


async def test_a_gateway_that_is_not_approved_any_more_is_thrown_out_by_the_same_command(
    city: Rabbit,
) -> None:
    """At whatever node it is."""
    callers = [Caller() for _ in GATEWAYS]
    links = [
        await caller.open(city.brokers(name, node)[0])
        for node, (name, caller) in enumerate(zip(GATEWAYS, callers, strict=True))
    ]
    assert city.cluster.admit(GATEWAYS[:1]) == ((), GATEWAYS[1:])
    await until(lambda: len(callers[1].lost) == len(callers[2].lost) == 1)
    assert callers[0].lost == []
    with pytest.raises(BrokerRefusedError, match="134"):
        await Caller().open(city.brokers("gw-0002")[0])
    assert city.cluster.admit(GATEWAYS) == (GATEWAYS[1:], ())
    again = await Caller().open(city.brokers("gw-0002")[0])
    for link in (*links, again):
        await link.close()


async def test_a_gateway_without_its_limits_writes_everywhere_until_they_are_mended(
    city: Rabbit,
) -> None:
    """So they are loaded first, and looked for each time."""
    assert city.cluster.admit(GATEWAYS) == ((), ())
    city.nodes[0].ctl("clear_topic_permissions", "gw-0003")
    caller = Caller()
    link = await caller.open(city.brokers("gw-0003")[0])
    assert link.publish(1, OWN, b"{}", TYPE) is None
    await until(lambda: caller.answers == [(1, 0)])  # into the queue, in another one's name
    await link.close()
    assert city.cluster.admit(GATEWAYS) == (("gw-0003",), ())
    link = await caller.open(city.brokers("gw-0003")[0])
    assert link.publish(2, OWN, b"{}", TYPE) is None
    await until(lambda: len(caller.lost) == 1)
    await link.close()


@pytest.mark.parametrize("case", ["expired", "missing"])
def test_without_a_valid_list_everybody_is_refused(city: Rabbit, case: str) -> None:
    pair = city.gateway("gw-0001")
    assert city.places[0].answer(pair) == LET_IN
    if case == "expired":
        city.authority.renew_list(city.now - timedelta(days=40))
        city.cluster.publish()
    else:
        for path in (city.folder / "crl").iterdir():
            path.unlink()
    assert {place.answer(pair) for place in city.places} == {NO_LIST}


def test_a_list_that_lost_most_names_removes_nobody_until_it_is_said_twice(
    city: Rabbit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [f"gw-9{number:03d}" for number in range(200)]
    assert len(city.cluster.admit([*GATEWAYS, *more]).added) == 200
    names, tool = tmp_path / "names", tmp_path / "ctl"
    names.write_text("\n".join(GATEWAYS))
    node = city.nodes[1]
    words = " ".join(f"{key}='{value}'" for key, value in node.environment.items())
    tool.write_text(f'#!/bin/sh\nexec env {words} /usr/lib/rabbitmq/bin/rabbitmqctl "$@"\n')
    tool.chmod(0o755)
    call = ["--names", str(names), "--ctl", str(tool)]
    assert gateways.main(call) == 1
    assert "200 of 203 gateways are not in the list" in capsys.readouterr().err
    names.write_text("\n".join([*GATEWAYS, *more[6:]]))
    assert gateways.main(call) == 0
    assert capsys.readouterr().out == f"added 0: \nremoved 6: {' '.join(more[:6])}\n"
    names.write_text("gw/+")
    assert gateways.main(call) == 2
    every = ",".join(f'<<"{name}">>' for name in more[6:])
    node.ctl(
        "eval", f'[rabbit_auth_backend_internal:delete_user(N, <<"test">>) || N <- [{every}]], ok.'
    )  # fmt: skip
