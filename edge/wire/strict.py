"""What a payload may be at most: bytes from a broker are hostile until they have passed here."""

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final, NoReturn

import msgpack

MAX_PAYLOAD: Final = 1 << 20  # bytes of one message
MAX_DEPTH: Final = 12  # a record is a handful of maps in each other
MAX_ITEMS: Final = 200_000  # of one payload, all levels together
MAX_ARRAY: Final = 20_000  # of one list or map
MAX_INT: Final = 1 << 63


class WireError(ValueError):
    """The payload or the topic is not what the wire format allows; the text says where."""


class WrongGatewayError(WireError):
    """A message that names another gateway or site than the one it may be filed under."""


def check_value(value: Any) -> Any:
    """`value` itself when it is JSON-like and within bounds. Raises WireError."""
    left = MAX_ITEMS
    level: Sequence[Any] = (value,)
    for _ in range(MAX_DEPTH):
        left -= len(level)
        if left < 0:
            raise WireError(f"more than {MAX_ITEMS} values")
        deeper: list[Any] = []
        for item in level:  # a record has a hundred values, and a city thousands of them a second
            kind = item.__class__
            if kind is int:
                if not -MAX_INT <= item < MAX_INT:
                    raise WireError("an integer beyond 64 bits")
            elif kind is float:
                if not isfinite(item):
                    raise WireError(f"{item} is not a number that can be sent")
            elif kind is str:
                if not item.isascii():
                    _text(item)
            elif kind is dict:
                _keys(item)
                deeper += item.values()
            elif kind is list or kind is tuple:
                deeper += item
            elif not (item is None or kind is bool or kind is bytes):
                raise WireError(f"a value of type {kind.__name__}")
        if not deeper:
            return value
        level = deeper
    raise WireError(f"nested deeper than {MAX_DEPTH}")


def load_json(payload: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, no key twice. Raises WireError."""
    try:
        value = json.loads(
            payload.decode("utf-8"), parse_constant=_constant, object_pairs_hook=_pairs
        )
    except WireError:
        raise
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
    return check_value(value)


def load_msgpack(payload: bytes) -> Any:
    """One MessagePack value with text keys, nothing after it. Raises WireError."""
    try:
        value = msgpack.unpackb(
            payload,
            raw=False,
            strict_map_key=True,
            max_array_len=MAX_ARRAY,  # room is taken when an array is announced, not when it comes
            max_map_len=MAX_ARRAY,
            object_pairs_hook=_pairs,
        )
    except WireError:
        raise
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise WireError(f"not MessagePack: {error!s:.200}") from error
    return check_value(value)


def _keys(found: dict[Any, Any]) -> None:
    try:
        text = "".join(found)
    except TypeError:
        wrong = next(key for key in found if key.__class__ is not str)
        raise WireError(f"a key that is not text: {wrong!r:.40}") from None
    if not text.isascii():
        _text(text)


def _text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WireError("text with half a surrogate pair") from error


def _constant(word: str) -> NoReturn:
    raise WireError(f"{word} is not JSON")


def _pairs(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise WireError("a key occurs twice in one map")
    return found
