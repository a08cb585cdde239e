"""All that a pipeline remembers, attribute by attribute, as plain data; and back into another one.

What is kept for the next process forgets on purpose what lies just before a start. A recording must
not: its replay has to say the same, bit for bit. So nobody lists what belongs to it: whatever an
object of ours holds does, but for what its site and its models have made it (LEFT).

An image names classes and attributes, so it is for the program that made it and, as far as they
have the same names, for others: an attribute that is new keeps its first value, one that is gone
is passed over. A file can make nothing but plain data and objects of the packages in MADE.
"""

import dataclasses
import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import Any, Final

import msgspec

MADE: Final = ("edge.core.", "edge.infer.", "edge.process.", "edge.wire.contract.")
LEFT: Final = (
    *("edge.core.point", "edge.infer.bundlemanifest", "edge.infer.modelguard"),
    *("edge.infer.modelsession", "edge.infer.shadow", "edge.infer.sites"),
    "edge.process.enginesetup",
)
"""Modules whose objects are made from a site or a model."""
LEFT_NAMES: Final = ("Limits", "Setup")
LEFT_ATTRIBUTES: Final = frozenset({("SeriesHistory", "_last"), ("Engine", "_saved")})
"""Large, and of no account: with the first a rule warms up whose model fails just then."""
SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})
Plain = Any  # None, numbers, text, bytes; else a list that begins with its kind


class ImageError(Exception):
    """It is none, or names what this program does not have."""


def take_image(root: object) -> Plain:
    """Of an object and all that it holds. What is neither ours nor plain is left out.

    The collector of garbage does not run meanwhile. An image is some hundred thousand lists, none
    of them garbage, and to look for it among them took thrice as long as to make them.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return _Taker().take(root)
    finally:
        if collects:
            gc.enable()


def put_image(image: Plain, root: object) -> None:
    """Let `root`, made as the first one was, remember the same. Raises ImageError; then it is of
    no use any more."""
    try:
        _Putter().put(image, root)
    except Exception as error:  # whatever a file can make of it
        raise ImageError(f"the state cannot be taken up: {error!r:.200}") from error


class _Taker:
    """`_seen` numbers what can be changed, in the order in which it is found; it keeps all of it,
    so that no other object gets the same id."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, object]] = {}

    def take(self, value: Any) -> Plain:
        kind: Any = type(value)
        if kind in SCALARS:
            return value
        changes, take = _way(kind)
        if changes:
            found = self._seen.get(id(value))
            if found is not None:
                return ["r", found[0]]
            self._seen[id(value)] = len(self._seen), value
        return take(self, value)

    def all(self, values: Any) -> list[Plain]:
        take = self.take
        return [each if type(each) in SCALARS else take(each) for each in values]

    def object(self, value: object) -> Plain:
        kind: Any = type(value)
        name, names, values = _reader(kind)
        if not kind.__dictoffset__:
            with suppress(AttributeError):  # one that has no value
                return ["o", name, [*names], self.all(values(value))]
        names = [
            name
            for name in _attributes(kind, value)
            if hasattr(value, name) and (kind.__name__, name) not in LEFT_ATTRIBUTES
        ]
        return ["o", name, names, self.all(getattr(value, name) for name in names)]


Way = tuple[bool, Callable[[_Taker, Any], Plain]]
"""Whether a value of this class can be changed, and what its image is."""
_HELD: Final[Mapping[Any, Way]] = {
    tuple: (False, lambda taker, value: ["t", taker.all(value)]),
    frozenset: (False, lambda taker, value: ["z", sorted(map(taker.take, value), key=repr)]),
    type(msgspec.UNSET): (False, lambda _, value: ["u"]),
    list: (True, lambda taker, value: ["l", taker.all(value)]),
    deque: (True, lambda taker, value: ["q", value.maxlen, taker.all(value)]),
    # the order of a set is nobody's
    set: (True, lambda taker, value: ["s", sorted(taker.all(value), key=repr)]),
    dict: (True, lambda taker, value: ["d", taker.all(value), taker.all(value.values())]),
}


@cache
def _way(kind: Any) -> Way:
    if (held := _HELD.get(kind)) is not None:
        return held
    name = _name(kind)
    if issubclass(kind, Enum):
        known: dict[Any, Plain] = {each: ["e", name, each.value] for each in kind}
        return False, lambda _, value: known.get(value) or ["e", name, value.value]
    if _is_made(kind):
        if issubclass(kind, tuple):
            return False, lambda taker, value: ["n", name, taker.all(value)]
        return True, _Taker.object
    if kind.__name__ == "ndarray":
        return False, lambda _, value: ["a", *_array(value)]
    return False, lambda _, value: ["k"]


@cache
def _reader(kind: type) -> tuple[str, list[str], Callable[[Any], Any]]:
    """Name, slots, and their values at once: raises AttributeError if one has none."""
    names = [name for name in _slots(kind) if (kind.__name__, name) not in LEFT_ATTRIBUTES]
    if len(names) < 2:
        return _name(kind), names, lambda value: [getattr(value, name) for name in names]
    return _name(kind), names, attrgetter(*names)


class _Putter:
    """Goes the same way through the image and what is there, and changes it in its place."""

    def __init__(self) -> None:
        self._found: list[Any] = []

    def put(self, image: Plain, here: Any) -> Any:
        """What the image says; `here` itself, changed, if that is of the same kind."""
        if type(image) in SCALARS:
            return image
        kind, *rest = image
        match kind:
            case "k":
                return here
            case "u":
                return msgspec.UNSET
            case "r":
                return self._found[rest[0]]
            case "t":
                return tuple(self._all(rest[0], here if type(here) is tuple else ()))
            case "z":
                return frozenset(self._all(rest[0], ()))
            case "e":
                return _class(rest[0], Enum)(rest[1])
            case "n":
                return _class(rest[0], tuple)(*self._all(rest[1], ()))
            case "a":
                return _made_array(*rest)
            case "o":
                return self._object(rest[0], rest[1], rest[2], here)
        return self._held(kind, rest, here)

    def _all(self, images: list[Plain], here: Any) -> list[Any]:
        old = list(here)
        missing = [None] * (len(images) - len(old))
        return [self.put(each, was) for each, was in zip(images, [*old, *missing], strict=False)]

    def _held(self, kind: str, rest: list[Any], here: Any) -> Any:
        match kind:
            case "l":
                out: Any = here if type(here) is list else []
            case "q":
                same = type(here) is deque and here.maxlen == rest[0]
                out = here if same else deque(maxlen=rest[0])
            case "s":
                out = here if type(here) is set else set()
            case "d":
                out = here if type(here) is dict else {}
            case _:
                raise ValueError(f"no kind of value is called {kind!r:.20}")
        self._found.append(out)
        if kind == "d":
            keys, old = self._all(rest[0], ()), dict(out)
            new = [
                (key, self.put(each, old.get(key))) for key, each in zip(keys, rest[1], strict=True)
            ]
            out.clear()
            out.update(new)
            return out
        values = self._all(rest[-1], () if kind == "s" else out)
        out.clear()
        (out.update if kind == "s" else out.extend)(values)
        return out

    def _object(self, name: str, names: list[str], images: list[Plain], here: Any) -> Any:
        kind, place = _class(name), len(self._found)
        is_struct = issubclass(kind, msgspec.Struct)
        same = type(here) is kind
        out = None
        if not is_struct:
            out = here if same and not _is_frozen(kind) else kind.__new__(kind)
        self._found.append(out)
        values = {
            each: self.put(image, getattr(here, each, None) if same else None)
            for each, image in zip(names, images, strict=True)
        }
        if is_struct:
            known = {key: value for key, value in values.items() if key in kind.__struct_fields__}
            self._found[place] = out = kind(**known)
            return out
        if out is not here:
            values = {**_defaults(kind), **values}
        there = set(_attributes(kind, out))
        for each, value in values.items():
            if each in there or hasattr(out, "__dict__"):
                object.__setattr__(out, each, value)
        return out


def _attributes(kind: type, value: object) -> Iterator[str]:
    yield from getattr(value, "__dict__", ())
    yield from _slots(kind)


@cache
def _slots(kind: type) -> tuple[str, ...]:
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    found: dict[str, None] = {}
    for each in kind.__mro__:
        slots = each.__dict__.get("__slots__", ())
        found |= dict.fromkeys([slots] if isinstance(slots, str) else slots)
    return tuple(name for name in found if not name.startswith("__"))


@cache
def _is_made(kind: type) -> bool:
    module = kind.__module__
    left = module in LEFT or kind.__name__.endswith(LEFT_NAMES)
    return module.startswith(MADE) and not left


@cache
def _is_frozen(kind: type) -> bool:
    """Its objects never change: others may hold the same one."""
    params = getattr(kind, "__dataclass_params__", None)
    return bool(params and params.frozen)


@cache
def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@cache
def _class(name: str, of: type = object) -> Any:
    """A class of ours that is `of` some kind: a file must not call whatever can be called. Raises
    ImportError, LookupError or ValueError."""
    module, _, path = name.partition(":")
    if not module.startswith(MADE):
        raise ValueError(f"{name!r:.80} is not made from a file")
    found: Any = import_module(module)
    for part in path.split("."):
        found = vars(found)[part]
    if not isinstance(found, type) or found.__module__ != module or not issubclass(found, of):
        raise ValueError(f"{name!r:.80} is no class of ours")
    return found


def _defaults(kind: type) -> dict[str, Any]:
    """Of a dataclass: the first values of what an image may not know yet."""
    out = {}
    for each in dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ():
        if each.default is not dataclasses.MISSING:
            out[each.name] = each.default
        elif each.default_factory is not dataclasses.MISSING:
            out[each.name] = each.default_factory()
    return out


def _array(value: Any) -> tuple[str, list[int], bytes]:
    return value.dtype.str, list(value.shape), value.tobytes()


def _made_array(dtype: str, shape: list[int], data: bytes) -> Any:
    """Raises ImportError without numpy, TypeError or ValueError for what is no array."""
    return import_module("numpy").frombuffer(data, dtype).reshape(shape).copy()
