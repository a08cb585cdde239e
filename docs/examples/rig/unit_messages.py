"""What the messages of the roadside unit say, in words that every box has in common."""

import json
from collections.abc import Sequence

from edge.rig.box import Reader, Said

FAULTS = {"LOOP_CLOSED": "stuck_on"}
"""Its alarm -> our word (`kerbstone rig faults`)."""


def box() -> tuple[Sequence[str], Reader]:
    """Topics to subscribe to, and the function that reads them."""
    return ["unit/+/counts", "unit/+/alarm"], read


def read(topic: str, payload: bytes) -> list[Said]:
    """One message. What it refuses with ValueError is shown as undecodable."""
    _, lane, kind = topic.split("/")
    data = json.loads(payload)
    try:
        if kind == "counts":
            span = data["span"]
            return [
                Said(
                    stream="traffic",
                    source=lane,
                    seq=int(data["n"]),
                    from_s=float(span["begin"]),
                    to_s=float(span["end"]),
                    sent_s=float(data["ts"]),
                    body={"volume": data["count"]},
                )
            ]
        at_s = float(data["ts"])
        state = "on" if data["active"] else "off"
        body = {"event": "sensor_fault", "fault": FAULTS[data["alarm"]], "state": state}
        return [Said(stream="event", source=lane, from_s=at_s, to_s=at_s, sent_s=at_s, body=body)]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a message of the unit: {error!r}") from error
