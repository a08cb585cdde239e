"""Who is logged in: sessions in the memory of this process, found by an identifier in a cookie.

The cookie says nothing of the session, and the memory does not hold the cookie but its hash. A
session ends IDLE_S after its last request, MOST_S after the login, at a logout, and with the
process, which ends a few minutes after the last phone has gone.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

IDLE_S: Final = 900.0
MOST_S: Final = 8 * 3600.0
SESSIONS: Final = 16  # at a box stand one or two people; the one unused for longest gives way
TOKEN_BYTES: Final = 32
COOKIE: Final = "__Host-kerbstone"  # a browser keeps such a cookie to this host, and to TLS


@dataclass(slots=True)
class Session:
    """One login. `csrf` goes to the page, and comes back with each change. Seconds, monotonic."""

    csrf: str
    began_s: float
    seen_s: float


class Sessions:
    """All of them, by the hash of their cookie; the one that was used last stands last."""

    def __init__(self, idle_s: float = IDLE_S, most_s: float = MOST_S) -> None:
        self._idle_s, self._most_s = idle_s, most_s
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, now_s: float) -> tuple[str, Session]:
        """After a login: the value of the cookie, and the session."""
        self._forget_old(now_s)
        while len(self._sessions) >= SESSIONS:
            self._sessions.popitem(last=False)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        session = Session(secrets.token_urlsafe(TOKEN_BYTES), now_s, now_s)
        self._sessions[_key(token)] = session
        return token, session

    def find(self, token: str | None, now_s: float) -> Session | None:
        """The session of a cookie, used by that; None when it is nobody's, or has ended."""
        if not token:
            return None
        key = _key(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        if self._has_ended(session, now_s):
            del self._sessions[key]
            return None
        session.seen_s = now_s
        self._sessions.move_to_end(key)
        return session

    def close(self, token: str | None) -> None:
        """A logout; of a cookie that is nobody's, nothing happens."""
        if token:
            self._sessions.pop(_key(token), None)

    def _has_ended(self, session: Session, now_s: float) -> bool:
        return now_s - session.seen_s >= self._idle_s or now_s - session.began_s >= self._most_s

    def _forget_old(self, now_s: float) -> None:
        for key in [k for k, each in self._sessions.items() if self._has_ended(each, now_s)]:
            del self._sessions[key]


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
