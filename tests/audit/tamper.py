"""What who can write a city's store may do to it without a gateway's key."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from edge.outbox.drops import DropRange
from edge.wire import CHAIN_START, chain_map, iso_time
from edge.wire.records import HEADER_KEYS
from tests.kit.scripted import E1, ScriptedGateway, Sent

HALF_A_YEAR_US: Final = 182 * 86_400 * 1_000_000
SIGNATURE: Final = ("alg", "sig", "cert_sha256")


def without(street: ScriptedGateway, *keys: tuple[int, str, int]) -> list[Sent]:
    return [each for each in street.messages if each.key not in keys]


def said(street: ScriptedGateway, of: tuple[int, str, int], **more: Any) -> list[Sent]:
    """One record says something else."""
    return [
        replace(each, payload={**each.payload, **more}) if each.key == of else each
        for each in street.messages
    ]


def resealed(messages: list[Sent], *, dated: int = 0) -> list[Sent]:
    """As who has no key would do it: each manifest is made anew over what is there now."""
    found: dict[tuple[int, str, int], dict[str, Any]] = {}
    for each in messages:
        body = dict(each.payload)
        if body["stream"] == "manifest":
            chain = CHAIN_START
            for first, last, step in body["seqs"]:
                for seq in range(first, last + 1, step):
                    chain = chain_map(chain, found[body["epoch_of"], body["stream_of"], seq])
            clock = [[b, mono, wall + dated, *rest] for b, mono, wall, *rest in body["clock"]]
            changed = chain.hex() != body["sha256"] or dated
            body |= {"sha256": chain.hex(), "clock": clock}
            for name in SIGNATURE if changed else ():
                body.pop(name, None)
        found[each.key] = body
    return [replace(each, payload=found[each.key]) for each in messages]


def redated(messages: list[Sent]) -> list[Sent]:
    """All records half a year later; what manifests say is left."""
    found = []
    for each in messages:
        times = {name: _later(each.payload[name]) for name in ("from", "to")}
        found.append(replace(each, payload={**each.payload, **times}))
    return found


def _later(text: str) -> str:
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return iso_us(round(since.total_seconds() * 1000) * 1000 + HALF_A_YEAR_US)


def iso_us(us: int) -> str:
    return iso_time(us * 1000)


def hidden(street: ScriptedGateway) -> list[Sent]:
    """Four records, the manifest over them and all manifests over manifests are gone; events that
    nobody seals declare each of these numbers as lost."""
    gone = [each.key for each in street.messages if _proves(each, "air")]
    gone += [(E1, "air", n) for n in range(2, 6)]
    street.messages = [each for each in street.messages if each.key not in gone]
    last = max(each.key for each in street.messages if each.key[1] == "manifest")
    for epoch, stream, n in gone:
        if (epoch, stream, n) < last:
            street.drop(epoch, stream, DropRange(n, n, 1))
    return street.messages


def replayed(street: ScriptedGateway) -> list[Sent]:
    """A record says something else, and in the places of all manifests that could tell stand copies
    of another one, whose signature holds."""
    good = next(each.payload for each in street.messages if each.key == (E1, "manifest", 1))
    copied = {k: v for k, v in good.items() if k not in HEADER_KEYS}
    return [
        replace(each, payload={k: v for k, v in each.payload.items() if k in HEADER_KEYS} | copied)
        if _proves(each, "air") else each
        for each in said(street, (E1, "air", 3), covered_s=9.0)
    ]  # fmt: skip


def _proves(each: Sent, stream: str) -> bool:
    """Whether it seals records of a stream in the first epoch, or manifests."""
    if each.key[1] != "manifest" or not each.payload["count"]:
        return False
    of = each.payload["epoch_of"], each.payload["stream_of"]
    return of == (E1, stream) or of[1] == "manifest"
