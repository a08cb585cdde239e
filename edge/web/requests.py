"""What a handler does with a request: its JSON, its cookie, its answer."""

import gzip
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from edge.web.plainjson import json_text, parse_plain_json
from edge.web.sessions import COOKIE

BODY_LIMIT: Final = 256 << 10  # a whole site file, and its escapes
TOKEN_LIMIT: Final = 128
LARGE: Final = 2048  # bytes of an answer that is worth packing


class RequestRefusedError(Exception):
    """A request that is not met: `code` is a word that the page has a sentence for."""

    def __init__(self, status: int, code: str, text: str = "", **more: Any) -> None:
        super().__init__(text or code)
        self.status, self.code, self.text, self.more = status, code, text, more


def json_response(value: Any, status: int = 200) -> Response:
    """Never kept by a browser: `guard.py` adds that."""
    return Response(json_text(value).encode(), status, media_type="application/json")


def packed_response(request: Request, value: Any) -> Response:
    """The same, packed where the browser can unpack it. Not for what holds a token: the length of
    what is packed together with a stranger's words would tell of it."""
    response = json_response(value)
    if len(response.body) > LARGE and "gzip" in request.headers.get("accept-encoding", ""):
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
        data = gzip.compress(bytes(response.body), 6, mtime=0)
        return Response(data, headers=headers, media_type="application/json")
    return response


def refusal(error: RequestRefusedError) -> Response:
    """The answer to a request that is not met."""
    response = json_response({"error": error.code, "text": error.text, **error.more}, error.status)
    if wait_s := error.more.get("wait_s"):
        response.headers["retry-after"] = str(int(wait_s) + 1)
    return response


async def read_object(request: Request, limit: int = BODY_LIMIT) -> dict[str, Any]:
    """The JSON object that came along. Raises RequestRefusedError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestRefusedError(415, "bad_request", "the body is JSON")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise RequestRefusedError(413, "too_large")
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limit:
            raise RequestRefusedError(413, "too_large")
    try:
        found = parse_plain_json(bytes(data))
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(400, "bad_request", "the body is no JSON") from error
    if not isinstance(found, dict):
        raise RequestRefusedError(400, "bad_request", "the body is a JSON object")
    return found


def read_token(request: Request) -> str | None:
    """The cookie of a session; None when there is none, or no such thing."""
    token = request.cookies.get(COOKIE)
    return token if token and len(token) <= TOKEN_LIMIT else None


def source_of(request: Request) -> str:
    """Who asks, as far as it is known: behind the socket proxy of an interface it is not."""
    return request.client.host if request.client is not None else ""
