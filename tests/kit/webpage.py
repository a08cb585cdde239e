"""The page as a process, `kerbstone web`, and a browser that says exactly what a test wants.

An example:

    with WebPage(tmp_path, run_dir) as page:
        browser = page.browser()
        browser.log_in()
        assert browser.get("/api/ask/status").status == 200
"""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from edge.core.pagecertificate import LOGIN_NAME
from edge.core.secrethash import hash_secret
from edge.web.access import CSRF_HEADER

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "under-the-door-7"
SITE: Final = """version = 1
[site]
id = "crossing"
gateway = "box-7"
[store]
run_dir = "{run_dir}"
{more}
"""


@dataclass
class Answer:
    """What came back; header names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ReachedPage(Protocol):
    """A page on a port of this machine, wherever it runs."""

    @property
    def port(self) -> int: ...

    @property
    def secret(self) -> str: ...


class WebPage:
    """Listens on a port of its own; ends with the `with` block."""

    def __init__(
        self,
        folder: Path,
        run_dir: Path,
        more: str = "",
        secret: str = SECRET,
        site: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`site`: a site file that is there, in place of a small one. `env`: its environment."""
        self._env = os.environ if env is None else env
        self.folder, self.run_dir, self.secret = folder, run_dir, secret
        self.state, self.site = folder / "web", site or folder / "page.toml"
        self.state.mkdir(exist_ok=True)
        if site is None:
            self.configure(more)
        if secret:
            (self.state / LOGIN_NAME).write_text(hash_secret(secret))
        self.port = 0
        self.fingerprint = ""

    def configure(self, more: str) -> None:
        """Write the site file anew, with these lines at its end."""
        self.site.write_text(SITE.format(run_dir=self.run_dir, more=more))

    def __enter__(self) -> "WebPage":
        self._log = (self.folder / "web.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli.main", "web", "--listen", "127.0.0.1:0",
             "--state", str(self.state), "--config", str(self.site)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**self._env, "PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "2"},
        )  # fmt: skip
        assert self._process.stdout is not None
        first, second = self._process.stdout.readline(), self._process.stdout.readline()
        assert first, self.log()
        self.port = int(first.strip().rstrip("/").rpartition(":")[2])
        self.fingerprint = second.strip().rpartition(" ")[2]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        return self._process.returncode

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def log(self) -> str:
        return (self.folder / "web.log").read_text(errors="replace")

    def rss_mib(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def connect(self) -> ssl.SSLSocket:
        """A connection on which a test says what it likes."""
        plain = socket.create_connection(("127.0.0.1", self.port), 30)
        return trusting().wrap_socket(plain, server_hostname="localhost")

    def browser(self) -> "Browser":
        return Browser(self)


def trusting() -> ssl.SSLContext:
    """As a person who has passed the warning."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass
class Browser:
    """Keeps the cookie and the token of the page, as a browser does."""

    page: ReachedPage
    cookie: str = ""
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """With all that the page's own script sends along; `headers` replace it."""
        sent = {
            "content_type": "application/json",
            "origin": f"https://127.0.0.1:{self.page.port}",
            CSRF_HEADER: self.csrf,
            **headers,
        }
        return self.ask("POST", path, json.dumps({} if body is None else body), sent)

    @contextmanager
    def stream(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """An answer that goes on, to be read line by line."""
        link = http.client.HTTPSConnection(
            "127.0.0.1", self.page.port, timeout=30, context=trusting()
        )
        link.request("GET", path, headers={"cookie": self.cookie})
        found = link.getresponse()
        try:
            yield found
        finally:
            found.close()
            link.close()

    def ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        link = http.client.HTTPSConnection(
            "127.0.0.1", self.page.port, timeout=60, context=trusting()
        )
        sent = {key.replace("_", "-"): value for key, value in headers.items() if value}
        if self.cookie:
            sent.setdefault("cookie", self.cookie)
        try:
            link.request(method, path, body, {**self.headers, **sent})
            found = link.getresponse()
            names = {key.lower(): value for key, value in found.getheaders()}
            return Answer(found.status, names, found.read())
        finally:
            link.close()

    def log_in(self, secret: str = "") -> Answer:
        answer = self.post("/api/login", {"secret": secret or self.page.secret})
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
            self.csrf = answer.json["csrf"]
        return answer
