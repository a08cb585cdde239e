"""Which sites a gateway may file under, as the city knows it: from a list or its enrolment server.

A broker lets a gateway write at any site, so a gateway could fill another street's records in its
own name. Who is not known here may file anywhere: to keep him out is the broker's business.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.core import ConfigError

SITES_LIMIT: Final = 100_000  # gateways
REREAD_NS: Final = 10_000_000_000  # so often it is read again: boxes come and go
SERVER_DATABASE: Final = "store.db"  # in the folder of the enrolment server

SitesByGateway = Mapping[str, frozenset[str]]


class AllowedSites:
    """`path` is a list (see `listed`) or the folder of the enrolment server. Raises ConfigError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = read_allowed_sites(path)
        self._due_ns = 0
        self._lost = False

    def look(self, mono_ns: int) -> str | None:
        """Read it again when it is time. What is wrong with it, when it has just become so."""
        if mono_ns < self._due_ns:
            return None
        self._due_ns = mono_ns + REREAD_NS
        try:
            self._known, self._lost = read_allowed_sites(self._path), False
        except ConfigError as error:
            was_lost, self._lost = self._lost, True
            return None if was_lost else f"{error}; the sites that were known before still apply"
        return None

    def of(self, gw: str) -> frozenset[str]:
        """Empty: nothing is known of it."""
        return self._known.get(gw, frozenset())

    def refusal(self, gw: str, site: str) -> str | None:
        """Why this gateway may not file under this site; None when it may."""
        own = self.of(gw)
        if not own or site in own:
            return None
        return f"{gw} belongs to {', '.join(sorted(own))}, but publishes under {site:.64}"


def read_allowed_sites(path: Path) -> SitesByGateway:
    """Gateways and their sites. Raises ConfigError."""
    try:  # also of `is_dir`: a folder above it may be closed to us
        if path.is_dir():
            return approved_gateways(path)
        return parse_site_list(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None


def parse_site_list(text: str, where: str) -> SitesByGateway:
    """A gateway and its sites a line, with blanks between them; no site: any. # is a comment."""
    found: dict[str, frozenset[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match line.partition("#")[0].split():
            case [gw, *sites]:
                if gw in found:
                    raise ConfigError(f"{where}:{number}: {gw} is on two lines; use one line")
                found[gw] = frozenset(sites)
    return found


def approved_gateways(enrol_folder: Path) -> SitesByGateway:
    """The gateways of an enrolment server. Raises ConfigError."""
    path = enrol_folder / SERVER_DATABASE
    try:
        store = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            sql = "SELECT gateway, site FROM asked WHERE state = 'approved' ORDER BY gateway"
            rows = store.execute(sql).fetchmany(SITES_LIMIT)
        finally:
            store.close()
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: {error}; is this the folder of the enrolment server?") from None
    found: dict[str, frozenset[str]] = {}
    for gw, site in rows:
        found[str(gw)] = found.get(str(gw), frozenset()) | {str(site)}
    return found
