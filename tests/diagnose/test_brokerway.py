"""The way to a broker ends in time at whatever swallows, babbles or hangs, and says where."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edge.core import Stamp, TimeQuality
from edge.diagnose import brokerway
from edge.diagnose.brokerchecks import way_results
from edge.diagnose.brokerway import BrokerWay, walk
from edge.diagnose.checks import CheckResult
from edge.uplink.broker import make_broker
from edge.uplink.connectfailure import REMEDIES
from tests.kit.broker import free_port

NOW = Stamp(5_000_000_000, 1_796_000_000_000_000_000, TimeQuality.NTP)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokerway, "STAGE_S", 0.3)
    monkeypatch.setattr(brokerway, "ALERT_S", 0.1)


@pytest.fixture
def swallows() -> Iterator[int]:
    """A port that accepts, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def looked(url: str, **options: Any) -> dict[str, CheckResult]:
    def fresh() -> Any:
        return make_broker(url, "gw-1", **options)

    way = BrokerWay(fresh())
    walk(way, fresh, None, lambda step: None)
    return {each.check: each for each in way_results(way, NOW)}


def wrong(found: dict[str, CheckResult]) -> list[str]:
    return [check for check, each in found.items() if each.is_wrong]


def test_a_name_server_that_says_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(brokerway, "resolve_host", lambda host, port: over.wait(60))
    start_s = time.monotonic()
    found = looked("mqtt://broker.example")
    over.set()
    assert time.monotonic() - start_s < 30
    assert wrong(found) == ["dns"]
    assert found["dns"].cause == "no answer within 0.3 s."
    assert found["dns"].remedy == REMEDIES["name"]
    assert found["tcp"].cause == "first: dns"


def test_a_port_that_never_speaks_tls_is_no_matter_of_the_network(swallows: int) -> None:
    found = looked(f"mqtts://127.0.0.1:{swallows}")
    assert wrong(found) == ["tls_protocol"]
    assert found["tcp"].outcome == "ok"
    assert found["tls_protocol"].remedy == REMEDIES["plain"]


def test_a_proxy_that_never_answers_is_the_proxy(swallows: int) -> None:
    found = looked("mqtts://broker.example", proxy=f"http://127.0.0.1:{swallows}")
    assert wrong(found) == ["proxy"]


def test_a_proxy_that_is_not_there_is_found_at_its_port() -> None:
    found = looked("mqtts://broker.example", proxy=f"http://127.0.0.1:{free_port()}")
    assert wrong(found) == ["tcp"]
    assert found["tcp"].remedy == REMEDIES["proxy"]


def test_an_address_that_nobody_listens_at_is_named_beside_one_that_is_open(
    swallows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [(socket.AF_INET, (host, swallows)) for host in ("127.0.0.3", "127.0.0.1")]
    monkeypatch.setattr(brokerway, "resolve_host", lambda host, port: places)
    found = looked("mqtt://broker.example")
    assert found["dns"].cause == "127.0.0.3, 127.0.0.1"
    assert found["tcp"].outcome == "ok"
    assert found["tcp"].cause.endswith("; not at 127.0.0.3")


def test_a_name_that_cannot_be_one_is_said() -> None:
    found = looked("mqtt://" + "x" * 64 + ".example")
    assert wrong(found) == ["dns"]


def test_who_has_seen_enough_ends_it_before_the_next_stage(swallows: int) -> None:
    def enough(step: str) -> None:
        if step.startswith("port"):
            raise KeyboardInterrupt

    way = BrokerWay(make_broker(f"mqtt://127.0.0.1:{swallows}", "gw-1"))
    with pytest.raises(KeyboardInterrupt):
        walk(way, lambda: way.broker, None, enough)
    assert [each.check for each in way_results(way, NOW) if each.outcome == "ok"] == ["dns"]
