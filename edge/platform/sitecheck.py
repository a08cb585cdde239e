"""Under which names and sites the records of a gateway were filed, and what was refused of it."""

from collections.abc import Iterator
from typing import Final

from edge.core import TOPIC_PREFIX
from edge.platform.allowedsites import AllowedSites
from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.keepquota import CONFLICT
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.recordstore import RecordStore
from edge.wire import WireError, parse_topic

SITES_SHOWN: Final = 20  # that are listed of one gateway
TOPICS_LIMIT: Final = 10_000  # that are remembered


class SiteCheck:
    """One gateway's records, fed one by one; `sites` None: nobody knows where it belongs."""

    def __init__(
        self, gw: str, prefix: str = TOPIC_PREFIX, sites: AllowedSites | None = None
    ) -> None:
        self._gw, self._prefix = gw, prefix
        self._own = sites.of(gw) if sites is not None else frozenset[str]()
        self._known: dict[str, str | None] = {}  # topic -> site; None: of another gateway
        self._first: dict[str, ReceivedRecord] = {}  # of each site
        self._more = 0

    def take(self, entry: ReceivedRecord) -> AuditFinding | None:
        """What is wrong with the topic it came under."""
        site = self._site(entry.topic)
        if site is None:
            text = (
                f"{record_name(*entry.key)} arrived under {entry.topic!r:.200}, not under "
                f"{self._prefix}/SITE/{self._gw}/up"
            )
            return AuditFinding("foreign", text, entry.key)
        if site not in self._first:
            if len(self._first) < SITES_SHOWN:
                self._first[site] = entry
            else:
                self._more += 1
        return None

    def is_own(self, entry: ReceivedRecord) -> bool:
        """Whether it came under this gateway's branch."""
        return self._site(entry.topic) is not None

    def findings(self) -> Iterator[AuditFinding]:
        """A gateway stands in one street: records under two sites are not all true."""
        own = self._own or frozenset([*self._first][:1])
        for site, entry in self._first.items():
            if site not in own:
                belongs = f"but belongs to {', '.join(sorted(own))}"
                if not self._own:
                    belongs = f"and also under {', '.join(own)}"
                text = f"{self._gw} publishes under {site}, {belongs}"
                text += f": see {record_name(*entry.key)}"
                yield AuditFinding("site", text, entry.key)
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
