"""The whole status text: verdict, what to do, then each part."""

from collections.abc import Mapping
from typing import Any

from edge.core.displayname import with_name
from edge.core.humanize import span_text
from edge.report.commissiontext import acceptance_line
from edge.report.status.box import board_lines, card_lines
from edge.report.status.buslines import bus_lines, model_lines
from edge.report.status.issues import Issue, issue_texts, verdict_line
from edge.report.status.link import clock_lines, link_lines
from edge.report.status.outbox import outbox_lines
from edge.report.status.textform import WIDTH, Section, render_sections


def status_page(status: Mapping[str, Any], found: list[Issue], width: int = WIDTH) -> list[str]:
    """Of a daemon that answered, in lines of that width."""
    who = f"{status.get('gateway', 'the gateway')} at {status.get('site', 'its site')}"
    sections = [
        *([issue_texts(found)] if found else []),
        site_line(status),
        acceptance_section(status),
        link_lines(status),
        outbox_lines(status.get("outbox"), daemon=True),
        clock_lines(status),
        bus_lines(status),
        board_lines(status),
        card_lines(status),
        model_lines(status),
        recorder_section(status),
    ]
    shown = render_sections((each for each in sections if each.lines), width)
    return [verdict_line(found, who, width), *shown]


def acceptance_section(status: Mapping[str, Any]) -> Section:
    """Whether the site is commissioned; nothing of a daemon that does not tell."""
    told = status.get("acceptance")
    return Section("accepted", (acceptance_line(told),) if isinstance(told, Mapping) else ())


def recorder_section(status: Mapping[str, Any]) -> Section:
    """Recordings that somebody may want before they are gone; nothing where there is none."""
    told = status.get("recorder")
    found = told.get("recordings") if isinstance(told, Mapping) else None
    if not found:
        return Section("recorder", ())
    left = span_text(min(each["left_s"] for each in found))
    what = "1 recording" if len(found) == 1 else f"{len(found)} recordings"
    first = "gone in" if len(found) == 1 else "the first is gone in"
    return Section("recorder", (f"{what}, {first} {left}: `kerbstone recorder list`",))


def site_line(status: Mapping[str, Any]) -> Section:
    """What people call the site, where they call it something."""
    site = str(status.get("site"))
    shown = with_name(site, {site: status.get("site_name")})
    return Section("site", (shown,) if shown != site else ())
