"""Seals as manifests carry them, over records of `tests.kit.records`."""

from dataclasses import replace
from typing import Any

from edge.platform.seals import Seal
from edge.wire import CHAIN_START, chain_map
from tests.kit.records import E1, GW, entry, record

KEY = GW, E1, "manifest", 1


def sent(seq: int, **more: Any) -> dict[str, Any]:
    return {**entry(record(seq)).sent(), **more}


def seal(*numbers: int, **more: Any) -> Seal:
    chain = CHAIN_START
    for number in numbers:
        chain = chain_map(chain, sent(number))
    first, last = numbers[0], numbers[-1]
    steps = ((first, last, 1),) if last - first + 1 == len(numbers) else ((first, last, 2),)
    made = Seal(KEY, E1, "air", steps, first, last, len(numbers), chain.hex(), (), ())
    return replace(made, **more)


def key(seq: int) -> tuple[str, int, str, int]:
    return GW, E1, "air", seq
