"""HTTP of a stranger, within bounds of time and size: uvicorn's protocol with an end to all waits.

A request has to be there wholly within REQUEST_S, however slowly it drips; an answer that nobody
reads ends the connection after UNREAD_S; a head has at most HEAD_LIMIT bytes.
"""

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S: Final = 15.0  # of one request, from its first byte (or the handshake) to its last
UNREAD_S: Final = 20.0
HEAD_LIMIT: Final = 16 << 10
KEEP_ALIVE_S: Final = 15
ALL_READ: Final = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)


class BoundedHttp(H11Protocol):
    """One connection. `is_idle`: nothing of it is under way, so it may give way to another.
    `is_over`: it has gone."""

    is_over = False
    _request_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        """End it at once; nothing more is sent."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state in ALL_READ:
            self._stop_request_timer()
        elif self._request_timer is None:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self._stop_request_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(UNREAD_S, self.abort)

    def resume_writing(self) -> None:
        self._stop_unread_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is not h11.SEND_BODY:
            self._stop_request_timer()
        elif self._request_timer is None:  # the next one had come along with this one
            self._await_request()

    def _await_request(self) -> None:
        self._request_timer = self.loop.call_later(REQUEST_S, self.abort)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
