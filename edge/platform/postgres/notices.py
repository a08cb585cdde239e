"""Keeps the last status of each gateway, and each change of its description.

They come in the order in which they were published, but for those that come again after the death
of a sink: so the time at which the broker got them decides, and not the order of coming.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import psycopg
from msgspec import Meta, Struct, convert, to_builtins
from psycopg.types.json import Jsonb

from edge.platform.gatewaynotice import GatewayNotice
from edge.platform.postgres.rows import clean, moment_of
from edge.wire.contract.terms import Count, Epoch

CHANGES_LIMIT: Final = 200  # of the description of a gateway; beyond it the newest one is replaced
STATUS: Final = """
INSERT INTO gateway_status AS s
    (gw, branch, state, why, published, since, epoch, boot, tq, issues, body)
VALUES (%(gw)s, %(branch)s, %(state)s, %(why)s, %(at)s, %(at)s, %(epoch)s, %(boot)s, %(tq)s,
    %(issues)s, %(body)s)
ON CONFLICT (gw) DO UPDATE SET
    branch = excluded.branch, state = excluded.state, why = excluded.why,
    published = excluded.published,
    since = CASE WHEN s.state = excluded.state
        AND coalesce(excluded.epoch, s.epoch) IS NOT DISTINCT FROM s.epoch
        THEN s.since ELSE excluded.since END,
    epoch = coalesce(excluded.epoch, s.epoch), boot = coalesce(excluded.boot, s.boot),
    tq = coalesce(excluded.tq, s.tq),
    issues = CASE excluded.state WHEN 'online' THEN excluded.issues ELSE s.issues END,
    body = CASE excluded.state WHEN 'online' THEN excluded.body ELSE s.body END
WHERE excluded.published >= s.published"""
META_THEN: Final = """
SELECT body = %s FROM gateway_meta WHERE gw = %s AND published <= %s ORDER BY published DESC LIMIT 1
"""
META_COUNT: Final = "SELECT count(*), max(published) FROM gateway_meta WHERE gw = %s"
META: Final = """
INSERT INTO gateway_meta (gw, published, branch, site_name, latitude, longitude, zone, software,
    image, board, body)
VALUES (%(gw)s, %(at)s, %(branch)s, %(site_name)s, %(latitude)s, %(longitude)s, %(zone)s,
    %(software)s, %(image)s, %(board)s, %(body)s)
ON CONFLICT (gw, published) DO UPDATE SET body = excluded.body"""
META_AGAIN: Final = """
UPDATE gateway_meta SET published = %(at)s, branch = %(branch)s, site_name = %(site_name)s,
    latitude = %(latitude)s, longitude = %(longitude)s, zone = %(zone)s, software = %(software)s,
    image = %(image)s, board = %(board)s, body = %(body)s
WHERE gw = %(gw)s AND published = %(newest)s"""

UNSTORABLE: Final = (psycopg.DataError, ValueError, TypeError, OverflowError, RecursionError)
Degrees = Annotated[float, Meta(ge=-180, le=180)]


class _Issue(Struct):
    kind: str
    about: str
    severity: str
    cause: str
    remedy: str
    since: str | None = None
    name: str | None = None


class _Online(Struct):
    epoch: Epoch
    boot: Count
    tq: str
    issues: Annotated[list[_Issue], Meta(max_length=1000)] = []


class _Box(Struct, frozen=True):
    software: str | None = None
    image: str | None = None
    board: str | None = None


class _Description(Struct):
    zone: str
    site_name: str | None = None
    latitude: Degrees | None = None
    longitude: Degrees | None = None
    box: _Box = _Box()


def keep_notices(db: psycopg.Connection, notices: Sequence[GatewayNotice]) -> None:
    """Within a transaction. What is of another shape than the contract changes nothing, nor does
    what the database cannot hold."""
    for each in sorted(notices, key=lambda each: each.gw):  # two groups never wait in a circle
        try:
            row = _row(each)
            with db.transaction():  # a savepoint: the others are kept
                if each.kind == "status":
                    db.execute(STATUS, row)
                else:
                    _keep_meta(db, row)
        except UNSTORABLE:
            continue


def _row(each: GatewayNotice) -> dict[str, Any]:
    """Raises what is in UNSTORABLE."""
    moment = datetime.fromtimestamp(each.published_ms / 1000, UTC)
    said = _status(each.data) if each.kind == "status" else _meta(each.data)
    return {"gw": each.gw, "branch": each.branch, "at": moment, **said}


def _status(data: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError."""
    state, why = data.get("state"), data.get("why")
    if state == "offline":
        nothing = {"epoch": None, "boot": None, "tq": None}
        why = clean(str(why))[:64] if why is not None else None
        return nothing | {"state": state, "why": why, "issues": Jsonb([]), "body": Jsonb({})}
    if state != "online":
        raise ValueError(f"state is {state!r:.40}")
    said = convert(data, _Online)
    for issue in said.issues:
        since = moment_of(issue.since) if issue.since is not None else None
        issue.since = None if since is None else since.isoformat()
    return {
        "state": state, "why": None, "epoch": said.epoch, "boot": said.boot, "tq": clean(said.tq),
        "issues": _jsonb(to_builtins(said.issues)), "body": _jsonb(data),
    }  # fmt: skip


def _meta(data: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError."""
    said = convert(data, _Description)
    words = {
        "site_name": said.site_name, "zone": said.zone, "software": said.box.software,
        "image": said.box.image, "board": said.box.board,
    }  # fmt: skip
    found = {name: clean(text) if text is not None else None for name, text in words.items()}
    return {
        **found, "latitude": said.latitude, "longitude": said.longitude, "body": _jsonb(data),
    }  # fmt: skip


def _keep_meta(db: psycopg.Connection, row: dict[str, Any]) -> None:
    then = db.execute(META_THEN, (row["body"], row["gw"], row["at"])).fetchone()
    if then is not None and then[0]:
        return  # as it was known
    count, newest = db.execute(META_COUNT, (row["gw"],)).fetchone() or (0, None)
    if count < CHANGES_LIMIT:
        db.execute(META, row)
    elif row["at"] > newest:
        db.execute(META_AGAIN, row | {"newest": newest})


def _jsonb(data: Any) -> Jsonb:
    """As PostgreSQL takes it: without NUL, and without halves of characters; bytes as their hex.

    Raises ValueError, TypeError or RecursionError now, and not when a statement is sent.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, default=bytes.hex)
    text = text.replace("\\u0000", "\\ufffd").encode("utf-8", "replace").decode()
    return Jsonb(text, dumps=str)
