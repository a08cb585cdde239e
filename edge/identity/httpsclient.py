"""One question to the enrolment server and its answer: HTTPS, TLS 1.3, the pinned authority only.

OpenSSL is set not to look at the dates of the server's certificate (X509_V_FLAG_NO_CHECK_TIME),
because the clock of a new box may say 1970 or 2040; they are looked at here, as far as the time is
known. What that costs: while it is not known, somebody who has stolen the key of an *expired*
certificate of the enrolment server can play it. He can not forge an identity, a configuration or a
claim: these are signed by others. All else (chain, name, purpose) is checked by OpenSSL.
Source: X509_VERIFY_PARAM_set_flags(3); RFC 7030 section 3.3.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from cryptography import x509

from edge.identity.certs import UNREADABLE
from edge.identity.floorclock import FloorClock
from edge.identity.identitybundle import EnrolmentTarget, IdentityBundle

NO_CHECK_TIME: Final = 0x200000
REPLY_LIMIT: Final = 512 << 10  # bytes of one answer
IDLE_TIMEOUT_S: Final = 20.0  # nothing comes
TOTAL_TIMEOUT_S: Final = 120.0  # everything together, however slowly it drips
PORT: Final = 443


class ServerError(Exception):
    """No answer that can be used: ask again later."""


class UntrustedError(ServerError):
    """Somebody answers who is not the server of the claim, or it does not speak TLS 1.3."""


@dataclass(frozen=True)
class HttpsRequest:
    """`name` is the last part of the path; without a body it is a GET."""

    target: EnrolmentTarget
    ca: bytes
    name: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    identity: IdentityBundle | None = None


@dataclass(frozen=True)
class HttpsReply:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpsCall(Protocol):
    """Raises ServerError."""

    def __call__(self, request: HttpsRequest, clock: FloorClock) -> HttpsReply: ...


def https_request(request: HttpsRequest, clock: FloorClock) -> HttpsReply:
    """Over the network. A redirect is an answer like any other: nobody follows it."""
    try:
        parts = urlsplit(request.target.enrol)
        connection = _connection(request, parts.hostname or "", parts.port or PORT)
    except ValueError as error:
        raise ServerError(f"the server's address, or the proxy's, is none: {error}") from error
    path = f"{parts.path.rstrip('/')}/.well-known/est/{request.target.label}/{request.name}"
    method = "GET" if request.body is None else "POST"
    limit = threading.Timer(TOTAL_TIMEOUT_S, connection.cut)
    limit.daemon = True
    limit.start()
    try:
        connection.connect()
        _note_dates(connection, clock)
        connection.request(method, path, request.body, dict(request.headers))
        answer = connection.getresponse()
        body = answer.read(REPLY_LIMIT + 1)
        headers = {name.lower(): value for name, value in answer.getheaders()}
    except ssl.SSLCertVerificationError as error:
        raise UntrustedError(f"{parts.hostname}: {error.verify_message}") from error
    except ssl.SSLError as error:
        if connection.late:
            raise ServerError(f"{parts.hostname}: too slow") from error
        raise UntrustedError(f"{parts.hostname}: TLS: {error.reason or error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = "too slow" if connection.late else str(error) or type(error).__name__
        raise ServerError(f"{parts.hostname}: {why}") from error
    finally:
        limit.cancel()
        connection.close()
    if len(body) > REPLY_LIMIT:
        raise ServerError(f"{parts.hostname}: the answer is larger than {REPLY_LIMIT} bytes")
    _date(headers.get("date"), clock)
    return HttpsReply(answer.status, headers, body)


def pinned_context(ca: bytes, identity: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Trusts this authority and nobody else."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    made.load_verify_locations(cadata=ca.decode("ascii"))
    if identity is not None:
        made.load_cert_chain(*identity)
    return made


class AbortableConnection(http.client.HTTPSConnection):
    """One that can be cut from another thread, in the middle of a handshake too."""

    def __init__(self, at: tuple[str, int], name: str, made: ssl.SSLContext) -> None:
        super().__init__(*at, timeout=IDLE_TIMEOUT_S, context=made)
        self.name, self.made = name, made
        self.late = False
        self._wire: socket.socket | None = None
        self._create_connection = self._reach  # called before a proxy is spoken to, too

    def _reach(self, *at: Any) -> socket.socket:
        sock = socket.create_connection(*at)
        self._wire = sock.dup()  # the same connection: to shut it down is to shut down both
        if self.late:  # it was too late while there was nothing to cut
            sock.close()
            raise TimeoutError
        return sock

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock.getpeername()  # `ssl` would leave one open that was cut or reset just now
        self.sock = self.made.wrap_socket(self.sock, server_hostname=self.name)

    def cut(self) -> None:
        self.late = True
        if self._wire is not None:
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        if self._wire is not None:
            self._wire.close()


def _connection(request: HttpsRequest, host: str, port: int) -> AbortableConnection:
    bundle, proxy = request.identity, request.target.proxy
    try:
        made = pinned_context(request.ca, None if bundle is None else (bundle.cert, bundle.key))
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise UntrustedError(f"key or certificates cannot be loaded: {error}") from error
    if proxy is None:
        return AbortableConnection((host, port), host, made)
    at = urlsplit(proxy)
    connection = AbortableConnection((at.hostname or "", at.port or PORT), host, made)
    connection.set_tunnel(host, port)
    return connection


def _note_dates(connection: AbortableConnection, clock: FloorClock) -> None:
    """The dates of the server's certificate."""
    assert isinstance(connection.sock, ssl.SSLSocket)
    data = connection.sock.getpeercert(binary_form=True)
    if data is None:
        raise UntrustedError("the server shows no certificate")
    try:
        certificate = x509.load_der_x509_certificate(data)
        first = certificate.not_valid_before_utc
        wrong = clock.validity_problem(first, certificate.not_valid_after_utc)
    except UNREADABLE as error:
        raise UntrustedError(f"{connection.name}: its certificate cannot be read") from error
    if wrong is not None:
        raise UntrustedError(f"{connection.name}: the server's certificate {wrong}")
    clock.raise_floor(first)


def _date(text: str | None, clock: FloorClock) -> None:
    """What the server's clock says; it is believed for planning, not for refusing."""
    if text is None:
        return
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return
    if moment.tzinfo is not None:
        clock.note_server_time(moment)
