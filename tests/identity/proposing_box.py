"""A box that proposes a site file, with the two folders in /run, and its operator's signature."""

import json
from collections.abc import Callable
from pathlib import Path

from edge.identity import httpsclient, statefolder
from edge.identity.enrol import Enrolment
from edge.identity.enrolstatus import StatusWriter
from edge.identity.proposal import PROPOSAL_NAME, Proposal, encode_proposal
from edge.identity.proposing import ProposalCourier
from edge.identity.renew import Renewal
from edge.identity.runfiles import BOX_NAME, PROGRESS_NAME
from edge.provision import operatordocs
from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock
from tests.identity.real_server import ApprovingServer

SITE = '[site]\nid = "s17"\ngateway = "gw-0001"\n'
LANES = f'{SITE}[lane.north]\napproach = "north"\n'


class ProposingGateway(EnrollingGateway):
    """With the two folders in /run."""

    def __init__(self, root: Path, clock: NappingClock) -> None:
        super().__init__(root, EnrolmentCity(), clock)
        self.ask = httpsclient.https_request
        self.spool, self.shown = root / "spool", root / "shown"
        for each in (self.spool, self.shown):
            each.mkdir(exist_ok=True)
        self.restarts = 0
        self.why: Callable[[str], str] = lambda config: ""

    def propose(self, text: str = LANES, number: int = 1) -> None:
        data = encode_proposal(Proposal(id=f"{number:016x}", text=text, version="0.3.0"))
        (self.spool / PROPOSAL_NAME).write_bytes(data)

    def power(self) -> Enrolment:
        box = super().power()
        box.courier = ProposalCourier(
            box.store, box.watch, self.ask, self.spool, self.shown, self.why
        )
        box.status_writer = StatusWriter(
            box.boot, self.console.append, self.shown, box.courier.text
        )
        return box

    def renewal(self) -> Renewal:
        box = self.power()
        made = Renewal(
            box.store, box.watch, self.ask, box.status_writer, self.marker, self._changing,
            box.courier, has_tpm=False,
        )  # fmt: skip
        assert made.courier
        return made

    def _changing(self) -> None:
        self.restarts += 1

    @property
    def progress(self) -> tuple[str, str]:
        found = json.loads((self.shown / PROGRESS_NAME).read_bytes())
        return found["state"], found["text"]

    @property
    def refused(self) -> str:
        """Of the file that the daemon reads."""
        box = self.power()
        bundle, courier = box.store.current(), box.courier
        assert bundle
        assert courier
        courier.name_box(bundle)
        return str(json.loads((self.shown / BOX_NAME).read_bytes())["refused"])

    @property
    def site(self) -> bytes | None:
        return self.power().store.get(statefolder.SITE)


def sign(town: ApprovingServer, text: str) -> None:
    file = town.folder / "signed.toml"
    file.write_text(text)
    operatordocs.sign_config(file, "gw-0001", town.operator, town.home.configs, town.now)


def proposed(town: ApprovingServer) -> str:
    """What an operator sees."""
    (found,) = town.home.proposals.all()
    return found.text
