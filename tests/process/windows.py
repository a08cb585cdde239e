"""An engine that is fed: a whole world window by window, or its contacts and sweeps at once."""

import json
import random
from collections.abc import Callable
from typing import Any

import msgpack
from hypothesis import HealthCheck, settings

from edge.core.record import Draft
from edge.process.engine import Engine
from tests.kit.asread import as_read
from tests.kit.randomsite import SITE, SiteInput, split

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def reported(drafts: list[Draft]) -> str:
    return json.dumps(
        [[each.stream, each.source, each.from_ns, each.to_ns, as_read(each)] for each in drafts]
    )


def feed(made: Engine, items: list[Any]) -> None:
    contacts, swept = split(items)
    assert made.contacts(contacts) == []
    assert made.sweeps(swept) == []


def run(
    world: SiteInput,
    chance: random.Random | None = None,
    between: Callable[[Engine], Engine] = lambda made: made,
) -> list[str]:
    """All windows of a world. With `chance` in batches of any size and order, and ahead of time."""
    made, out = Engine(SITE), []
    made.start(0)
    left = {name: list(items) for name, items in world.sources.items()}
    for end in world.ends:
        if chance is None:
            for items in left.values():
                due = [each for each in items if each.mono_ns < end]
                feed(made, due)
                del items[: len(due)]
        else:
            while any(items and items[0].mono_ns < end for items in left.values()):
                items = left[chance.choice(list(left))]
                size = chance.randint(0, 7)  # may reach beyond the window
                feed(made, items[:size])
                del items[:size]
        made = between(made)
        out.append(reported(made.close(end)))
    return out


def packed(state: dict[str, Any]) -> Any:
    return msgpack.unpackb(msgpack.packb(state), strict_map_key=True)
