"""The process of the page: its certificate, its socket, its end."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.health.notify import Notify
from edge.kernelclock import KernelClock
from edge.web.doctorrun import DoctorRun
from edge.web.listener import Listener, tcp_listener, unix_listener
from edge.web.loginsecret import SecretLook, secret_files
from edge.web.pagesettings import SettingsFile
from edge.web.webapp import WebApp
from edge.web.webcertificate import ensure_certificate, tls_context

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """`socket_path`, or else `host` and `port` (0: any). `run_dir`: not that of the site file."""

    state: Path
    site_file: Path
    login: Path | None = None
    socket_path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8443
    run_dir: Path | None = None


def serve(options: ServeOptions, ready: Callable[[str, str], None]) -> None:
    """Until SIGTERM or SIGINT. `ready` gets the address and the fingerprint.

    Raises CertificateError and OSError, before anything is served.
    """
    settings = SettingsFile(options.site_file, options.run_dir)
    clock = KernelClock()
    certificate = ensure_certificate(options.state, settings.read().gateway, clock.now())
    context = tls_context(certificate)
    listening, address = _open(options)
    for name in ("uvicorn.error", "asyncio"):  # strangers must not fill the log
        logging.getLogger(name).setLevel(logging.ERROR)
    secret = SecretLook(secret_files(options.login, options.state))
    # the unit of the page gives it a socket: see systemd/kerbstone-web.service
    doctor = DoctorRun(options.site_file, clock, confined=options.socket_path is not None)
    page = WebApp(settings, doctor, secret, clock, certificate.fingerprint)
    notify = Notify()
    try:
        with listening:
            asyncio.run(
                _run(Listener(page.app(), context), listening,
                    lambda: _tell(notify, ready, address, certificate.fingerprint))
            )  # fmt: skip
    finally:
        page.close()
        notify.close()
        if options.socket_path is not None:
            options.socket_path.unlink(missing_ok=True)


async def _run(listener: Listener, listening: socket.socket, begun: Callable[[], None]) -> None:
    task = asyncio.create_task(listener.serve(listening))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    begun()
    try:
        await task
    except asyncio.CancelledError:
        LOG.info("the page ends")


def _tell(
    notify: Notify, ready: Callable[[str, str], None], address: str, fingerprint: str
) -> None:
    notify.ready(f"page on {address}")
    ready(address, fingerprint)


def _open(options: ServeOptions) -> tuple[socket.socket, str]:
    if options.socket_path is not None:
        return unix_listener(options.socket_path), str(options.socket_path)
    made = tcp_listener(options.host, options.port)
    host = f"[{options.host}]" if ":" in options.host else options.host
    return made, f"https://{host}:{made.getsockname()[1]}/"
