"""The doctor in the service of the page, which systemd shuts in: it has no network, no devices, and
sees all file systems read-only. What it cannot see is not checked; a box that is well had a card to
be replaced and a name server that was dead. What the gateway tells is told here, too.

Source: systemd/kerbstone-web.service (ProtectSystem=, PrivateDevices=, IPAddressDeny=).
"""

from collections.abc import Iterable
from typing import Final

from edge.diagnose.brokerchecks import LOGIN, WAY
from edge.diagnose.checks import CheckId, CheckResult, checks_of, unchecked

UNSEEN: Final = frozenset[CheckId](
    (*checks_of("rights"), "uplink_files", *WAY, "disk_writable", "bus_port")
)
"""By its own eyes."""
UNSEEN_ALONE: Final = UNSEEN.union(LOGIN, checks_of("wires"))
"""While no gateway runs that could be asked."""
WHY: Final = "the page cannot see this itself; on the box `kerbstone doctor` can"


def unseen_checks(alone: bool) -> frozenset[CheckId]:
    """What a doctor in the page leaves out; `alone`: no gateway answers."""
    return UNSEEN_ALONE if alone else UNSEEN


def unseen_results(unseen: Iterable[CheckId], told: Iterable[CheckResult]) -> list[CheckResult]:
    """An answer for each of them that nobody has told."""
    known = {each.check for each in told}
    return [unchecked(check, WHY) for check in sorted(unseen) if check not in known]
