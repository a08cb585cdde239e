"""Bytes from anybody: too many, too slow, torn, or of no form at all."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.provision import certrequest
from edge.provision.enrolservice import EnrolService
from edge.provision.esthandler import BODY_LIMIT, HEADER_LIMIT, EstHandler
from edge.provision.httpsserver import ConnectionLimits, client_network
from tests.kit.enrolment import DeviceKey, EnrolmentServer
from tests.long import examples, one_in

POST = b"POST /.well-known/est/kerbstone/simpleenroll HTTP/1.1\r\nHost: x\r\n"
TYPE = b"Content-Type: application/pkcs10\r\n"
CSR = DeviceKey().csr()
GOOD = certrequest.read_csr(CSR)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[EnrolmentServer]:
    """Two connections at a time of one address, three in all, a fifth of a second for each."""
    made = EnrolmentServer(tmp_path, ConnectionLimits(idle_s=20.0, total_s=0.2, threads=3, each=2))
    made.start()
    yield made
    made.close()


def served(world: EnrolmentServer) -> bool:
    """Sooner or later: a thread that was cut off takes a moment to go."""
    while True:
        with contextlib.suppress(OSError):
            return world.ask("cacerts").status == 200


def said(world: EnrolmentServer, data: bytes) -> bytes:
    with world.raw() as stream:
        stream.sendall(data)
        got = b""
        while piece := stream.recv(65536):
            got += piece
    return got


def test_a_body_too_large_is_refused_and_told(world: EnrolmentServer) -> None:
    reply = world.ask("simpleenroll", b"x" * (BODY_LIMIT + 1), {"Kerbstone-Claim": "x"})
    assert reply.status == 413
    assert world.ask("simpleenroll", b"x" * BODY_LIMIT, {"Kerbstone-Claim": "x"}).status == 400


def test_a_length_that_is_promised_only_holds_nobody(world: EnrolmentServer) -> None:
    huge = POST + TYPE + b"Content-Length: 999999999999\r\n\r\n"
    assert b" 413 " in said(world, huge)
    assert world.ask("cacerts").status == 200


@pytest.mark.parametrize(
    "header",
    [
        b"X: " + b"x" * HEADER_LIMIT + b"\r\n",
        b"X: y\r\n" * (HEADER_LIMIT // 6),
        b"x" * (HEADER_LIMIT * 2),
    ],
    ids=["one long", "many", "no end"],
)
def test_a_header_too_large_is_refused(world: EnrolmentServer, header: bytes) -> None:
    answer = said(world, POST + header + b"\r\n")
    assert answer.split(b"\r\n")[0].split()[1] in (b"431", b"400")
    assert b"problem+json" in answer


def test_the_largest_claim_fits_into_a_header(world: EnrolmentServer) -> None:
    from edge.identity.claim import CLAIM_LIMIT

    header = {"Kerbstone-Claim": base64.b64encode(b"x" * CLAIM_LIMIT).decode()}
    assert world.ask("simpleenroll", b"eA==", header).status == 401  # read, and no claim
    header = {"Kerbstone-Claim": base64.b64encode(b"x" * (CLAIM_LIMIT + 1)).decode()}
    assert world.ask("simpleenroll", b"eA==", header).status == 400


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"", b"411"),
        (b"Content-Length: 4\r\nContent-Length: 4\r\n", b"411"),
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"411"),
        (b"Content-Length: -4\r\n", b"400"),
        (b"Content-Length: +4\r\n", b"400"),
        (b"Content-Length: 4\r\nKerbstone-Claim: eA==\r\nKerbstone-Claim: eA==\r\n", b"400"),
        (b"Content-Length: 4\r\n", b"400"),
        (b"Content-Length: 4\r\nKerbstone-Claim: \xff\xfe\r\n", b"400"),
    ],
)
def test_what_is_unclear_is_refused(world: EnrolmentServer, lines: bytes, status: bytes) -> None:
    answer = said(world, POST + TYPE + lines + b"\r\neA==")
    assert answer.split(b"\r\n")[0].split()[1] == status
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_that_ends_early_is_torn(world: EnrolmentServer) -> None:
    with world.raw() as stream:
        stream.sendall(POST + TYPE + b"Content-Length: 100\r\n\r\nhalf")
        socket.socket.shutdown(stream, socket.SHUT_WR)
        assert b" 400 " in stream.recv(65536).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/.well-known/est/other/cacerts", 404),
        ("GET", "/.well-known/est/kerbstone/../../ca.key", 404),
        ("GET", "/.well-known/est/kerbstone/cacerts?x", 404),
        ("GET", "/.well-known/est/kerbstone/simpleenroll", 405),
        ("POST", "/.well-known/est/kerbstone/cacerts", 405),
        ("DELETE", "/.well-known/est/kerbstone/config", 405),
    ],
)
def test_there_are_four_paths_and_a_method_for_each(
    world: EnrolmentServer, method: str, path: str, status: int
) -> None:
    body = b"x" if method == "POST" else None
    assert world.ask("", body, method=method, path=path).status == status


def test_another_type_is_refused(world: EnrolmentServer) -> None:
    assert world.ask("simpleenroll", b"x", {"Content-Type": "text/html"}).status == 415


def test_tls_1_2_is_refused(world: EnrolmentServer) -> None:
    context = world.tls()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    plain = socket.create_connection(("127.0.0.1", world.port))
    with plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_a_slow_client_does_not_hold_up_others(world: EnrolmentServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", world.port)) for _ in range(5)]
    half = world.raw()
    half.sendall(POST)
    assert world.ask("cacerts").status == 200
    for each in (*silent, half):
        each.close()


def test_a_slow_client_is_cut_off_and_an_address_has_a_share(narrow: EnrolmentServer) -> None:
    slow = [socket.create_connection(("127.0.0.1", narrow.port), timeout=20) for _ in range(4)]
    for each in slow:
        assert (
            each.recv(1) == b""
        )  # two at once, for they are too many; two when their time is over
        each.close()
    assert served(narrow)


def test_somebody_who_drips_is_cut_off_all_the_same(narrow: EnrolmentServer) -> None:
    with narrow.raw() as stream:
        stream.settimeout(0.01)
        while True:  # a byte at a time never is silence
            try:
                stream.sendall(b"G")
                if not stream.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert served(narrow)


def silent(world: EnrolmentServer, address: str) -> socket.socket:
    """A connection, and nothing on it."""
    return socket.create_connection(("127.0.0.1", world.port), 20, (address, 0))


def half_open(world: EnrolmentServer, address: str) -> socket.socket:
    """It has said hello in TLS, and does not go on."""
    out = ssl.MemoryBIO()
    hello = world.tls().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    link = silent(world, address)
    link.sendall(out.read())
    return link


def dripping(world: EnrolmentServer, address: str) -> socket.socket:
    """All of TLS, and a byte of the request; another one comes in time, as often as it takes."""
    link = world.tls().wrap_socket(silent(world, address), server_hostname="localhost")
    link.sendall(POST[:1])
    return link


def lingering(world: EnrolmentServer, address: str) -> socket.socket:
    """It has its answer, and does not hang up."""
    link = world.tls().wrap_socket(silent(world, address), server_hostname="localhost")
    link.sendall(b"GET /.well-known/est/kerbstone/cacerts HTTP/1.1\r\n\r\n")
    return link


@one_in(3)
@pytest.mark.parametrize("kind", [silent, half_open, dripping, lingering])
@pytest.mark.parametrize("addresses", [1, 8, 64])
def test_connections_that_ask_for_nothing_lock_nobody_out(
    world: EnrolmentServer, kind: Callable[[EnrolmentServer, str], socket.socket], addresses: int
) -> None:
    """64 of them were enough, and sixteen for those who share an address with them."""
    with contextlib.ExitStack() as links:
        for number in range(80):
            address = f"127.0.0.{1 + number % addresses}"
            with contextlib.suppress(OSError):  # another one has its place already
                links.enter_context(kind(world, address))
        began_s = time.monotonic()
        world.enrolled(DeviceKey())
        assert time.monotonic() - began_s < 8.0


def test_one_who_comes_again_and_again_puts_out_himself_only(world: EnrolmentServer) -> None:
    ends = threading.Event()

    def flood() -> None:
        links: list[socket.socket] = []
        while not ends.is_set():
            with contextlib.suppress(OSError):
                links.append(silent(world, "127.0.0.66"))
            if len(links) > 200:
                links.pop(0).close()
        for each in links:
            each.close()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        for number in range(5):
            world.enrolled(DeviceKey(f"gw-{number:03}"))
    finally:
        ends.set()
        flooding.join()


@pytest.mark.parametrize("held", [(EnrolService, "cacerts"), (EstHandler, "end_headers")])
def test_who_is_being_answered_keeps_his_place(
    world: EnrolmentServer, monkeypatch: pytest.MonkeyPatch, held: tuple[type, str]
) -> None:
    """His request is here: what he asked for is not thrown away, and no half of it."""
    if world.running is None:
        world.start()
    go, began = threading.Event(), threading.Event()
    act = getattr(*held)

    def slow(one: EnrolService | EstHandler) -> Any:
        began.set()
        go.wait(20)
        return act(one)

    monkeypatch.setattr(*held, slow)
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as links:
        asked = pool.submit(world.ask, "cacerts")
        assert began.wait(20)
        for _ in range(80):
            links.enter_context(silent(world, "127.0.0.1"))
        go.set()
        assert asked.result().status == 200


def test_a_machine_without_threads_counts_no_connection_for_ever(
    narrow: EnrolmentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", narrow.port), timeout=20) as link:
                assert link.recv(1) == b""
    assert served(narrow)
    assert any("can't start new thread" in line for line in narrow.log)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("?", "?", True),
    ],
)
def test_whose_a_connection_is(one: str, other: str, same: bool) -> None:
    assert (client_network(one) == client_network(other)) is same


def test_plain_http_gets_nothing(world: EnrolmentServer) -> None:
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in plain.recv(1000)
    assert world.ask("cacerts").status == 200


same = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@same
@given(data=st.binary(max_size=400))
def test_any_bytes_leave_the_server_standing(world: EnrolmentServer, data: bytes) -> None:
    with world.raw() as stream:
        stream.sendall(data)
        socket.socket.shutdown(stream, socket.SHUT_WR)
        answer = stream.recv(65536)
    assert not answer or answer.startswith(b"HTTP/1.1 4")


@same
@given(claim=st.binary(max_size=300), body=st.binary(max_size=300))
def test_any_claim_and_any_request_are_a_4xx(
    world: EnrolmentServer, claim: bytes, body: bytes
) -> None:
    assert 400 <= world.enrol(claim, body).status < 500


@settings(max_examples=examples(400), deadline=None)
@given(where=st.integers(0, len(CSR) - 1), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_request_is_a_request_error(where: int, flip: int, cut: bool) -> None:
    data = bytearray(CSR)
    data[where] ^= flip
    if cut:
        data = data[:where]
    try:
        found = certrequest.read_csr(bytes(data))
        certrequest.check_names(found, "gw-17")
    except (certrequest.CsrError, certrequest.NameRefusedError):
        return
    # what is not signed, and means nothing: bits that the signature's BIT STRING does not use
    assert found.csr.tbs_certrequest_bytes == GOOD.csr.tbs_certrequest_bytes


@settings(max_examples=examples(200), deadline=None)
@given(data=st.binary(max_size=200))
def test_any_body_is_a_request_error(data: bytes) -> None:
    for each in (data, base64.b64encode(data), b"-----BEGIN CERTIFICATE REQUEST-----\n" + data):
        with pytest.raises(certrequest.CsrError):
            certrequest.decode_csr(each)
        with pytest.raises(certrequest.CsrError):
            certrequest.read_csr_file(each)


def test_extensions_that_cannot_be_read_are_malformed() -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x03\x01")
    with pytest.raises(certrequest.CsrError):
        certrequest.check_names(certrequest.read_csr(DeviceKey().csr(odd)), "gw-17")


def test_a_version_that_is_none_is_malformed() -> None:
    data = CSR.replace(b"\x02\x01\x00", b"\x02\x01\x01", 1)
    with pytest.raises(certrequest.CsrError):
        certrequest.read_csr(data)
