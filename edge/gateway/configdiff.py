"""What a changed site file would do, before it does anything: findings, changes, what restarts.

Used by `kerbstone config`, by the page and by whoever applies a file: all see the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.config import Problem, Site
from edge.config.sitechanges import SiteChange, site_changes
from edge.core import Stamp
from edge.core.displayname import with_name
from edge.gateway.changescope import ChangeScope, change_scope
from edge.gateway.lastgood import file_digest
from edge.gateway.sitecheck import check_site_text

THINGS: Final[Mapping[str, str]] = {
    "bus": "bus", "device": "device", "lane": "lane", "bay": "bay", "approach": "approach",
    "calibration": "calibration", "cell": "gas cell",
}  # fmt: skip
OWNER_TEXT: Final = (
    "this box gets another name: records that wait under the old one are kept, and not sent"
)
LINK_TEXT: Final = (
    "kerbstone-link reads [link] when it starts: `sudo systemctl restart kerbstone-link`"
)
NO_CHANGE: Final = ChangeScope()
SAME_TEXT: Final = "nothing that the gateway does is changed"


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """`site` None: the text cannot be used, and `errors` say why. `digest`: of the text."""

    site: Site | None
    digest: str
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    changes: tuple[SiteChange, ...] = ()
    scope: ChangeScope = NO_CHANGE

    @property
    def meaning(self) -> list[str]:
        """What the changes come to, a sentence each."""
        return [*_meaning(self.changes, self.scope)] or [SAME_TEXT]

    def to_map(self) -> dict[str, Any]:
        """For programs: no secret is in it."""
        return {
            "digest": self.digest,
            "errors": [_row(each) for each in self.errors],
            "warnings": [_row(each) for each in self.warnings],
            "changes": [
                {
                    "key": each.key,
                    "name": each.name,
                    "change": "added" if each.added else "removed" if each.removed else "changed",
                    "before": "" if each.whole else each.shown(each.before),
                    "after": "" if each.whole else each.shown(each.after),
                    "unit": each.unit,
                    "text": str(each),
                }
                for each in self.changes
            ],
            "meaning": self.meaning if self.site is not None else [],
            "restarts": self.scope.restarts,
            "restarts_text": self.scope.text,
        }


def compare_site_text(present: Site | None, text: str, name: str, now: Stamp) -> ConfigDiff:
    """A text against what runs (None: nothing does). Works for a second or so; raises nothing."""
    digest = file_digest(text.encode(errors="replace"))
    found = check_site_text(text, name, now)
    if found.site is None or present is None:
        return ConfigDiff(found.site, digest, found.errors, found.warnings)
    changes = site_changes(present, found.site)
    scope = change_scope(present, found.site, changes)
    return ConfigDiff(found.site, digest, (), found.warnings, tuple(changes), scope)


def _row(problem: Problem) -> dict[str, object]:
    return {"line": problem.line, "key": problem.key, "text": problem.text}


def _meaning(changes: tuple[SiteChange, ...], scope: ChangeScope) -> Iterator[str]:
    for table, thing in THINGS.items():
        mine = [each for each in changes if each.path[0] == table]
        for word, chosen in (
            ("new", [each for each in mine if each.added]),
            ("removed", [each for each in mine if each.removed]),
        ):
            for each in chosen:
                id_ = str(each.path[1])
                yield f"{thing} {with_name(id_, {id_: each.name})} is {word}"
        changed: dict[str, list[SiteChange]] = {}
        for each in mine:
            if not each.whole:
                changed.setdefault(str(each.path[1]), []).append(each)
        for id_, found in changed.items():
            keys = ", ".join(dict.fromkeys(str(each.path[-1]) for each in found))
            yield f"{thing} {with_name(id_, {id_: found[0].name})} changes: {keys}"
    for each in changes:
        if each.key == "uplink.url":
            yield f"the broker is another one: {each.shown(each.after)}"
        if each.key in ("site.id", "site.gateway"):
            yield OWNER_TEXT
    sections = [str(each.path[0]) for each in changes if each.path[0] not in THINGS]
    if sections:
        yield f"keys of {' and '.join(f'[{each}]' for each in dict.fromkeys(sections))} change"
    if scope.link:
        yield LINK_TEXT
