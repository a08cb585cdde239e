"""Start three RabbitMQ nodes on loopback with the city's own configuration and a test PKI.

    python deploy/broker/rabbitmq/cluster.py DIR [--port 8883] [--gateway ID]

DIR gets what `python -m edge.provision.pki DIR` makes, and a folder for each node. The nodes have
the port and the next two. Erlang's distribution and its port mapper listen on loopback only, on
ports of their own, so it does not disturb a RabbitMQ that runs on this machine. It runs until it
is ended.
"""

import argparse
import contextlib
import datetime
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))  # from a checkout, wherever it is called

from deploy.broker.rabbitmq import gateways
from edge.core import ConfigError
from edge.provision import pki
from edge.terminal import echo

HERE: Final = Path(__file__).parent
BINARIES: Final = Path("/usr/lib/rabbitmq/bin")  # Debian's; those in /usr/sbin change the user
PLACES: Final = "/etc/rabbitmq/kerbstone"
COUNT: Final = 3
PROGRAMS: Final = ("platform", "platform-sink")  # users of definitions.json that have a certificate
START_S: Final = 180.0
# three nodes on a small machine: two schedulers each, and none that spins while it waits
QUIET: Final = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
LOOPBACK: Final = "-kernel inet_dist_use_interface {127,0,0,1}"


@dataclass(frozen=True, slots=True)
class Ports:
    """All on loopback."""

    mqtt: tuple[int, ...]
    amqp: tuple[int, ...]
    between: tuple[int, ...]
    """For Erlang's distribution, one a node."""
    mapper: int


def installed() -> bool:
    return (BINARIES / "rabbitmq-server").exists() and shutil.which("epmd") is not None


class Node:
    """One broker. `start` again after `kill` is what a machine does after a power cut."""

    def __init__(self, folder: Path, number: int, ports: Ports) -> None:
        self.name = f"kerb{number + 1}@localhost"
        self.folder = folder / f"node{number + 1}"
        self.port, self.between = ports.mqtt[number], ports.between[number]
        self.amqp_port = ports.amqp[number]
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # Erlang's cookie is there
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(ports.mapper),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),  # not that of the machine
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self.between),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(HERE / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{QUIET} {LOOPBACK}",
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node: no shell stands between
        }

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        with (self.folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                [BINARIES / "rabbitmq-server"], env=self.environment, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip

    def wait(self, seconds: float = START_S) -> None:
        """Until it takes connections: the listener is the last thing that a node opens."""
        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > end:
                    why = "has ended" if ended else f"is not there after {seconds:.0f} s"
                    raise ConfigError(
                        f"{self.name} {why}; see {self.folder}/console and {self.folder}/log"
                    ) from None
                time.sleep(0.2)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(number)
            self._process.wait(120)

    def ctl(self, *words: str) -> str:
        """What rabbitmqctl says of this node. Raises CalledProcessError."""
        done = subprocess.run(
            [BINARIES / "rabbitmqctl", "--silent", *words], env=self.environment, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True,
        )  # fmt: skip
        return done.stdout


class Cluster:
    """Three nodes. `folder` has the PKI, in the names of `edge.provision.pki`."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.folder = folder
        self.nodes = [Node(folder, number, ports) for number in range(COUNT)]
        self._mapper: subprocess.Popen[bytes] | None = None
        self._mapper_port = ports.mapper

    def configure(self, changes: Sequence[tuple[str, str]] = ()) -> None:
        """The configuration that ships, on loopback and with its files in this folder."""
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(0o600)
            cookie.write_text(secrets.token_hex(16))
        shutil.copy(HERE / "definitions.json", self.folder)
        self.publish()
        here = (PLACES, str(self.folder))
        advanced = _changed(HERE / "advanced.config", [here])
        (self.folder / "advanced.config").write_text(advanced)
        names = [(f"rabbit@broker{n + 1}", node.name) for n, node in enumerate(self.nodes)]
        for node in self.nodes:
            node.folder.mkdir(exist_ok=True)
            mqtt = "mqtt.listeners.ssl.1 = 8883", f"mqtt.listeners.ssl.1 = 127.0.0.1:{node.port}"
            amqp = "\nlisteners.ssl.1 = 5671", f"\nlisteners.ssl.1 = 127.0.0.1:{node.amqp_port}"
            text = _changed(HERE / "rabbitmq.conf", [here, mqtt, amqp, *names, *changes])
            (node.folder / "rabbitmq.conf").write_text(text)

    def publish(self) -> None:
        """Put the list of revoked certificates where the nodes look for it."""
        gateways.publish_list(self.folder / "crl.pem", self.folder / "crl")

    def start(self) -> None:
        """All at once, as after a power cut: the first time they find each other."""
        place = ["-address", "127.0.0.1", "-port", str(self._mapper_port)]
        self._mapper = subprocess.Popen(["epmd", *place], stderr=subprocess.DEVNULL)
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                node.wait()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        for node in self.nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.kill(number)
        for node in self.nodes:
            node.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(60)

    def admit(self, names: Iterable[str]) -> gateways.Done:
        """Let exactly these gateways in, at any site; at certain ones when `names` is a map."""
        sites = names if isinstance(names, Mapping) else dict.fromkeys(names, ())
        return gateways.sync(
            sites, gateways.Ctl(BINARIES / "rabbitmqctl", self.nodes[0].environment)
        )


def _changed(path: Path, changes: Sequence[tuple[str, str]]) -> str:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        if old not in text:
            raise ValueError(f"{path.name} has no {old!r} any more")
        text = text.replace(old, new)
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--port", type=int, default=8883)
    parser.add_argument("--gateway", action="append", metavar="ID", help="default is gw-0001")
    args = parser.parse_args(arguments)
    if not installed():
        echo("RabbitMQ is not installed: apt install rabbitmq-server", err=True)
        return 3
    folder: Path = args.folder.absolute()
    names = args.gateway or ["gw-0001"]
    mqtt = tuple(args.port + n for n in range(COUNT))
    amqp, between = (tuple(args.port + 10 * far + n for n in range(COUNT)) for far in (5, 10))
    ports = Ports(mqtt, amqp, between, args.port + 200)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    cluster = Cluster(folder, ports)
    try:
        pki.make_pki(folder, datetime.datetime.now(datetime.UTC), gateways=names, programs=PROGRAMS)
        cluster.configure()
        cluster.start()
        cluster.admit(names)
        echo(" ".join(["gateways and platform:", *(f"mqtts://127.0.0.1:{port}" for port in mqtt)]))
        echo(" ".join(["sinks:", *(f"amqps://127.0.0.1:{port}" for port in amqp)]))
        echo(f"ca {folder}/ca.crt, gateways {folder}/gateways/, platform {folder}/platform.crt")
        echo(f"sinks {folder}/platform-sink.crt")
        echo("the client id must be the name in the certificate")
        signal.pause()
    except ConfigError as error:
        echo(str(error), err=True)
        return 2
    except KeyboardInterrupt:
        pass
    finally:
        cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
