"""The verb `backup`: the daemon holds the file of its outbox still while a command copies it.

Request: `{"act": "hold"}`. Answer: `bytes` of the file, which stays as it is from then on (null:
the outbox is in memory, because the card fails), and whose it is: `site`, `gateway`, `serial`,
`epoch`, `records` that wait. Request: `{"act": "release"}`. Answer: whether it was `kept` as it
was. Commits go on meanwhile, in the log of the database. Who does not come back loses the hold
after half an hour, or when the log has no more room.
"""

from collections.abc import Mapping
from typing import Any

from edge.config import Site
from edge.control.protocol import ControlVerb, VerbError
from edge.outbox import AsyncOutbox


def backup_verb(outbox: AsyncOutbox, site: Site, serial: str | None) -> ControlVerb:
    """For the control server of this site's daemon."""

    async def backup(request: Mapping[str, Any]) -> Mapping[str, Any]:
        act = request.get("act")
        if act == "release":
            return {"kept": await outbox.let_go()}
        if act != "hold":
            raise VerbError("act is hold or release")
        counts = await outbox.counts()
        return {
            "bytes": await outbox.hold(),
            "site": site.place.id,
            "gateway": site.place.gateway,
            "serial": serial,
            "epoch": outbox.epoch.epoch,
            "records": counts.rows,
        }

    return backup
