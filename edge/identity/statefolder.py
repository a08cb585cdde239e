"""The state folder. What has been done shows in which files are there, and by nothing else.

| there is | so |
|---|---|
| `forget` | a factory reset has begun: finish it |
| `current` -> `bundle-<n>` | there is an identity |
| a whole `bundle-<n>`, no `current` | it was verified before it got that name: make it current |
| `claim.toml` | the claim is not used up: on the boot partition it still has to be blanked |
| `next.key` | a certificate for this key was, or will be, asked for |
| `next.pending` | since when we wait, for people only |
| `network.json` | the network of a claim, which outlives it |
| `login.secret`, `access-point.json` | the page's secret as a hash, the access point's key |
| `label.kept` | a backup has brought both; those of this claim, or the next, do not count |
| `config.json`, `site.toml` | the signed configuration, as it came and as the daemon reads it |
| `site.before.toml` | the one before it, whose brokers stay open while it is on trial |
| `refused.json` | a signed configuration that this version cannot use, and no other since |
| `proposal.json` | a site file that the operator is asked to sign has no answer yet |
| `proposal-answer` | the answer that was no configuration, for people only |

All else (`*.new`, `*.old`) was under way when the power went, and is rubbish.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography import x509

from edge.core.boxfiles import ACCESS_POINT_NAME, LABEL_KEPT_NAME
from edge.durable import atomicwrite, folders
from edge.durable.readfile import read_file
from edge.durable.shred import shred
from edge.identity import certs, identitybundle, keys
from edge.identity.identitybundle import KEY, NAME, EnrolmentTarget, IdentityBundle

OLD_SUFFIX: Final = ".old"
CURRENT: Final = "current"
CLAIM: Final = "claim.toml"
NEXT: Final = "next.key"
PENDING: Final = "next.pending"
NETWORK: Final = "network.json"
LOGIN: Final = "login.secret"  # the name of the credential, too: edge/web
ACCESS_POINT: Final = ACCESS_POINT_NAME
LABEL_KEPT: Final = LABEL_KEPT_NAME
CONFIG: Final = "config.json"
SITE: Final = "site.toml"
SITE_BEFORE: Final = "site.before.toml"
REFUSED: Final = "refused.json"
PROPOSAL: Final = "proposal.json"
PROPOSAL_ANSWER: Final = "proposal-answer"
FORGET: Final = "forget"
LONGEST_S: Final = 10**10


class PendingWait(msgspec.Struct, frozen=True):
    """How long we have waited, over all starts; a clock of the wall may be anywhere."""

    claim: str
    waited_s: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_S)] = 0
    tries: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_S)] = 0


class StateFolder:
    """One state folder, used by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remove_leftovers(self) -> None:
        """After a start: finish a reset, throw away what was under way."""
        if (self.folder / FORGET).exists():
            self.forget()
        for each in self.folder.iterdir():
            if each.name.endswith((atomicwrite.NEW_SUFFIX, OLD_SUFFIX)):
                if each.is_dir() and not each.is_symlink():
                    folders.remove_tree(each)
                else:
                    folders.remove_file(each)

    def current(self) -> IdentityBundle | None:
        """The identity; None when there is none, or what is there is damaged."""
        with suppress(OSError):
            return identitybundle.load_bundle(self.folder / (self.folder / CURRENT).readlink())
        return None

    def whole(self) -> IdentityBundle | None:
        """The newest bundle that is whole, whatever `current` leads to."""
        for number in sorted(self.numbers(), reverse=True):
            found = identitybundle.load_bundle(self.folder / f"bundle-{number}")
            if found is not None:
                return found
        return None

    def damaged(self) -> str:
        """Which bundle is there and cannot be used, in words; "" when the current one can."""
        if self.current() is not None:
            return ""
        ill = [f"bundle-{n}" for n in sorted(self.numbers())
               if identitybundle.load_bundle(self.folder / f"bundle-{n}") is None]  # fmt: skip
        return (
            f"{' and '.join(ill)} cannot be used: damaged, or the key is elsewhere" if ill else ""
        )

    def use_pending(self) -> IdentityBundle | None:
        """A whole bundle that nothing leads to: the newest one becomes current."""
        found = self.whole()
        if found is not None:
            atomicwrite.replace_link(self.folder / CURRENT, found.folder.name)
        return found

    def install(
        self,
        key: keys.IdentityKey,
        certificate: x509.Certificate,
        ca: bytes,
        target: EnrolmentTarget,
    ) -> IdentityBundle:
        """Write a bundle and make it current. The one before it stays."""
        number = max(self.numbers(), default=0) + 1
        new = self.folder / f"bundle-{number}{atomicwrite.NEW_SUFFIX}"
        folders.make_private_folder(new)
        identitybundle.write_bundle(new, key, certificate, ca, target)
        folders.rename(new, self.folder / f"bundle-{number}")
        atomicwrite.replace_link(self.folder / CURRENT, f"bundle-{number}")
        folders.remove_file(self.folder / NEXT)
        folders.remove_file(self.folder / PENDING)
        return IdentityBundle(self.folder / f"bundle-{number}", target, certificate, ca)

    def fall_back(
        self, refused: IdentityBundle, good: Callable[[IdentityBundle], bool]
    ) -> IdentityBundle | None:
        """The broker refuses the current one: the one before it is current again, if it is whole.

        The refused one stays until then, so that there is always one.
        """
        for number in sorted((n for n in self.numbers() if n < refused.number), reverse=True):
            older = identitybundle.load_bundle(self.folder / f"bundle-{number}")
            if older is not None and good(older):
                atomicwrite.replace_link(self.folder / CURRENT, older.folder.name)
                self._drop(refused.number)
                return older
        return None

    def keep_only(self, kept: IdentityBundle) -> None:
        """The current one works: the others are not needed any more."""
        for number in self.numbers() - {kept.number}:
            self._drop(number)

    def numbers(self) -> set[int]:
        found = (NAME.match(each.name) for each in self.folder.iterdir())
        return {int(each[1]) for each in found if each}

    def next_key(self, has_tpm: bool | None = None) -> keys.IdentityKey:
        """The key of the next certificate: kept before anybody hears of it.

        A key that is damaged is replaced: the claim's code is then bound to a key that is gone,
        and the server says so.
        """
        given = keys.read_credential()
        if given is not None:
            return given
        path = self.folder / NEXT
        data = read_file(path)
        if data is not None:
            with suppress(keys.NoKeyError):
                return keys.parse_key(data)
        key = keys.make_key(has_tpm)
        atomicwrite.replace_file(path, key.pem)
        return key

    def used_key(self, current: IdentityBundle) -> bool:
        """Whether `next.key` is the current one: its install was cut short; remove it."""
        data = read_file(self.folder / NEXT)
        if data is None:
            return False
        with suppress(keys.NoKeyError):
            if keys.parse_key(data).spki() != certs.certificate_key(current.certificate):
                return False
        folders.remove_file(self.folder / NEXT)
        return True

    def get(self, name: str) -> bytes | None:
        return read_file(self.folder / name)

    def put(self, name: str, data: bytes) -> None:
        atomicwrite.replace_file(self.folder / name, data)

    def remove(self, name: str) -> None:
        folders.remove_file(self.folder / name)

    def pending(self, claim: str) -> PendingWait:
        """How long we have waited with this claim."""
        with suppress(OSError, ValueError):  # a MsgspecError is one
            found = msgspec.json.decode(self.get(PENDING) or b"", type=PendingWait)
            if found.claim == claim:
                return found
        return PendingWait(claim)

    def used(self) -> None:
        """The claim has done its work, here too."""
        shred(self.folder / CLAIM)

    def forget(self) -> None:
        """Factory reset. Begun once it is finished, also over a power cut."""
        atomicwrite.replace_file(self.folder / FORGET, b"")
        folders.remove_file(self.folder / CURRENT)
        for each in sorted(self.folder.iterdir()):
            if each.name == FORGET:
                continue
            if each.is_dir() and not each.is_symlink():
                for file in each.iterdir():
                    shred(file)
                folders.remove_tree(each)
            elif each.is_symlink():
                folders.remove_file(each)
            else:
                shred(each)
        folders.remove_file(self.folder / FORGET)

    def _drop(self, number: int) -> None:
        old = self.folder / f"bundle-{number}{OLD_SUFFIX}"
        if old.exists():
            folders.remove_tree(old)
        folders.rename(self.folder / f"bundle-{number}", old)
        with suppress(FileNotFoundError):
            shred(old / KEY)
        folders.remove_tree(old)
