"""The real enrolment server, on loopback, with an operator who approves who asks."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.identity.claim import CLAIM_NAME, Claim, parse_claim
from edge.provision import operatordocs
from edge.provision.registry import IssuedCertificate
from edge.provision.serverprocess import ServerProcess
from tests.kit.enrolment import EnrolmentServer

WAITS: Final = re.compile(r"(\S+) waits for approval")
SITE: Final = '[site]\nid = "s17"\ngateway = "{}"\n[uplink]\nurl = "mqtts://localhost:8883"\n'


class ApprovingServer(EnrolmentServer):
    """`patient` boxes wait for a word; any other is approved before it has its first answer."""

    _own = 0
    door = 0  # the port of a relay that stands before the server
    patient: frozenset[str] = frozenset()
    heard: Callable[[str], None] = staticmethod(lambda text: None)  # each line of the server's log

    def start(self) -> ServerProcess:
        """Once more, after `close`: at the same port."""
        place = f"127.0.0.1:{self._own}"
        self.running = ServerProcess(self.home, self.clock, self._hear, place, self.limits)
        self._own = self.running.port
        return self.running

    @property
    def port(self) -> int:
        return self.door or super().port

    def card(self, root: Path, gateway: str) -> Path:
        """A box's card as a technician gets it; its configuration is signed, too."""
        for each in ("boot", "state"):
            (root / each).mkdir(parents=True)
        (root / "state").chmod(0o700)
        (root / "boot" / CLAIM_NAME).write_bytes(
            self.claim(gateway=gateway, role=f"role-{gateway}")
        )
        self.configured(gateway)
        return root

    def configured(self, gateway: str) -> None:
        site = self.folder / "site.toml"
        site.write_text(SITE.format(gateway))
        operatordocs.sign_config(site, gateway, self.operator, self.home.configs, self.now)

    def issued(self, claim: Claim) -> list[IssuedCertificate]:
        """What this claim has given that is still good."""
        assert self.running is not None
        found = self.running.store.certificates(claim.claim)
        return [each for each in found if each.revoked is None]

    def _hear(self, text: str) -> None:
        self.log.append(text)
        self.heard(text)
        found = WAITS.search(text)
        if found and found[1] not in self.patient:
            self.approve(found[1])


def claim_of(root: Path) -> Claim:
    return parse_claim((root / "boot" / CLAIM_NAME).read_bytes())
