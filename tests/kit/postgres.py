"""A PostgreSQL for the tests of one process: own folder, own socket, no port, gone at its end.

server = PostgresServer.start(folder)
url = server.database()  # with the tables of this version, empty
server.stop()
"""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from edge.platform.postgres.migrate import migrate

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
# tests kill no power here: what waits for the disk in each commit is left out
QUICK = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")


def missing() -> str:
    """Why there is no server here; empty if there is one."""
    return "" if PROGRAMS else "PostgreSQL is missing: apt install postgresql"


def socket_folder() -> Path:
    """A new one: the path of a socket has to be short, and another user has to reach it."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


class PostgresServer:
    """Stopped by `stop`. It refuses to be root, so a root that tests lends it another user."""

    def __init__(self, folder: Path, options: Sequence[str] = QUICK) -> None:
        self.folder, self._options = folder, options
        self.data = folder / "data"
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._template = False

    @classmethod
    def made(cls, folder: Path, options: Sequence[str] = QUICK) -> "PostgresServer":
        """A new one, started."""
        server = cls(folder, options)
        folder.mkdir(parents=True, exist_ok=True)
        if user := _user():
            shutil.chown(folder, user, user)
        server._run(
            "initdb", "-D", server.data, "-U", "city", "--auth=trust", "--no-sync",
            "--encoding=UTF8", "--locale=C.UTF-8",
        )  # fmt: skip
        return server.start()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the server itself; its sessions are children of it."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def start(self, **environment: str) -> "PostgresServer":
        """`environment` is added to ours."""
        command = _command(
            "postgres", "-D", self.data, "-k", self.folder,
            "-c", "listen_addresses=", "-c", "max_connections=40", *self._options,
        )  # fmt: skip
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    command, stdout=log, stderr=log, cwd="/", env={**os.environ, **environment}
                )
            while self._process.poll() is None:
                if self._run("pg_isready", "-h", self.folder, "-q", must=False):
                    return self
                time.sleep(0.05)
            time.sleep(0.2)  # one that was killed leaves its sessions for a moment
        raise RuntimeError(f"PostgreSQL does not start:\n{self._log()}")

    def url(self, name: str) -> str:
        return f"postgresql://city@/{name}?host={self.folder}"

    def database(self) -> str:
        """A new one with empty tables."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            if not self._template:
                db.execute("CREATE DATABASE model")
                with psycopg.connect(self.url("model"), autocommit=True) as model:
                    migrate(model)
                self._template = True
            name = f"city{next(self._numbers)}"
            db.execute(f"CREATE DATABASE {name} TEMPLATE model STRATEGY file_copy")
        return self.url(name)

    def kill(self) -> None:
        """As by the kernel, when memory is short."""
        assert self._process is not None
        os.kill(self.pid, 9)
        self._process.wait(30)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *words: object, must: bool = True) -> bool:
        command = _command(program, *words)
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if must and done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}\n{self._log()}")
        return done.returncode == 0

    def _log(self) -> str:
        log = self.folder / "log"
        return log.read_text() if log.exists() else ""


def _user() -> str:
    """Whom the server runs as; empty: as we do."""
    return "postgres" if os.getuid() == 0 else ""


def _command(program: str, *words: object) -> list[str]:
    mine = [str(PROGRAMS[-1] / program), *map(str, words)]
    if not (user := _user()):
        return mine
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--", *mine]
