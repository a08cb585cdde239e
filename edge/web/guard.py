"""What is true of every answer and of every request, whoever made the handler.

Each answer carries the headers that keep a browser from running, framing or keeping anything that
is not ours. A request has to name this box (against a stranger's name that leads here), and a
change has to come from this page itself.
"""

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from edge.web.pagesettings import SettingsFile

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# no Strict-Transport-Security: with it a browser would not let anybody pass the warning about a
# certificate that nobody has signed, and the page could not be reached any more
HEADERS: Final = tuple(
    (name.encode(), value.encode())
    for name, value in (
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    )
)
NO_STORE: Final = (b"cache-control", b"no-store")
READS: Final = ("GET", "HEAD")
PATH_LIMIT: Final = 1024
LOCAL: Final = re.compile(r"\A(?:[a-z0-9-]{1,63}|[a-z0-9-]{1,63}\.(?:local|lan|home\.arpa))\Z")
HOST: Final = re.compile(r"\A(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]{1,5})?\Z")


class Guard:
    """An ASGI application around another one."""

    def __init__(self, inner: App, settings: SettingsFile) -> None:
        self._inner, self._settings = inner, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refused = self._refusal(scope)
        if refused is None:
            await self._inner(scope, receive, _with_headers(send))
            return
        status, code = refused
        body = json.dumps({"error": code}).encode()
        await _with_headers(send)({
            "type": "http.response.start", "status": status,
            "headers": [(b"content-type", b"application/json"), (b"connection", b"close"),
                (b"content-length", str(len(body)).encode())],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and word, of what is not let through."""
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in (b"host", b"origin") and name in headers:
                return 400, "bad_request"
            headers[name] = value
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not is_host_of_ours(host, self._settings.read().names):
            return 421, "wrong_host"
        if len(scope["raw_path"]) > PATH_LIMIT:
            return 414, "bad_request"
        reads = scope["method"] in READS
        if not reads and scope["method"] != "POST":
            return 405, "bad_request"
        site = headers.get(b"sec-fetch-site", b"none")
        if scope["path"].startswith("/api/") and site not in (b"none", b"same-origin"):
            return 403, "wrong_origin"
        if not reads and headers.get(b"origin", b"").decode("latin-1").lower() != f"https://{host}":
            return 403, "wrong_origin"
        return None


def is_host_of_ours(host: str, names: tuple[str, ...] = ()) -> bool:
    """Whether a browser may call this box so: by an address, by a name of a local network, or by
    one of `names`. A name of the internet may be a stranger's who lets it lead here.
    """
    found = HOST.match(host)
    if found is None:
        return False
    name = found[1]
    try:
        ipaddress.ip_address(name.strip("[]"))
        return True
    except ValueError:
        return LOCAL.match(name) is not None or name in names


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        await send(message)

    return sending
