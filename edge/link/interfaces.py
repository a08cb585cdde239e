"""What the kernel says of network interfaces, in /sys/class/net."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from edge.link.budget import Counter

NET: Final = Path("/sys/class/net")


def read_counters(patterns: Sequence[str], net: Path = NET) -> dict[str, Counter]:
    """Name -> bytes in and out. An interface that goes away meanwhile is left out."""
    found: dict[str, Counter] = {}
    for name in matching_interfaces(patterns, net):
        folder = net / name
        try:
            value = sum(_number(folder / f"statistics/{way}_bytes") for way in ("rx", "tx"))
            found[name] = Counter(_number(folder / "ifindex"), value)
        except (OSError, ValueError):
            continue
    return found


def read_carrier(patterns: Sequence[str], net: Path = NET) -> bool | None:
    """False when every interface says that it has none. None when none of them says anything.

    The kernel gives an error for one that is administratively down, and modems have no carrier.
    """
    carriers: list[bool] = []
    for name in matching_interfaces(patterns, net):
        try:
            carriers.append(_number(net / name / "carrier") != 0)
        except (OSError, ValueError):
            continue
    return any(carriers) if carriers else None


def matching_interfaces(patterns: Sequence[str], net: Path = NET) -> list[str]:
    try:
        names = sorted(entry.name for entry in net.iterdir())
    except OSError:
        return []
    return [name for name in names if any(fnmatchcase(name, one) for one in patterns)]


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
