"""Name servers that are silent or lie, listeners that say nothing: the loop goes on."""

import asyncio
import functools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.uplink import dial as dial_module
from edge.uplink import mqtt
from edge.uplink.broker import Broker, make_broker
from edge.uplink.dial import Address, BlockingCalls, CachingResolver, dial
from tests.kit.broker import Make, Mosquitto
from tests.kit.caller import Caller
from tests.kit.certificates import CertificateAuthority
from tests.kit.rawbroker import raw_broker
from tests.kit.waiting import until

HOST = "broker.example"


class NameServer:
    """In place of the system's resolver: answers, fails, or says nothing until it is released."""

    def __init__(self) -> None:
        self.places: list[str] | None = ["127.0.0.1"]  # None: no such name
        self.silent = False
        self.release = threading.Event()
        self.asked = 0

    def look_up(self, host: str, port: int) -> tuple[Address, ...]:
        assert host == HOST
        self.asked += 1
        if self.silent:
            self.release.wait(60)
        if self.places is None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return tuple((socket.AF_INET, (place, port)) for place in self.places)


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    made = NameServer()
    monkeypatch.setattr(
        mqtt, "dial", functools.partial(dial, resolver=CachingResolver(made.look_up))
    )
    yield made
    made.release.set()


def at(url: str, **options: Any) -> Broker:
    return make_broker(url.replace("127.0.0.1", HOST), "gw", **options)


async def test_a_name_server_that_is_a_black_hole_does_not_stop_the_loop(
    name_server: NameServer,
) -> None:
    async with raw_broker() as broker:
        name_server.silent = True
        with pytest.raises(TimeoutError, match=r"no answer from mqtt://broker\.example"):
            await Caller().open(replace(at(broker.url), connect_s=0.5))
        attempt = asyncio.create_task(Caller().open(replace(at(broker.url), connect_s=600.0)))
        await until(lambda: name_server.asked == 2)
        assert not attempt.done(), "the loop stood still until it was over"
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        # two threads hang; a third is not made, and who asks hears why at once
        for _ in range(3):
            with pytest.raises(OSError, match="still wait for the name server"):
                await Caller().open(replace(at(broker.url), connect_s=60.0))
        assert name_server.asked == 2
        name_server.release.set()
        await until(lambda: not hanging("lookup"))
        link = await Caller().open(at(broker.url))
        assert broker.connects == 1, "what came too late was not used"
        await link.close()


async def test_a_listener_that_says_nothing_under_tls_does_not_stop_the_loop(
    tmp_path: Path,
) -> None:
    ca = CertificateAuthority(tmp_path).path
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        broker = make_broker(f"mqtts://127.0.0.1:{silent.getsockname()[1]}", "gw", ca=ca)
        with pytest.raises(TimeoutError, match="no answer"):
            await Caller().open(replace(broker, connect_s=0.5))
        await until(lambda: not hanging("dial"))
        patient = replace(broker, connect_s=600.0)
        attempts = [asyncio.create_task(Caller().open(patient)) for _ in range(4)]
        await until(lambda: sum(attempt.done() for attempt in attempts) == 2)
        for refused in (attempt for attempt in attempts if attempt.done()):
            with pytest.raises(BlockingIOError, match="still wait for TCP or TLS"):
                await refused
    found = await asyncio.gather(*attempts, return_exceptions=True)  # nobody listens any more
    assert all(isinstance(error, OSError) for error in found)
    await until(lambda: not hanging("dial"))


def hanging(name: str) -> list[str]:
    """Threads that wait; the process does not wait for them when it ends."""
    found = [thread for thread in threading.enumerate() if thread.name == name]
    assert all(thread.daemon for thread in found)
    return [thread.name for thread in found]


async def test_the_last_addresses_serve_when_the_name_server_fails_or_is_slow(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_broker() as broker:
        name_server.places = None
        with pytest.raises(socket.gaierror):
            await Caller().open(at(broker.url))
        name_server.places = ["127.0.0.1"]
        await (await Caller().open(at(broker.url))).close()
        name_server.places = None
        await (await Caller().open(at(broker.url))).close()
        monkeypatch.setattr(dial_module, "RESOLVE_TIMEOUT_S", 0.1)
        name_server.silent = True
        for _ in range(4):  # also when two look-ups hang already
            await (await Caller().open(at(broker.url))).close()
        assert broker.connects == 6


async def test_a_name_server_that_lies_is_not_the_last_word(name_server: NameServer) -> None:
    async with raw_broker() as broker:
        await (await Caller().open(at(broker.url))).close()
        name_server.places = ["127.0.0.2", "127.0.0.3"]  # nobody listens there
        await (await Caller().open(at(broker.url))).close()
        assert broker.connects == 2


async def test_an_old_address_must_show_the_right_name_too(
    name_server: NameServer, mosquitto: Make, tmp_path: Path
) -> None:
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("server", host=HOST)
    good = mosquitto(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    url = good.url.replace("mqtt:", "mqtts:")
    await (await Caller().open(at(url, ca=authority.path))).close()
    name_server.places = None
    await (await Caller().open(at(url, ca=authority.path))).close()
    good.kill()
    # somebody else has the address now, with a certificate of the same authority
    cert, key = authority.issue("other", host="other.example")
    other = Mosquitto(tmp_path / "other", f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    other.port = good.port
    other.start()
    try:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
            await Caller().open(at(url, ca=authority.path))
    finally:
        other.kill()


async def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    name_server: NameServer, mosquitto: Make, tmp_path: Path
) -> None:
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("server", host=HOST)
    good = mosquitto(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    with socket.create_server(("127.0.0.2", good.port)):
        name_server.places = ["127.0.0.2", "127.0.0.1"]
        url = good.url.replace("mqtt:", "mqtts:")
        slow = replace(at(url, ca=authority.path), connect_s=3.0)
        await (await Caller().open(slow)).close()
        # and the one that worked is asked first from now on
        start = time.monotonic()
        await (await Caller().open(replace(slow, connect_s=60.0))).close()
        assert time.monotonic() - start < 25


async def test_what_worked_comes_first_then_what_is_said_now_then_what_was_said_then() -> None:
    a, b, c = ((socket.AF_INET, (f"192.0.2.{n}", 1883)) for n in (1, 2, 3))
    said: list[Address] = [a, b]

    def look_up(_host: str, _port: int) -> tuple[Address, ...]:
        if not said:
            raise socket.gaierror(-3, "no name server")
        return tuple(said)

    known = CachingResolver(look_up)
    known.mark_worked(HOST, 1883, b, (a, b))
    said[:] = [c, a, b]
    assert await known.find(HOST, 1883) == (b, c, a)
    said[:] = [c]
    assert await known.find(HOST, 1883) == (c, b, a), "what is not said any more is the last resort"
    said.clear()
    assert await known.find(HOST, 1883) == (b, a)


async def test_all_addresses_together_have_the_time_of_one_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has its share of what is left; the reason of the first is the one that is told."""
    shares: list[float] = []

    def connect(_broker: Broker, address: Address, within_s: float, _floor: object) -> None:
        shares.append(within_s)
        raise ConnectionRefusedError(111, f"refused by {address[1]}")

    monkeypatch.setattr(dial_module, "dial_address", connect)
    found: tuple[Address, ...] = tuple((socket.AF_INET, n) for n in range(4))
    broker = replace(make_broker("mqtt://h", "gw"), connect_s=80.0)
    with pytest.raises(ConnectionRefusedError, match="refused by 0"):
        await dial(broker, CachingResolver(lambda host, port: found))
    assert shares == [pytest.approx(80.0 / (4 - n), rel=0.2) for n in range(4)]
    with pytest.raises(OSError, match="h has no address"):
        await dial(broker, CachingResolver(lambda host, port: ()))


async def test_few_hosts_are_remembered() -> None:
    known = CachingResolver()
    for number in range(50):
        address = (socket.AF_INET, ("192.0.2.1", number))
        known.mark_worked(f"host{number}", 1, address, (address,))
    assert len(known._worked) == dial_module.CACHE_HOSTS
    assert ("host49", 1) in known._worked


async def test_what_comes_after_giving_up_is_thrown_away() -> None:
    calls, gate, thrown = BlockingCalls("test", 1, "busy"), threading.Event(), list[int]()

    def work() -> int:
        gate.wait(60)
        return 7

    task = asyncio.create_task(calls.run(work, thrown.append))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(OSError, match="busy"):
        await calls.run(work, thrown.append)
    gate.set()
    await until(lambda: thrown == [7])
    assert await calls.run(work, thrown.append) == 7


async def test_a_refused_client_certificate_is_said_in_words(
    mosquitto: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("server")
    broker = mosquitto(
        f"cafile {authority.path}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n"
    )
    caplog.set_level(logging.CRITICAL)
    url = broker.url.replace("mqtt:", "mqtts:")
    with pytest.raises(OSError, match="refuses our certificate: TLSV13_ALERT_CERTIFICATE_REQUIRED"):
        await Caller().open(make_broker(url, "gw", ca=authority.path))
