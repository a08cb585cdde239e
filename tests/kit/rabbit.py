"""One RabbitMQ for tests of the city's queue, on loopback: MQTT for gateways, AMQP for a sink.

    node = RabbitNode(folder).start()
    node.port, node.amqp_url

It is not killed: a quorum queue whose only node was killed may find no leader afterwards
(rabbitmq-server issue 10070). The cluster that ships, which is, is in `tests/cluster`.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from deploy.broker.rabbitmq.cluster import BINARIES, QUIET, installed
from tests.kit.broker import free_port
from tests.kit.waiting import wait_until

CONF = """
listeners.tcp.1 = 127.0.0.1:{amqp}
mqtt.listeners.tcp.1 = 127.0.0.1:{mqtt}
mqtt.allow_anonymous = true
anonymous_login_user = guest
anonymous_login_pass = guest
mqtt.durable_queue_type = quorum
mqtt.prefetch = 100
disk_free_limit.absolute = 50MB
message_interceptors.incoming.set_header_timestamp.overwrite = true
log.console = false
log.file.level = info
{more}
"""


def missing() -> str:
    """Why there is no broker here; empty if there is one."""
    return "" if installed() else "RabbitMQ is missing: apt install rabbitmq-server"


class RabbitNode:
    """Started by `start`."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.amqp_port, self.port, between, mapper = (free_port() for _ in range(4))
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None
        self._mapper_port = mapper
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # Erlang's cookie is there
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_NODENAME": "kerb@localhost",
            "RABBITMQ_DIST_PORT": str(between),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": QUIET,
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node: no shell stands between
        }

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def amqp_url(self) -> str:
        return f"amqp://127.0.0.1:{self.amqp_port}"

    @property
    def password_file(self) -> Path:
        """Of the user guest."""
        file = self.folder / "password"
        file.touch(0o600)
        file.write_text("guest\n")
        return file

    def start(self) -> "RabbitNode":
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = {"amqp": self.amqp_port, "mqtt": self.port, "more": self._more}
        (self.folder / "rabbitmq.conf").write_text(CONF.format(**ports))
        (self.folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(0o600)
            cookie.write_text(secrets.token_hex(16))
        if self._mapper is None:
            place = ["-address", "127.0.0.1", "-port", str(self._mapper_port)]
            self._mapper = subprocess.Popen(["epmd", *place], stderr=subprocess.DEVNULL)
        with (self.folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                [BINARIES / "rabbitmq-server"], env=self.environment, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        wait_until(self._started, "RabbitMQ does not start", 120)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ctl(self, *words: str) -> str:
        """What rabbitmqctl says. Raises CalledProcessError."""
        done = subprocess.run(
            [BINARIES / "rabbitmqctl", "--silent", *words], env=self.environment, timeout=120,
            stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True,
        )  # fmt: skip
        return done.stdout

    def waiting(self, queue: str) -> int:
        """Messages in this queue, those that a consumer holds among them."""
        rows = self.ctl("list_queues", "name", "messages", "--no-table-headers")
        found = re.search(rf"^{re.escape(queue)}\t(\d+)$", rows, re.MULTILINE)
        return int(found[1]) if found else 0

    def _started(self) -> bool:
        """Listeners are the last things that a node opens."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"RabbitMQ has ended: {(self.folder / 'console').read_text()}")
        return all(map(_open, (self.amqp_port, self.port)))


def _open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
