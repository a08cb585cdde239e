"""The broker of a rig: a mosquitto of its own that can go and come back, or one that is there.

What waits for a subscriber survives its stop, as on a city's broker.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Protocol

from edge.core.endpoint import endpoint
from edge.durable.atomicwrite import replace_file
from edge.rig.boxprocess import ends_with_us
from edge.rig.brokercertificates import (
    BrokerCertificate,
    BrokerCertificates,
    make_broker_certificates,
)
from edge.rig.layer import LayerError, NotHereError
from edge.rig.ports import free_port

HERE: Final = "127.0.0.1"
READY_S: Final = 30.0
STOP_S: Final = 30.0
POLL_S: Final = 0.02
INSTALL: Final = "mosquitto is not installed: `apt-get install mosquitto`, or give --broker URL"
CONFIG: Final = """
listener {port} 127.0.0.1
socket_domain ipv4
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 0
log_dest file {folder}/log
"""
TLS: Final = """
listener {port} 127.0.0.1
socket_domain ipv4
allow_anonymous true
certfile {folder}/shown.crt
keyfile {folder}/shown.key
"""
SHOWN: Final = "shown"
EXPIRED: Final = b"alert certificate expired"  # as OpenSSL calls what a client tells


class RigBroker(Protocol):
    """`host` and `port` are where the rig listens to it, `box_port` is where the box comes.
    `authority`: whom the box has to trust, in PEM; None: it speaks no TLS."""

    host: str
    port: int
    box_port: int

    @property
    def authority(self) -> Path | None: ...

    def start(self) -> None:
        """It listens. May be called again after `stop`. Raises LayerError."""

    def stop(self) -> None:
        """It is gone. Always safe. Raises LayerError for one that is not ours."""

    def show_certificate(self, *, ended: bool) -> None:
        """Whoever comes from now on is shown one that has ended, or the right one. Raises
        LayerError for a broker without TLS, or one that is not ours."""

    def refused_certificates(self) -> int:
        """How many clients so far have told it that its certificate has ended."""

    def close(self) -> None:
        """The rig needs it no more. Always safe."""


class OwnBroker:
    """A mosquitto of this rig, with its files in `folder`. With `tls` the box comes to a listener
    of its own, and knows this machine by the address `known_as`."""

    def __init__(self, folder: Path, *, tls: bool = False, known_as: str = HERE) -> None:
        self.host, self.port, self.box_port = HERE, 0, 0
        self._folder, self._tls, self._known_as = folder, tls, known_as
        self._certificates: BrokerCertificates | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if binary is None:
            raise NotHereError(INSTALL)
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        file, user = self._folder / "mosquitto.conf", "user root\n"  # as root it would be another
        text = CONFIG.format(port=self.port, folder=self._folder) + user
        file.write_text(text + self._box_listener(), encoding="utf-8")
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            ends_with_us([binary, "-c", str(file)]), stdout=quiet, stderr=quiet,
            start_new_session=True,
        )  # fmt: skip
        end = time.monotonic() + READY_S
        while not all(_listens(self.host, port) for port in {self.port, self.box_port}):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise LayerError(f"mosquitto does not start; its log is {self._folder / 'log'}")
            time.sleep(POLL_S)

    @property
    def authority(self) -> Path | None:
        return None if self._certificates is None else self._certificates.authority

    def show_certificate(self, *, ended: bool) -> None:
        if self._certificates is None:
            raise LayerError("the broker of this run speaks no TLS")
        self._show(self._certificates.ended if ended else self._certificates.right)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)  # it reads its certificate again

    def refused_certificates(self) -> int:
        try:
            return (self._folder / "log").read_bytes().count(EXPIRED)
        except OSError:
            return 0

    def _box_listener(self) -> str:
        """What its file says of the box's listener. What it shows stays as it is."""
        if not self._tls:
            self.box_port = self.port
            return ""
        self.box_port = self.box_port or free_port()
        if self._certificates is None:
            self._certificates = make_broker_certificates(
                self._folder / "certificates", self._known_as
            )
            self._show(self._certificates.right)
        return TLS.format(port=self.box_port, folder=self._folder)

    def _show(self, files: BrokerCertificate) -> None:
        for source, end in ((files.certificate, "crt"), (files.key, "key")):
            replace_file(self._folder / f"{SHOWN}.{end}", source.read_bytes(), sync=False)

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

    def close(self) -> None:
        self.stop()


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
        self.box_port = place.port

    @property
    def authority(self) -> Path | None:
        return None

    def start(self) -> None:
        if not _listens(self.host, self.port):
            raise LayerError(f"no broker answers at {self._url}")

    def stop(self) -> None:
        raise LayerError(self._not_ours())

    def show_certificate(self, *, ended: bool) -> None:
        raise LayerError(self._not_ours())

    def refused_certificates(self) -> int:
        return 0

    def _not_ours(self) -> str:
        return f"{self._url} is not the rig's: leave --broker out, and it has its own"

    def close(self) -> None:
        pass


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError:
        return False
    return True
