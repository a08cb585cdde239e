"""The web application: which address is answered by what. All parts of the page meet here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from edge.control.protocol import NO_DAEMON_TEXT
from edge.core.clock import AsyncClock
from edge.core.release import VERSION
from edge.web.access import Access, Gate
from edge.web.daemonasker import DaemonAnswer, DaemonAsker
from edge.web.doctorrun import DoctorRun
from edge.web.eventstream import EventStream
from edge.web.guard import App, Guard
from edge.web.journal import LEVELS, read_journal
from edge.web.livefeed import LiveFeed
from edge.web.loginlimit import LoginLimit
from edge.web.loginsecret import BusyError, NoSecretError, SecretLook
from edge.web.pages import LANGUAGES, PAGES
from edge.web.pagesettings import SettingsFile
from edge.web.pageverbs import CHANGING, READING, PageVerb
from edge.web.publicanswer import public_answer, public_text
from edge.web.requests import (
    RequestRefusedError,
    json_response,
    packed_response,
    read_object,
    read_token,
    refusal,
    source_of,
)
from edge.web.sessions import COOKIE, Sessions
from edge.web.sitefilerequest import leave_site_file, site_file_answer
from edge.web.staticfiles import StaticFiles

Handler = Callable[[Request], Awaitable[Response]]
LOGIN_LIMIT: Final = 4096  # bytes of a login
START_PAGE: Final = "static/index.html"
STATUS: Final = {
    "stopped": 503, "handed_over": 503, "silent": 504, "older": 501, "refused": 409, "closed": 503,
    "busy": 503,
}  # fmt: skip


class WebApp:
    """Everything of the page but its socket. `close` ends its threads."""

    def __init__(
        self,
        settings: SettingsFile,
        doctor: DoctorRun,
        secret: SecretLook,
        clock: AsyncClock,
        fingerprint: str,
    ) -> None:
        self._settings, self._secret, self._fingerprint = settings, secret, fingerprint
        self._gate = Gate(Sessions(), settings, clock)
        self._limit = LoginLimit()
        self._asker = DaemonAsker(self._run_dir, self._store_dir)
        self._feed = LiveFeed(self._asker, clock)
        self._files = StaticFiles()
        self._doctor = doctor
        self._reading_log = asyncio.Lock()

    def app(self) -> App:
        """As ASGI."""
        routes = [
            Route("/", self._start, methods=["GET"]),
            Route("/api/session", self._session, methods=["GET"]),
            Route("/api/login", _answering(self._login), methods=["POST"]),
            Route("/api/logout", self._for("session", self._logout), methods=["POST"]),
            Route("/api/events", self._for("look", self._events), methods=["GET"]),
            Route("/api/ask/{verb}", self._for("look", self._ask), methods=["GET"]),
            Route("/api/change/{verb}", self._for("settings", self._change), methods=["POST"]),
            Route("/api/doctor", self._for("session", self._doctor_state), methods=["GET"]),
            Route("/api/doctor", self._for("session", self._doctor_begin), methods=["POST"]),
            Route("/api/log", self._for("session", self._log), methods=["GET"]),
            Route("/api/config", self._for("settings", self._config_leave), methods=["POST"]),
            Route("/api/config/{id}", self._for("session", self._config_answer), methods=["GET"]),
            Route("/{path:path}", self._static, methods=["GET"]),
        ]
        return Guard(Router(routes), self._settings)  # without the frame of an error page

    def close(self) -> None:
        self._secret.close()
        self._asker.close()

    def _run_dir(self) -> Path:
        return self._settings.read().run_dir

    def _store_dir(self) -> Path:
        return self._settings.read().store_dir

    def _for(self, access: Access, handler: Handler) -> Handler:
        """The handler, for those who may."""

        async def checked(request: Request) -> Response:
            self._gate.check(request, access)
            return await handler(request)

        return _answering(checked)

    # -- who is there -------------------------------------------------------------------------

    async def _session(self, request: Request) -> Response:
        """What the page has to know before anything else. For everybody: it says no secret."""
        session, settings = self._gate.session(request), self._settings.read()
        return json_response(
            {
                "logged_in": session is not None,
                "csrf": "" if session is None else session.csrf,
                "may_look": session is not None or settings.without_login == "read",
                "settings": settings.settings,
                "problem": "" if session is None else settings.problem,
                "no_login": "" if session is not None else self._secret.problem(),
                "gateway": settings.gateway,
                "fingerprint": self._fingerprint,
                "version": VERSION,
                "pages": PAGES,
                "languages": LANGUAGES,
            }
        )

    async def _login(self, request: Request) -> Response:
        given = await read_object(request, LOGIN_LIMIT)
        typed, source, now_s = given.get("secret"), source_of(request), self._gate.now_s()
        if not isinstance(typed, str):
            raise RequestRefusedError(400, "bad_request", "`secret` is what was typed")
        if wait_s := self._limit.wait_s(source, now_s):
            raise RequestRefusedError(429, "wait", wait_s=round(wait_s, 1))
        self._limit.begin(source, now_s)
        try:
            right = await self._secret.is_right(typed)
        except BusyError:
            raise RequestRefusedError(503, "wait", wait_s=2.0) from None
        except NoSecretError as error:
            raise RequestRefusedError(503, "no_login", str(error)) from None
        if not right:
            raise RequestRefusedError(403, "wrong_secret")
        self._limit.right(source)
        self._gate.sessions.close(read_token(request))
        token, session = self._gate.sessions.open(self._gate.now_s())
        response = json_response({"csrf": session.csrf})
        response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")
        return response

    async def _logout(self, request: Request) -> Response:
        self._gate.sessions.close(read_token(request))
        response = json_response({})
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return response

    # -- what the daemon says -----------------------------------------------------------------

    async def _events(self, request: Request) -> Response:
        parts = request.query_params.get("parts", "")[:256].split(",")
        return EventStream(
            self._feed,
            parts,
            lambda: self._gate.may_look(request),
            lambda: self._gate.session(request) is None,
        )

    async def _ask(self, request: Request) -> Response:
        verb = READING.get(request.path_params["verb"])
        if verb is None:
            raise RequestRefusedError(404, "not_found")
        words = dict(request.query_params)
        if any(each in verb.private for each in words):
            self._gate.check(request, "session")
        return await self._asked(request, verb, words)

    async def _change(self, request: Request) -> Response:
        verb = CHANGING.get(request.path_params["verb"])
        if verb is None:
            raise RequestRefusedError(404, "not_found")
        return await self._asked(request, verb, await read_object(request))

    async def _asked(self, request: Request, verb: PageVerb, words: Mapping[str, Any]) -> Response:
        if odd := [each for each in words if each not in verb.words]:
            raise RequestRefusedError(400, "bad_request", f"not known here: {odd[0]:.40}")
        name = request.path_params["verb"]
        found = await self._asker.ask(name, verb.timeout_s, **words)
        if self._gate.session(request) is None:
            answer = None if found.answer is None else public_answer(name, found.answer)
            found = replace(found, answer=answer, text=public_text(found.state, found.text))
        return _daemon_response(request, found)

    # -- programs beside it ---------------------------------------------------------------------

    async def _doctor_state(self, request: Request) -> Response:
        return packed_response(request, self._doctor.state())

    async def _doctor_begin(self, request: Request) -> Response:
        self._doctor.begin()
        return json_response(self._doctor.state())

    async def _log(self, request: Request) -> Response:
        level = request.query_params.get("level", LEVELS[0])
        if level not in LEVELS:
            raise RequestRefusedError(400, "bad_request", f"level is one of {', '.join(LEVELS)}")
        if self._reading_log.locked():
            raise RequestRefusedError(503, "daemon_busy")
        async with self._reading_log:
            return packed_response(request, await read_journal(level))

    # -- a site file, which root puts in place ----------------------------------------------------

    async def _config_leave(self, request: Request) -> Response:
        return json_response({"id": leave_site_file(await read_object(request))})

    async def _config_answer(self, request: Request) -> Response:
        return packed_response(request, site_file_answer(request.path_params["id"]))

    # -- files --------------------------------------------------------------------------------

    async def _start(self, request: Request) -> Response:
        return self._file(request, START_PAGE)

    async def _static(self, request: Request) -> Response:
        return self._file(request, request.path_params["path"])

    def _file(self, request: Request, path: str) -> Response:
        found = self._files.find(path)
        if found is None:
            return json_response({"error": "not_found"}, 404)
        headers = {"etag": found.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if found.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(found.packed, headers=headers, media_type=found.kind)
        return Response(found.plain(), headers=headers, media_type=found.kind)


def _daemon_response(request: Request, found: DaemonAnswer) -> Response:
    if found.answer is not None:
        try:
            return packed_response(request, found.answer)
        except RecursionError:
            found = DaemonAnswer("refused", text=NO_DAEMON_TEXT)
    words = {"error": f"daemon_{found.state}", "text": found.text}
    return json_response(words, STATUS[found.state])


def _answering(handler: Handler) -> Handler:
    """A refusal is an answer, too."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestRefusedError as error:
            return refusal(error)

    return answered
