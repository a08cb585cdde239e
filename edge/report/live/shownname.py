"""How a device, a lane, a loop or the site is called on a screen: the one place that decides it."""

from collections.abc import Mapping
from typing import Any

from edge.core.displayname import with_name
from edge.core.printable import printable
from edge.report.status.textform import as_mapping


def shown_name(name: str, answer: Mapping[str, Any]) -> str:
    """Its id, and behind it the name that people gave it, in any script, if there is one."""
    return printable(with_name(name, as_mapping(answer.get("names"))))


def shown_place(answer: Mapping[str, Any]) -> str:
    """`gw-17 at quay (Am Kai)`."""
    site = str(answer.get("site", "?"))
    shown = printable(with_name(site, {site: answer.get("site_name")}))
    return f"{printable(str(answer.get('gateway', '?')))} at {shown}"
