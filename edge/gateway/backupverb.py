"""The verb `backup`: the daemon holds the file of its outbox still while a command copies it.

Request: `{"act": "hold"}`. Answer: `bytes` of the file, which stays as it is from then on (null:
the outbox is in memory, because the card fails), and whose it is: `site`, `gateway`, `serial`,
`epoch`, `records` that wait; `hold` is a word of this one. Request: `{"act": "release", "hold":
WORD}`. Answer: whether it was `kept` as it was. Commits go on meanwhile, in the log of the
database. Who does not come back loses the hold after half an hour, when the log has no more
room, or to the next who asks: the first may have been killed.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from edge.config import Site
from edge.control.protocol import ControlVerb, VerbError
from edge.outbox import AsyncOutbox


def backup_verb(outbox: AsyncOutbox, site: Site, serial: str | None) -> ControlVerb:
    """For the control server of this site's daemon."""
    holder = ""  # the word of who holds it

    async def backup(request: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal holder
        act = request.get("act")
        if act == "release":
            if not holder or request.get("hold") != holder:
                return {"kept": False}  # the file has changed for another one
            holder = ""
            return {"kept": await outbox.let_go()}
        if act != "hold":
            raise VerbError("act is hold or release")
        holder = secrets.token_hex(8)
        mine, counts = holder, await outbox.counts()
        return {
            "hold": mine,
            "bytes": await outbox.hold(),
            "site": site.place.id,
            "gateway": site.place.gateway,
            "serial": serial,
            "epoch": outbox.epoch.epoch,
            "records": counts.rows,
        }

    return backup
