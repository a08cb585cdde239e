"""What a real process does that is killed, how it was before, and what must be true after it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from edge.identity import certs, httpsclient
from edge.identity.claim import Claim
from edge.identity.identitybundle import load_bundle
from edge.identity.statefolder import ACCESS_POINT, LOGIN, StateFolder
from edge.provision import approvals
from edge.provision.registry import IssuedCertificate
from tests.identity import enrolling_box as here
from tests.identity import traced_process
from tests.identity.card import everything, tree, wrong
from tests.identity.city import EnrolmentCity
from tests.identity.real_server import SITE, ApprovingServer, claim_of
from tests.kit.enrolment import DER, START
from tests.long import size

DUE = START + timedelta(days=61)


@dataclass(frozen=True)
class ClaimedFolder:
    root: Path
    claim: Claim

    @property
    def marker(self) -> Path:
        return self.root / "marker"

    @property
    def stick(self) -> Path:
        return self.root / "stick"

    @property
    def gateway(self) -> str:
        return self.claim.gateway


def quick(root: Path) -> here.EnrollingGateway:
    """The same box in this process, for what comes before the scene."""
    made = here.EnrollingGateway(root, EnrolmentCity(), here.NappingClock(here.date(1970)))
    made.ask = httpsclient.https_request
    return made


def blank(town: ApprovingServer, root: Path) -> ClaimedFolder:
    town.now = START
    town.card(root, f"gw-{len(list(town.home.configs.glob('*.json'))):04}")
    return ClaimedFolder(root, claim_of(root))


def enrolled(town: ApprovingServer, root: Path) -> ClaimedFolder:
    """It has a certificate of which two thirds are over."""
    box = blank(town, root)
    assert quick(root).power().run() == "enrolled"
    town.now = DUE
    return box


def renewed(town: ApprovingServer, root: Path) -> ClaimedFolder:
    """The daemon has connected with the new certificate: the old one may go."""
    box = enrolled(town, root)
    assert quick(root).renewal().run() == "renewed"
    bundle = StateFolder(box.root / "state").current()
    assert bundle is not None
    box.marker.write_text(f"connected {certs.fingerprint(bundle.certificate)}\n")
    return box


def whole(
    town: ApprovingServer, box: ClaimedFolder, good: list[IssuedCertificate], older: bool = False
) -> list[str]:
    """What must be true of every enrolled box, and of what the server thinks that it has."""
    state, found = box.root / "state", wrong(box.root, box.claim.code, older)
    bundle = StateFolder(state).current()
    if bundle is None:
        return found
    if bundle.certificate.public_bytes(DER) != good[-1].der:
        found.append("it has another certificate than the server's last one for it")
    if (state / "site.toml").read_text() != SITE.format(box.gateway):
        found.append("its configuration is another one")
    if town.log and any(" 409 " in line for line in town.log):
        found.append("the claim was used with a second key")
    return found


def refused(town: ApprovingServer, root: Path) -> ClaimedFolder:
    """The broker does not take the new certificate."""
    box = renewed(town, root)
    box.marker.write_text(box.marker.read_text().replace("connected", "refused"))
    return box


def with_a_stick(town: ApprovingServer, root: Path) -> ClaimedFolder:
    box = blank(town, root)
    box.stick.mkdir()
    return box


def asked(town: ApprovingServer, root: Path) -> ClaimedFolder:
    """A stick with its request, which the operator has signed."""
    box = with_a_stick(town, root)
    assert traced_process.awake(root, "offline", str(box.stick)).code == 0
    signs(town, box)
    return box


def signs(town: ApprovingServer, box: ClaimedFolder) -> None:
    assert town.running is not None
    approvals.sign_offline(town.home, town.running.store, box.stick, None, town.clock)


def after_run(town: ApprovingServer, box: ClaimedFolder) -> list[str]:
    """Enrolled, with the only certificate that this claim has given."""
    done, good = traced_process.awake(box.root, "run"), town.issued(box.claim)
    if done.code or len(good) != 1:
        return [f"{done}, {len(good)} certificates"]
    return whole(town, box, good)


def after_asking(town: ApprovingServer, box: ClaimedFolder) -> list[str]:
    """The stick, once more, has all that the operator needs; and then the box."""
    done = traced_process.awake(box.root, "offline", str(box.stick))
    if done.code:
        return [str(done)]
    signs(town, box)
    return after_taking(town, box)


def after_taking(town: ApprovingServer, box: ClaimedFolder) -> list[str]:
    """Enrolled by the stick alone."""
    done, good = traced_process.awake(box.root, "offline", str(box.stick)), town.issued(box.claim)
    if done.code or len(good) != 1:
        return [f"{done}, {len(good)} certificates"]
    if box.claim.code.encode() in everything(box.stick):
        return ["the claim's code is still on the stick"]
    return whole(town, box, good)


def after_renewal(town: ApprovingServer, box: ClaimedFolder) -> list[str]:
    """Renewed once: the new one and the one before, which stays good until its end; no third.

    Killed when the new bundle had its name and was not current yet, it is installed twice.
    """
    done, good = traced_process.awake(box.root, "renew"), town.issued(box.claim)
    bundles = [load_bundle(each) for each in sorted((box.root / "state").glob("bundle-*"))]
    held = {each and each.certificate.public_bytes(DER) for each in bundles}
    if done.code or len(bundles) > 3 or held != {each.der for each in good} or len(held) != 2:
        return [f"{done}, {len(good)} certificates, {len(bundles)} bundles"]
    return whole(town, box, good, older=True)


def after_connection(town: ApprovingServer, box: ClaimedFolder) -> list[str]:
    """The new one alone is there."""
    done, good = (
        traced_process.awake(box.root, "renew", "--marker", str(box.marker)),
        town.issued(box.claim),
    )
    numbers = StateFolder(box.root / "state").numbers()
    if done.code or len(good) != 2 or numbers != {2}:
        return [f"{done}, {len(good)} certificates, bundles {numbers}"]
    return whole(town, box, good)


def after_refusal(town: ApprovingServer, box: ClaimedFolder) -> list[str]:
    """Back to the one before; or, the day after, to a third one. Always to one that is good."""
    done, good = (
        traced_process.awake(box.root, *SCENES["refused"].words(box)),
        town.issued(box.claim),
    )
    bundle = StateFolder(box.root / "state").current()
    if done.code or bundle is None or len(good) > 3 or bundle.number not in {1, 2, 3}:
        return [f"{done}, {len(good)} certificates, {bundle}"]
    if bundle.certificate.public_bytes(DER) not in {each.der for each in good}:
        return ["nobody has issued this"]
    return wrong(box.root, box.claim.code, older=True)


def after_reset(town: ApprovingServer, box: ClaimedFolder) -> list[str]:
    """Not begun, or finished by the next start: then nothing is left."""
    traced_process.awake(box.root, "run")
    if StateFolder(box.root / "state").current() is not None:
        return whole(town, box, town.issued(box.claim))
    new = {f"state/{LOGIN}", f"state/{ACCESS_POINT}"}  # made by that start
    return [name for name in tree(box.root) if name.startswith("state/") and name not in new]


@dataclass(frozen=True)
class EnrolmentScene:
    verb: str
    before: Callable[[ApprovingServer, Path], ClaimedFolder]
    after: Callable[[ApprovingServer, ClaimedFolder], list[str]]
    least: int  # boundaries
    works: frozenset[str] = frozenset({"identity"})  # of the two, right after the kill
    handful: int = size(1, 2)

    def words(self, box: ClaimedFolder) -> list[str]:
        more = {
            "renew": ["--marker", str(box.marker)],
            "forget": ["--yes"],
            "offline": [str(box.stick)],
        }
        return [self.verb, *more.get(self.verb, [])]


SCENES = {
    "enrolment": EnrolmentScene(
        "run", blank, after_run, 150, frozenset({"claim", "identity"}), size(2, 4)
    ),
    "a stick goes out": EnrolmentScene(
        "offline", with_a_stick, after_asking, 20, frozenset({"claim"}), 1
    ),
    "a stick comes in": EnrolmentScene(
        "offline", asked, after_taking, 60, frozenset({"claim", "identity"}), 1
    ),
    "renewal": EnrolmentScene("renew", enrolled, after_renewal, 60),
    "the old one goes": EnrolmentScene("renew", renewed, after_connection, 10, handful=1),
    "refused": EnrolmentScene("renew", refused, after_refusal, 10, handful=1),
    "factory reset": EnrolmentScene(
        "forget", enrolled, after_reset, 20, frozenset({"identity", ""}), 1
    ),
}
