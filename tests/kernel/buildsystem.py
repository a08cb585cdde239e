"""Makes the guest with systemd: as the other one, and with what an access point needs.

In the same folder. Where apt offers nothing that can be made, the newest one there is taken.
By itself: python -m tests.kernel.buildsystem
"""

import fcntl
import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.kernel.build import (
    LOCK,
    PACKAGES,
    Built,
    cache,
    digest,
    make_once,
    make_root,
    make_site,
    megabytes,
)
from tests.kernel.offer import Unavailable, check_machine, offer

MORE: Final = (
    "systemd", "systemd-sysv", "dbus", "polkitd", "network-manager", "wpasupplicant",
    "dnsmasq-base", "nftables", "iproute2", "iw", "curl", "openssl", "login", "passwd",
)  # fmt: skip
RECIPE: Final = hashlib.sha256(repr((PACKAGES, MORE)).encode()).hexdigest()[:8]


def build_system() -> Built:
    """Raises Unavailable."""
    check_machine()
    top = cache()
    top.mkdir(parents=True, exist_ok=True)
    with (top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = _folder(top)
        python = (folder / "python").read_text(encoding="utf-8")
        site = make_once(
            top / f"site-{python}-{digest(LOCK)}", "the packages", lambda to: make_site(python, to)
        )
        extra = make_once(folder / "extra", "what D-Bus needs", _extra)
    print(f"guest: {folder.name}, {megabytes(folder, site):.0f} MB in {top}", flush=True)
    return Built(folder, extra, site)


def _folder(top: Path) -> Path:
    try:
        found = offer()
    except Unavailable as reason:
        there = sorted(top.glob(f"system-*-{RECIPE}"), key=lambda path: path.stat().st_mtime)
        if not there:
            raise
        print(f"no new guest: {reason}; the one in the cache is taken", flush=True)
        return there[-1]
    return make_once(
        top / f"system-{found.version}-{RECIPE}",
        "the image with systemd",
        lambda to: make_root(found, to, (*PACKAGES, *MORE)),
    )


def _extra(to: Path) -> None:
    """jeepney is plain Python: that of this environment serves the guest's."""
    spec = importlib.util.find_spec("jeepney")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("pip install jeepney")
    shutil.copytree(next(iter(spec.submodule_search_locations)), to / "jeepney")


if __name__ == "__main__":
    try:
        build_system()
    except Unavailable as reason:
        sys.exit(f"no guest: {reason}")
