"""The whole sheet: verdict, what to do, then each part."""

from collections.abc import Mapping
from typing import Any

from edge.app.sheet.attention import Matter, to_do, verdict
from edge.app.sheet.box import board, card
from edge.app.sheet.link import clock, link
from edge.app.sheet.outbox import outbox
from edge.app.sheet.wires import buses, models
from edge.app.sheet.words import rendered


def page(status: Mapping[str, Any], found: list[Matter]) -> list[str]:
    """Of a daemon that answered, in lines."""
    who = f"{status.get('gateway', 'the gateway')} at {status.get('site', 'its site')}"
    sections = [
        *([to_do(found)] if found else []),
        link(status),
        outbox(status.get("outbox"), daemon=True),
        clock(status),
        buses(status),
        board(status),
        card(status),
        models(status),
    ]
    return [verdict(found, who), *rendered(s for s in sections if s.lines)]
