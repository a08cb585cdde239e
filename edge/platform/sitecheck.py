"""Under which names and sites the records of a gateway were filed, what was refused of it, and
under which sites it may file, as the city knows it: from a list or its enrolment server.

A broker lets a gateway write at any site, so a gateway could fill another street's records in its
own name. Who is not known here may file anywhere: to keep him out is the broker's business.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from edge.core import TOPIC_PREFIX, ConfigError
from edge.durable.sqlitefile import Access, open_sqlite
from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.keepquota import CONFLICT, COVERS, EPOCH, GAPS, RATE, SITE
from edge.platform.receivedrecord import Key, ReceivedRecord
from edge.platform.recordstore import RecordStore
from edge.wire import WireError, parse_topic

SITES_LIMIT: Final = 100_000  # gateways
REREAD_NS: Final = 10_000_000_000  # so often it is read again: boxes come and go
SERVER_DATABASE: Final = "store.db"  # in the folder of the enrolment server

SitesByGateway = Mapping[str, frozenset[str]]
SITES_SHOWN: Final = 20  # that are listed of one gateway
TOPICS_LIMIT: Final = 10_000  # that are remembered
NOT_KEPT: Final = {  # by the kinds of `keepquota`
    COVERS: "merged records stand for numbers that are not entered, and look as if missing: there "
    "were too many gaps between them",
    EPOCH: "records were not stored, no receipt: it began too many new epochs in a day",
    SITE: "records were not stored, no receipt: they came under too many sites",
    RATE: "records were not stored, no receipt: it sent more than is stored of one gateway",
    GAPS: "records were not stored, no receipt: too many gaps between their numbers",
}


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
        store = open_sqlite(path, Access.READ)
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


class SiteCheck:
    """One gateway's records, fed one by one; `sites` None: nobody knows where it belongs."""

    def __init__(
        self, gw: str, prefix: str = TOPIC_PREFIX, sites: AllowedSites | None = None
    ) -> None:
        self._gw, self._prefix = gw, prefix
        self._own = sites.of(gw) if sites is not None else frozenset[str]()
        self._known: dict[str, str | None] = {}  # topic -> site; None: of another gateway
        self._first: dict[str, Key] = {}  # of each site
        self._more = 0

    def take(self, entry: ReceivedRecord) -> AuditFinding | None:
        """What is wrong with the topic it came under."""
        return self.look(entry.topic, entry.key)

    def look(self, topic: str, key: Key) -> AuditFinding | None:
        """The same of a record that is not at hand."""
        site = self._site(topic)
        if site is None:
            text = (
                f"{record_name(*key)} arrived under {topic!r:.200}, not under "
                f"{self._prefix}/SITE/{self._gw}/up"
            )
            return AuditFinding("foreign", text, key)
        if site not in self._first:
            if len(self._first) < SITES_SHOWN:
                self._first[site] = key
            else:
                self._more += 1
        return None

    def is_own(self, entry: ReceivedRecord) -> bool:
        """Whether it came under this gateway's branch."""
        return self._site(entry.topic) is not None

    def findings(self) -> Iterator[AuditFinding]:
        """A gateway stands in one street: records under two sites are not all true."""
        own = self._own or frozenset([*self._first][:1])
        for site, key in self._first.items():
            if site not in own:
                belongs = f"but belongs to {', '.join(sorted(own))}"
                if not self._own:
                    belongs = f"and also under {', '.join(own)}"
                text = f"{self._gw} publishes under {site}, {belongs}"
                text += f": see {record_name(*key)}"
                yield AuditFinding("site", text, key)
        if self._more:
            text = f"it uses more than {SITES_SHOWN} sites: {self._more} more records"
            yield AuditFinding("site", f"{self._gw}: {text}")

    def _site(self, topic: str) -> str | None:
        try:
            return self._known[topic]
        except KeyError:
            pass
        if len(self._known) >= TOPICS_LIMIT:
            self._known.clear()
        try:
            place = parse_topic(topic, self._prefix)
            site = place.site if place.gw == self._gw else None
        except WireError:
            site = None
        self._known[topic] = site
        return site


def refused_findings(
    store: RecordStore, gateway: str | None = None
) -> Iterator[tuple[str, AuditFinding]]:
    """Of which gateways something was refused or not kept: findings, and whose. Raises
    RecordStoreError.

    What cannot be read is none: its number is missing, and that is one.
    """
    for gw, kind, tally in store.tallies():
        if gateway not in (None, gw):
            continue
        who = gw or "nobody's branch"
        if kind == "foreign":
            text = f"{who}: {tally.total} messages were refused: they named another gateway or site"
            yield gw, AuditFinding("foreign", text)
        elif kind == CONFLICT and tally.not_kept:
            text = f"{tally.not_kept} more contents arrived under numbers that were already used"
            yield gw, AuditFinding("conflict", f"{who}: {text}: not kept, no receipt")
        elif kind in NOT_KEPT:
            yield gw, AuditFinding("excess", f"{who}: {tally.total} {NOT_KEPT[kind]}")
