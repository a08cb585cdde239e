"""The server as a process: its threads, the CRL that never gets old, and its end."""

import ssl
import threading
from collections.abc import Callable
from typing import Final

from edge.core import Clock
from edge.provision.authority import Authority
from edge.provision.enroldatabase import EnrolStoreError
from edge.provision.enrolservice import EnrolService
from edge.provision.esthandler import EstHandler
from edge.provision.gatewaystore import GatewayStore
from edge.provision.httpsserver import ConnectionLimits, EnrolServer, tls_context
from edge.provision.serverdir import Policy, ServerDirectory

LOOK_S: Final = 5.0  # after a command revoked something
FRESH_S: Final = 3600.0
POLL_S: Final = 0.1  # so late it notices that it shall end, or that a client is too slow


class CrlPublisher:
    """Writes the CRL when something was revoked, and each hour."""

    def __init__(
        self,
        directory: ServerDirectory,
        policy: Policy,
        store: GatewayStore,
        authority: Authority,
        clock: Clock,
        log: Callable[[str], None],
    ) -> None:
        def publish() -> None:
            directory.write_crl(store, authority, clock.now().utc(), policy.crl_days)

        self._publish = publish
        self._store, self._clock = store, clock
        self._log = log
        self._known = -1
        self._looked = self._written = float("-inf")

    def tick(self) -> None:
        mono = self._clock.now().mono_ns / 1e9
        if mono < self._looked + LOOK_S:
            return
        self._looked = mono
        try:
            count = len(self._store.revoked())
            if count != self._known or mono >= self._written + FRESH_S:
                self._publish()
                self._known, self._written = count, mono
        except (OSError, EnrolStoreError) as error:
            text = "from the day on which the old one expires, brokers refuse every client"
            self._log(f"the CRL cannot be written: {error}; {text}")


class ServerProcess:
    """Raises ConfigError, EnrolStoreError, OSError when it cannot start."""

    def __init__(
        self,
        directory: ServerDirectory,
        clock: Clock,
        log: Callable[[str], None],
        listen: str | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        policy, who = directory.policy(), directory.authority()
        tls: ssl.SSLContext = tls_context(directory)
        self.store = directory.store()
        try:
            service = EnrolService(directory, policy, self.store, who, clock)
            publisher = CrlPublisher(directory, policy, self.store, who, clock, log)
            address = listen or policy.listen
            self.server = EnrolServer(
                address, tls, service, EstHandler, log, limits, publisher.tick
            )
        except BaseException:
            self.store.close()
            raise
        publisher.tick()
        self.port = int(self.server.server_address[1])
        self._thread = threading.Thread(
            target=self.server.serve_forever, args=(POLL_S,), name="accept"
        )
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
        self.store.close()
