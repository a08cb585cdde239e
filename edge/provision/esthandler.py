"""One HTTP request: read within limits, given to the enrolment service, answered, closed."""

import contextlib
import http.client
import http.server
import re
import ssl
from collections.abc import Callable
from email.utils import format_datetime
from io import BufferedIOBase
from typing import Any, Final

from edge.provision.enroldatabase import EnrolStoreError
from edge.provision.estanswers import HttpAnswer, problem_answer
from edge.provision.httpsserver import EnrolServer

HEADER_LIMIT: Final = (
    32 << 10
)  # bytes, with the request's line: a claim is 22 KiB of base64 at most
BODY_LIMIT: Final = 64 << 10
PATH_PATTERN: Final = re.compile(r"/\.well-known/est/([a-z0-9-]{1,32})/([a-z]{1,16})")
METHODS: Final = {
    "simpleenroll": ("POST",),
    "simplereenroll": ("POST",),
    "cacerts": ("GET",),
    "config": ("GET",),
    "proposal": ("GET", "POST"),
    "report": ("POST",),
}
# of what is posted; else it is a certificate request
TYPES: Final = {"proposal": "application/json", "report": "application/json"}
CLAIM_HEADER: Final = "Kerbstone-Claim"


class _BoundedHeader:
    """The stream, until the header's bytes are used up."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = HEADER_LIMIT

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise http.client.LineTooLong("header")
        return line


class EstHandler(http.server.BaseHTTPRequestHandler):
    """See `EnrolServer`. Nothing of a request but its path and its address is logged."""

    server: EnrolServer
    protocol_version = "HTTP/1.1"
    server_version = "Kerbstone"
    sys_version = ""

    def handle(self) -> None:
        stream = self.rfile
        self.rfile = _BoundedHeader(stream)  # type: ignore[assignment]
        self.close_connection = True
        try:
            self.raw_requestline = self.rfile.readline(HEADER_LIMIT)
            self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
            if not self.raw_requestline or not self.parse_request():
                return
            self.rfile = stream
            with contextlib.ExitStack() as working:  # until the answer is on its way
                self._send(self._answer(working))
        except http.client.LineTooLong:
            self._send(
                problem_answer(
                    431, "malformed", "Too large", f"header of more than {HEADER_LIMIT} bytes"
                )
            )
        finally:
            self.rfile = stream

    def _answer(self, working: contextlib.ExitStack) -> HttpAnswer:
        found = PATH_PATTERN.fullmatch(self.path)
        if found is None or found[1] != self.server.service.label or found[2] not in METHODS:
            return problem_answer(404, "missing", "Not found", "no such path or label")
        verb = found[2]
        if self.command not in METHODS[verb]:
            return problem_answer(
                405, "malformed", "Wrong method", f"use {' or '.join(METHODS[verb])} for {verb}"
            )
        try:
            act = self._act(verb)  # the body is read, too
            working.enter_context(self.server.at_work(self.connection))
            return self.server.service.answer(act)
        except EnrolStoreError as error:
            self.server.log(str(error))
            return problem_answer(503, "busy", "The store cannot be used", "try again later")

    def _act(self, verb: str) -> Callable[[], HttpAnswer]:
        service = self.server.service
        if self.command == "GET":
            return {
                "cacerts": service.cacerts,
                "config": lambda: service.config(self._peer()),
                "proposal": lambda: service.proposal(self._peer()),
            }[verb]
        kind = TYPES.get(verb, "application/pkcs10")
        if self.headers.get_content_type() != kind:
            return lambda: problem_answer(415, "malformed", "Wrong type", f"it must be {kind}")
        claims = self.headers.get_all(CLAIM_HEADER, [])
        body = self._body()
        if isinstance(body, HttpAnswer):
            return lambda: body
        if verb == "proposal":
            return lambda: service.propose(self._peer(), body, str(self.client_address[0]))
        if verb == "report":
            return lambda: service.report(self._peer(), body)
        if verb == "simplereenroll":
            return lambda: service.reenrol(self._peer(), body)
        if len(claims) > 1:
            return lambda: problem_answer(
                400, "malformed", "Unclear", f"several headers {CLAIM_HEADER}"
            )
        claim = claims[0] if claims else None
        return lambda: service.enrol(claim, body, str(self.client_address[0]))

    def _body(self) -> bytes | HttpAnswer:
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or len(lengths) != 1:
            return problem_answer(411, "malformed", "Length required", "send one Content-Length")
        if not re.fullmatch(r"[0-9]{1,12}", lengths[0]):
            return problem_answer(400, "malformed", "Wrong length", "invalid Content-Length")
        length = int(lengths[0])
        if length > BODY_LIMIT:
            return problem_answer(
                413, "malformed", "Too large", f"body of more than {BODY_LIMIT} bytes"
            )
        data = self.rfile.read(length)
        if len(data) != length:
            return problem_answer(400, "malformed", "Torn", "the body ended early")
        return data

    def _peer(self) -> bytes | None:
        connection = self.connection
        return connection.getpeercert(True) if isinstance(connection, ssl.SSLSocket) else None

    def _send(self, answer: HttpAnswer) -> None:
        verb = self.path.rpartition("/")[2][:16] if hasattr(self, "path") else "-"
        self.server.log(f"{self.client_address[0]}: {verb!r} {answer.status} {answer.log_text}")
        self.request_version = "HTTP/1.1"  # whatever it was: an answer has a header
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses by itself: in our form, and without an echo."""
        self._send(
            problem_answer(int(code), "malformed", "The request cannot be read", "not HTTP/1.1")
        )

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.service.now(), usegmt=True)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """`_send` has logged it."""

    def log_message(self, format: str, *args: Any) -> None:
        """`_send` has logged it."""
