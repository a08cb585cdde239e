"""Server-sent events to one viewer: as long as it reads, and as long as it may look.

Not WebSockets: iOS refuses these where it does not know who has signed the certificate.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from edge.web.livefeed import FullError, LiveFeed, event_text
from edge.web.requests import RequestRefusedError, refusal

BEGIN = "retry: 1000\n\n"  # milliseconds until a browser comes again


class EventStream(Response):
    """An answer that goes on. `may_look` is asked at each look: a session ends, or a lock falls;
    and `is_public`: whether this viewer has not logged in."""

    def __init__(
        self,
        feed: LiveFeed,
        parts: Iterable[str],
        may_look: Callable[[], bool],
        is_public: Callable[[], bool],
    ) -> None:
        super().__init__(media_type="text/event-stream")
        self._feed, self._parts = feed, tuple(parts)
        self._may_look, self._is_public = may_look, is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._feed.seat(self._parts) as seat:
                await self._begin(send)
                gone = asyncio.create_task(_gone(receive))
                try:
                    while not gone.done():
                        await seat.look()
                        if not self._may_look():
                            await _send(send, event_text("ended", "{}"))
                            break
                        if news := seat.news(public=self._is_public()):
                            await _send(send, news)
                finally:
                    gone.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await gone
                await send({"type": "http.response.body", "body": b""})
        except FullError:
            await refusal(RequestRefusedError(503, "too_many_viewers"))(scope, receive, send)

    async def _begin(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _send(send, BEGIN)


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
