"""A daemon of which each name and each sentence is a script, as a device or a file may bring it."""

from typing import Any, Final

SCRIPT: Final = "<img src=x onerror=alert(1)>'\"</script><script>alert(2)</script>\u202e\n\r\x00"


LIVE: Final[dict[str, Any]] = {
    "site": SCRIPT, "gateway": SCRIPT, "site_name": SCRIPT, "names": {SCRIPT: SCRIPT},
    "devices": [{"name": SCRIPT, "bus": SCRIPT, "driver": SCRIPT, "state": SCRIPT, "text": SCRIPT,
        "every_s": 1.0, "reads": 1, "errors": 1, "age_s": 1.0, "unsettled": SCRIPT,
        "readings": [{"point": SCRIPT, "value": SCRIPT, "unit": SCRIPT, "quality": SCRIPT}],
        "health": {SCRIPT: SCRIPT}}],
    "lanes": [{"name": SCRIPT, "approach": SCRIPT, "kind": SCRIPT,
        "loops": [{"name": SCRIPT, "line": SCRIPT, "on": None, "edge_age_s": 1.0, "edges": 1,
            "edges_hour": 1, "watched_age_s": 1.0, "closed": SCRIPT}],
        "window": {"age_s": 1.0, "length_s": 60.0, "volume": 1, "health": SCRIPT},
        "since_window": {"vehicles": 1, "more": False},
        "vehicles": [{"age_s": 1.0, "speed_kmh": 50.0, "length_m": 4.5, "class": SCRIPT}]}],
    "contacts": [{"name": SCRIPT, "line": SCRIPT, "kind": SCRIPT, "on": None, "edge_age_s": None,
        "edges": 0, "closed": SCRIPT, "window": None}],
    "link": {"connected": False, "failure": SCRIPT, "remedy": SCRIPT, "trouble": SCRIPT,
        "brokers": [SCRIPT], "for_s": 1.0, "confirmed_s": None, "denied": [SCRIPT]},
    "queue": {"rows": 1, "confirmed": 0, "size": 1, "limit": 2, "age_s": 1.0, "dropped": 1,
        "in_memory": SCRIPT},
    "issues": [{"kind": SCRIPT, "about": SCRIPT, "name": SCRIPT, "severity": "fault",
        "cause": SCRIPT, "remedy": SCRIPT, "for_s": 1.0, "told": False}],
    "clock": {"tq": SCRIPT, "wall_s": 1, "steps": 0}, "uptime_s": 1.0,
}  # fmt: skip


FLAG: Final = {
    "event": SCRIPT, "source": SCRIPT, "state": "on", "age_s": 1.0, "point": SCRIPT,
    "fault": SCRIPT, "cause": SCRIPT, "meant": SCRIPT, "by": SCRIPT, "text": SCRIPT,
}  # fmt: skip


FRAME: Final = {"age_s": 1.0, "way": "error", "hex": "00", "size": 1, "note": SCRIPT}


ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "live": LIVE,
    "status": {"gateway": SCRIPT},
    "flags": {"up": [FLAG], "turned": [FLAG]},
    "frames": {"bus": SCRIPT, "has_frames": True, "frames": [FRAME]},
    "history": {"source": SCRIPT, "slot_s": 120.0, "since_s": 240.0, "started_s": 99.0,
        "courses": [{"point": SCRIPT, "measure": "mean", "values": [1.0, 2.0],
            "words": [[0, 1, SCRIPT]]}]},
}  # fmt: skip
