"""Who may do what: look, change, or nothing before the login."""

import hmac
from typing import Literal

from starlette.requests import Request

from edge.core.clock import Clock
from edge.web.pagesettings import SettingsFile
from edge.web.requests import RequestRefusedError, read_token
from edge.web.sessions import Session, Sessions

CSRF_HEADER = "x-kerbstone-csrf"
Access = Literal["look", "session", "settings"]


class Gate:
    """Sessions and settings together."""

    def __init__(self, sessions: Sessions, settings: SettingsFile, clock: Clock) -> None:
        self.sessions, self.settings = sessions, settings
        self._clock = clock

    def now_s(self) -> float:
        """Monotonic."""
        return self._clock.now().mono_ns / 1e9

    def session(self, request: Request) -> Session | None:
        return self.sessions.find(read_token(request), self.now_s())

    def may_look(self, request: Request) -> bool:
        return self.session(request) is not None or self.settings.read().without_login == "read"

    def check(self, request: Request, access: Access) -> None:
        """Raises RequestRefusedError. What changes anything, and so comes by POST, brings the
        token along that only this page knows."""
        if access == "look" and request.method != "POST":
            if not self.may_look(request):
                raise RequestRefusedError(401, "login_needed")
            return
        session = self.session(request)
        if session is None:
            raise RequestRefusedError(401, "login_needed")
        if request.method == "POST":
            token = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(token.encode("latin-1", "replace"), session.csrf.encode()):
                raise RequestRefusedError(403, "stale_page")
        if access == "settings" and not self.settings.read().settings:
            raise RequestRefusedError(403, "settings_locked", self.settings.read().problem)
