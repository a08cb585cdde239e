"""A box with a card in two folders, a clock that jumps, and a wire to the city."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.identity import certs
from edge.identity.bootpartition import BootPartition
from edge.identity.claim import CLAIM_NAME
from edge.identity.enrol import Enrolment
from edge.identity.enrolstatus import StatusWriter
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import HttpsCall, HttpsReply, HttpsRequest, ServerError
from edge.identity.renew import Renewal
from edge.identity.statefolder import StateFolder
from tests.identity import card
from tests.identity.city import CODE, NOW, Answer, EnrolmentCity, spki
from tests.kit.clock import NONE, NTP, JumpingClock

DAY_S = 86_400.0


class NappingClock(JumpingClock):
    """Nobody waits. `known`: the wall is vouched for."""

    def __init__(self, wall: datetime = NOW, known: bool = False) -> None:
        super().__init__(0, NTP if known else NONE)
        self.set_wall(wall)
        self.naps: list[float] = []
        self.then: Callable[[], None] = lambda: None

    @property
    def now_s(self) -> float:
        return self.mono_ns / 1e9

    def wait_until(self, mono_ns: int) -> None:
        seconds = (mono_ns - self.mono_ns) / 1e9
        assert 0 < seconds <= 4500
        self.naps.append(seconds)
        super().wait_until(mono_ns)
        assert self.now_s < 40 * DAY_S, "it waits for ever"
        self.then()


class CityNetwork:
    """Stands for the network: `changed` may break what the city answers."""

    def __init__(self, city: EnrolmentCity, clock: NappingClock) -> None:
        self.city, self.clock = city, clock
        self.down_until_s = 0.0
        self.changed: Callable[[str, Answer], Answer] = lambda name, answer: answer
        self.asked: list[tuple[float, str]] = []
        self.date = True

    def __call__(self, request: HttpsRequest, clock: FloorClock) -> HttpsReply:
        self.asked.append((self.clock.now_s, request.name))
        if self.clock.now_s < self.down_until_s:
            raise ServerError("localhost: Connection refused")
        peer = None
        if request.identity is not None:
            peer = x509.load_pem_x509_certificate(request.identity.cert.read_bytes())
            key = load_pem_private_key(request.identity.key.read_bytes(), None)
            assert spki(key.public_key()) == certs.certificate_key(peer)
            assert peer in self.city.issued, "nobody has issued this"
        headers = {name.lower(): value for name, value in request.headers.items()}
        status, reported, body = self.changed(
            request.name, self.city.answer(request.name, headers, request.body or b"", peer)
        )
        if self.date:
            clock.note_server_time(self.city.now)
        return HttpsReply(status, reported, body)


class EnrollingGateway:
    """`power` is a start of the process: nothing but the card is kept."""

    def __init__(self, root: Path, city: EnrolmentCity, clock: NappingClock | None = None) -> None:
        self.root, self.city = root, city
        self.boot, self.state = root / "boot", root / "state"
        for each in (self.boot, self.state):
            each.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o700)
        self.clock = clock or NappingClock()
        self.wire = CityNetwork(city, self.clock)
        self.ask: HttpsCall = self.wire
        self.console: list[str] = []
        self.marker = root / "marker"

    def insert(self, claim: bytes) -> None:
        (self.boot / CLAIM_NAME).write_bytes(claim)

    def power(self) -> Enrolment:
        store = StateFolder(self.state)
        boot = BootPartition(self.boot)
        return Enrolment(
            store, boot, FloorClock(self.clock, self.state), self.ask,
            StatusWriter(boot, self.console.append), random.Random(7), has_tpm=False,
        )  # fmt: skip

    def renewal(self) -> Renewal:
        box = self.power()
        return Renewal(
            box.store, box.watch, self.ask, box.status_writer, self.marker, has_tpm=False
        )

    @property
    def status(self) -> str:
        return (self.boot / "kerbstone-status.txt").read_text()

    def everything(self) -> bytes:
        """All bytes of the card."""
        return card.everything(self.root)

    def wrong(self) -> list[str]:
        """What an enrolled box must not look like."""
        return card.wrong(self.root, CODE)


def date(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)
