"""The broker of a rig: a mosquitto of its own that can go and come back, or one that is there.

What waits for a subscriber survives its stop, as on a city's broker.
"""

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Protocol

from edge.core.endpoint import endpoint
from edge.rig.brokercertificates import BrokerCertificates
from edge.rig.layer import LayerError
from edge.rig.ports import free_port

HERE: Final = "127.0.0.1"
READY_S: Final = 30.0
STOP_S: Final = 30.0
POLL_S: Final = 0.02
INSTALL: Final = "mosquitto is not installed: `apt-get install mosquitto`, or give --broker URL"
TLS_CONFIG: Final = """
listener {port} 127.0.0.1
socket_domain ipv4
certfile {certificate}
keyfile {key}
"""
EXPIRED: Final = b"alert certificate expired"  # what a client says that refuses one
NO_CERTIFICATE: Final = "this broker shows no certificate that could end"
CONFIG: Final = """
listener {port} 127.0.0.1
socket_domain ipv4
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 0
log_dest file {folder}/log
"""


class RigBroker(Protocol):
    """`host` and `port` are where it listens for the rig, `box_port` where for the box."""

    host: str
    port: int

    @property
    def box_port(self) -> int: ...

    def start(self) -> None:
        """It listens. May be called again after `stop`. Raises LayerError."""

    def stop(self) -> None:
        """It is gone. Always safe. Raises LayerError for one that is not ours."""

    def show_ended(self, *, on: bool) -> None:
        """From now on it shows a certificate that has ended, or a valid one. Connections end.
        Raises LayerError for one that shows none."""

    def refusals(self) -> int:
        """How often a client has refused its certificate because that has ended."""

    def close(self) -> None:
        """The rig needs it no more. Always safe."""


class OwnBroker:
    """A mosquitto of this rig, with its files in `folder`. `certificates`: the box has TLS."""

    def __init__(self, folder: Path, certificates: BrokerCertificates | None = None) -> None:
        self.host, self.port = HERE, 0
        self._folder, self._certificates = folder, certificates
        self._tls_port, self._ended = 0, False
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if binary is None:
            raise LayerError(INSTALL)
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        file, user = self._folder / "mosquitto.conf", "user root\n"  # as root it would be another
        text = CONFIG.format(port=self.port, folder=self._folder) + user
        file.write_text(text + self._tls(), encoding="utf-8")
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            [binary, "-c", str(file)], stdout=quiet, stderr=quiet, start_new_session=True
        )
        end = time.monotonic() + READY_S
        while not _listens(self.host, self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise LayerError(f"mosquitto does not start; its log is {self._folder / 'log'}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        if process.poll() is None:
            process.kill()
            process.wait(STOP_S)

    @property
    def box_port(self) -> int:
        return self.port if self._certificates is None else self._tls_port

    def show_ended(self, *, on: bool) -> None:
        if self._certificates is None:
            raise LayerError(NO_CERTIFICATE)
        self._ended = on
        self.stop()
        self.start()

    def refusals(self) -> int:
        log = self._folder / "log"
        return log.read_bytes().count(EXPIRED) if log.exists() else 0

    def close(self) -> None:
        self.stop()

    def _tls(self) -> str:
        files = self._certificates
        if files is None:
            return ""
        self._tls_port = self._tls_port or free_port()
        shown = files.ended if self._ended else files.valid
        return TLS_CONFIG.format(port=self._tls_port, certificate=shown, key=files.key)


class OtherBroker:
    """A broker that somebody else runs, by its URL. Nothing can be done to it."""

    def __init__(self, url: str) -> None:
        try:
            place = endpoint(url)
        except ValueError as error:
            raise LayerError(f"--broker {url}: {error}") from error
        if place.tls:
            raise LayerError(f"--broker {url}: the link of a rig speaks no TLS: use mqtt://")
        self.host, self.port, self._url = place.host, place.port, url

    @property
    def box_port(self) -> int:
        return self.port

    def show_ended(self, *, on: bool) -> None:
        raise LayerError(NO_CERTIFICATE)

    def refusals(self) -> int:
        return 0

    def start(self) -> None:
        if not _listens(self.host, self.port):
            raise LayerError(f"no broker answers at {self._url}")

    def stop(self) -> None:
        raise LayerError(f"{self._url} is not the rig's: leave --broker out, and it has its own")

    def close(self) -> None:
        pass


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError:
        return False
    return True
