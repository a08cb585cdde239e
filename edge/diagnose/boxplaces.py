"""Where a box keeps what a backup carries, and whose box it is; also of a card that is mounted."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge.config import Store
from edge.core.boxfiles import (
    HANDED_SITE_FILE,
    OWN_SITE_FILE,
    SIGNED_SITE_FILE,
    find_site_file,
)
from edge.core.tomltext import parse_toml
from edge.durable.readfile import read_file
from edge.identity.runfiles import read_box_names

THIS_BOX: Final = Path("/")
METERS: Final = "meters"  # beside the site file: tables of the technician's own
CLAIM_PLACES: Final = (  # in the order in which they count for enrolment
    "boot/firmware/kerbstone-claim.toml",
    "var/lib/kerbstone-identity/claim.toml",
)
HOME: Final = "var/lib/kerbstone-identity/current/home.json"


@dataclass(frozen=True, slots=True)
class BoxName:
    """Site and gateway, and the role if it is known; `told_by` is the file that says so."""

    site: str
    gateway: str
    role: str | None
    told_by: str

    @property
    def owner(self) -> str:
        return f"{self.site}/{self.gateway}"


@dataclass(frozen=True, slots=True)
class BackupPlaces:
    """`run` None: tmpfs of a box that is off. `site_file` may not be there."""

    root: Path
    store: Path
    run: Path | None
    site_file: Path

    @property
    def etc(self) -> Path:
        """Of the technician's own files."""
        return self.root / OWN_SITE_FILE.parent.relative_to("/")

    @property
    def own_site_file(self) -> Path:
        return self.root / OWN_SITE_FILE.relative_to("/")

    @property
    def is_signed(self) -> bool:
        """The site file is the operator's, which enrolment brings; else the technician's own."""
        return self.site_file in (self.root / SIGNED_SITE_FILE.relative_to("/"), HANDED_SITE_FILE)

    @property
    def is_this_box(self) -> bool:
        return self.root == THIS_BOX


def backup_places(root: Path, config: Path | None = None) -> BackupPlaces:
    """Those of the box that runs, or of one whose card is mounted at `root`. A site file that is
    not there, or wrong, names no folders: then they are where they are on every box."""
    if config is None:
        signed = root / SIGNED_SITE_FILE.relative_to("/")
        own = root / OWN_SITE_FILE.relative_to("/")
        found = find_site_file() if root == THIS_BOX else own if own.is_file() else signed
    else:
        found = config
    store = _table(found).get("store", {})
    named = store if isinstance(store, dict) else {}
    folder, run = (Path(str(named.get(key, getattr(Store(), key)))) for key in ("dir", "run_dir"))
    if root == THIS_BOX:
        return BackupPlaces(root, folder, run, found)
    return BackupPlaces(root, root / folder.relative_to(folder.anchor), None, found)


def whose_box(places: BackupPlaces) -> BoxName | None:
    """By its site file, its identity or its claim; None: it does not know yet."""
    role = None
    names: BoxName | None = None
    if places.is_this_box and (told := read_box_names()) is not None:
        names = BoxName(told.site, told.gateway, told.role, "the identity of this box")
        role = told.role
    names = names or _named(places.root / HOME) or _claimed(places)
    role = names.role if names is not None else role
    site = _table(places.site_file).get("site")
    if isinstance(site, dict) and {"id", "gateway"} <= site.keys():
        return BoxName(str(site["id"]), str(site["gateway"]), role, str(places.site_file))
    return names


def _claimed(places: BackupPlaces) -> BoxName | None:
    for place in CLAIM_PLACES:
        claim = _table(places.root / place)
        if {"site", "gateway", "role"} <= claim.keys():
            site, gateway, role = (str(claim[key]) for key in ("site", "gateway", "role"))
            return BoxName(site, gateway, role, str(places.root / place))
    return None


def _named(file: Path) -> BoxName | None:
    """The identity's own file on a card."""
    with contextlib.suppress(OSError, ValueError, AttributeError, KeyError):
        found = msgspec.json.decode(read_file(file) or b"")
        role = found.get("role")
        return BoxName(
            str(found["site"]), str(found["gateway"]), str(role) if role else None, str(file)
        )
    return None


def _table(file: Path) -> dict[str, object]:
    """A TOML file; nothing where it is not there, not for us, or wrong."""
    with contextlib.suppress(OSError, ValueError):
        return dict(parse_toml((read_file(file) or b"").decode()))
    return {}
