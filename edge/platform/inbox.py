"""What has come and is not yet stored: bounded in messages and bytes, kept over reconnections."""

import asyncio
from typing import Any, Final

import aiomqtt

INBOX_MESSAGES: Final = 20_000
INBOX_BYTES: Final = 64 << 20


class Inbox(asyncio.Queue[aiomqtt.Message]):
    """What comes when it is full is counted and thrown away: without a receipt it comes again."""

    def __init__(self) -> None:
        super().__init__()
        self.thrown_away = 0
        self._bytes = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        size = size_of(item)
        if self.qsize() >= INBOX_MESSAGES or self._bytes + size > INBOX_BYTES:
            self.thrown_away += 1
            return
        self._bytes += size
        super().put_nowait(item)

    def _get(self) -> aiomqtt.Message:  # what asyncio.Queue itself calls, and lets be overridden
        item: aiomqtt.Message = super()._get()
        self._bytes -= size_of(item)
        return item


def size_of(item: aiomqtt.Message) -> int:
    """Bytes of its payload; the library has other types for what we never publish."""
    payload: Any = item.payload
    return len(payload) if isinstance(payload, bytes) else 0
