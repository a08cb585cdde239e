"""The boot partition: where the claim is found, and where a technician can read how it goes.

It is FAT, anybody can read it, and it forgets nothing by itself: a used claim is overwritten in
place before it is renamed. The status there is never a secret; what opens the page is there only on
a box whose claim brings none (accesskeeping.py).
"""

import logging
from pathlib import Path
from typing import Final

from edge.durable import atomicwrite, folders
from edge.durable.readfile import read_file
from edge.durable.shred import overwrite, shred
from edge.identity.claim import CLAIM_LIMIT, CLAIM_NAME, Claim, ClaimError, parse_claim

LOG: Final = logging.getLogger(__name__)
USED_CLAIM: Final = "kerbstone-claim.used"
STATUS_FILE: Final = "kerbstone-status.txt"
ACCESS_FILE: Final = "kerbstone-access.txt"  # secrets that this box has made itself
BOOT_FOLDER: Final = Path("/boot/firmware")


class BootPartition:
    """Never raises: a card without that partition works, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._failed = False

    def claim(self) -> bytes | None:
        """The claim file, as it is. None: there is none, or it cannot be read."""
        try:
            # one byte more than a claim may have: `parse` says so
            return read_file(self.folder / CLAIM_NAME, CLAIM_LIMIT + 1)
        except OSError as error:
            self._log(error)
            return None

    def retire_claim(self, used: bytes) -> bool:
        """The claim has done its work: overwrite it, then rename it. True when it is gone.

        A whole claim of another id is left as it is: somebody has put it there since.
        """
        path = self.folder / CLAIM_NAME
        try:
            there = read_file(path, 1 << 20)
            if there is None:
                return True
            ours, other = _parsed(used), _parsed(there)
            if ours is not None and other is not None and other.claim != ours.claim:
                return True
            overwrite(path, _blank(ours, len(there)))
            folders.rename(path, self.folder / USED_CLAIM)
            return True
        except OSError as error:
            self._log(error)
            return False

    def write_status(self, text: str) -> None:
        """Write the status file, if it says anything new: it is on a card."""
        path, data = self.folder / STATUS_FILE, text.encode()
        try:
            if self.folder.is_dir() and read_file(path) != data:
                atomicwrite.replace_file(path, data, 0o644)
        except OSError as error:
            self._log(error)

    def write_access(self, text: str) -> bool:
        """What opens the page, for whoever holds the card. Whether it is there now."""
        try:
            if not self.folder.is_dir():
                return False
            atomicwrite.replace_file(self.folder / ACCESS_FILE, text.encode(), 0o600)
            return True
        except OSError as error:
            self._log(error)
            return False

    def remove_access(self) -> None:
        """It opens nothing any more."""
        path = self.folder / ACCESS_FILE
        try:
            if path.exists():
                shred(path)
        except OSError as error:
            self._log(error)

    def _log(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            LOG.warning("boot partition %s: %s; going on without it", self.folder, error)


def _parsed(data: bytes) -> Claim | None:
    try:
        return parse_claim(data)
    except ClaimError:
        return None


def _blank(claim: Claim | None, size: int) -> bytes:
    """As long as what it covers, so that it lands on the same sectors."""
    text = "# This claim was used, and is of no use any more.\n"
    if claim is not None:
        text += f'claim = "{claim.claim}"\ngateway = "{claim.gateway}"\nsite = "{claim.site}"\n'
    return text.encode()[:size].ljust(size, b"\n")
