"""What of a new schema breaks those who read, or write, what the former one promised.

Up, a consumer reads: it breaks when something goes away, is retyped, or may be what it never was.
Down, the platform writes: it breaks when the gateway asks for more, or takes less. A changed unit
breaks both. Descriptions, examples and new fields break nobody.

Enumerations are closed: one more word on the way up is a break (the platform may switch on it),
unless the schema says `x-grows` (kinds of events do).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

Schema = Mapping[str, Any]
Direction = Literal["up", "down"]

ABOUT: Final = ("x-topic", "x-direction", "x-retained", "x-content-types")
LOWS: Final = ("minimum", "exclusiveMinimum", "minItems", "minLength")
HIGHS: Final = ("maximum", "exclusiveMaximum", "maxItems", "maxLength")
FIXED: Final = ("pattern", "const", "format", "contentEncoding", "x-unit")
NUMBERS: Final = frozenset({"integer", "number"})


def breaking(old: Schema, new: Schema) -> list[str]:
    """Sentences, one per break; none when all who rely on `old` can live with `new`."""
    found = [
        f"{key} was {old.get(key)}, is {new.get(key)}"
        for key in ABOUT
        if old.get(key) != new.get(key)
    ]
    walk = _Walk(old, new, "down" if old.get("x-direction") == "down" else "up")
    return found + list(walk.compare(old, new, ""))


class _Walk:
    """Both trees at once; references are followed, each pair of them once."""

    def __init__(self, old: Schema, new: Schema, direction: Direction) -> None:
        self._old, self._new, self._up = old, new, direction == "up"
        self._seen: set[tuple[str, str]] = set()

    def compare(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        pair = str(old.get("$ref", "")), str(new.get("$ref", ""))
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        old, new = _followed(old, self._old), _followed(new, self._new)
        yield from self._fixed(old, new, where)
        yield from self._ranges(old, new, where)
        yield from self._words(old, new, where)
        if "anyOf" in old or "anyOf" in new:
            yield from self._forms(old, new, where)
            return
        yield from self._types(old, new, where)
        yield from self._fields(old, new, where)
        yield from self._inside(old, new, where)

    def _fixed(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        for key in FIXED:
            asked = key in old if self._up or key == "x-unit" else key in new
            if old.get(key) != new.get(key) and asked:
                yield f"{where or 'the whole'}: {key} was {old.get(key)}, is {new.get(key)}"

    def _ranges(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        """Up a range may shrink, down it may grow."""
        for keys, sign in ((LOWS, 1), (HIGHS, -1)):
            for key in keys:
                was, now = old.get(key), new.get(key)
                if was == now:
                    continue
                tighter = now is not None and (was is None or sign * (now - was) > 0)
                if tighter is not self._up:
                    yield f"{where or 'the whole'}: {key} was {was}, is {now}"

    def _words(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        was, now = old.get("enum"), new.get("enum")
        if was is None and now is None:
            return
        if was is None or now is None:
            if (now is None) is self._up:
                yield f"{where}: what was {was or 'any'} is {now or 'any'}"
            return
        for word in was:
            if word not in now:
                yield f"{where}: {word!r} is gone"
        if self._up and not new.get("x-grows"):
            for word in now:
                if word not in was:
                    yield f"{where}: {word!r} is new in a closed list"

    def _forms(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        was, now = _named(old, self._old), _named(new, self._new)
        for name, each in was.items():
            if name in now:
                yield from self.compare(each, now[name], f"{where}<{name}>")
            elif name == "integer" and "number" in now and not self._up:
                yield from self.compare(each, now["number"], f"{where}<{name}>")
            elif not (name == "null" and self._up):  # it is never null any more: nobody minds
                yield f"{where}: the form {name} is gone"
        if self._up and not new.get("x-grows"):
            yield from (f"{where}: the form {name} is new" for name in now if name not in was)

    def _types(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        was, now = old.get("type"), new.get("type")
        if was == now or was is None:
            return
        wider = ("integer", "number") if not self._up else ("number", "integer")
        if (was, now) != wider:
            yield f"{where}: type was {was}, is {now}"

    def _fields(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        was, now = old.get("properties", {}), new.get("properties", {})
        had, has = set(old.get("required", ())), set(new.get("required", ()))
        for name, each in was.items():
            place = f"{where}.{name}".lstrip(".")
            if name not in now:
                yield f"{place}: the field is gone"
                continue
            if self._up and name in had - has:
                yield f"{place}: was always there, is not any more"
            if not self._up and name in has - had:
                yield f"{place}: could be left out, cannot any more"
            yield from self.compare(each, now[name], place)
        if not self._up:
            yield from (
                f"{where}.{name}: is new, and asked for" for name in sorted(has - was.keys())
            )

    def _inside(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        for key, mark in (("items", "[]"), ("additionalProperties", ".*"), ("propertyNames", ".?")):
            was, now = old.get(key), new.get(key)
            if isinstance(was, Mapping) and isinstance(now, Mapping):
                yield from self.compare(was, now, where + mark)
            elif isinstance(was, Mapping) is not isinstance(now, Mapping):
                yield f"{where}: {key} was {_short(was)}, is {_short(now)}"
        was, now = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(was) != len(now):
            yield f"{where}: held {len(was)} items, holds {len(now)}"
            return
        for number, (one, two) in enumerate(zip(was, now, strict=True)):
            yield from self.compare(one, two, f"{where}[{number}]")


def _followed(node: Schema, root: Schema) -> Schema:
    """What a reference means; a reference to nothing is a mistake, and raises KeyError."""
    while "$ref" in node:
        target: Any = root
        for step in str(node["$ref"]).removeprefix("#/").split("/"):
            target = target[step]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _named(node: Schema, root: Schema) -> dict[str, Schema]:
    """The forms of a value by what tells them apart; a single form is a union of one."""
    found: dict[str, Schema] = {}
    for each in node.get("anyOf", [node]):
        whole = _followed(each, root)
        kind = whole.get("type") or ("words" if "enum" in whole else _short(whole))
        name = str(whole.get("title") or kind)
        found[name if name not in found else f"{name} {len(found)}"] = each
    return found


def _short(value: Any) -> str:
    return "nothing" if value is None else f"{value!s:.60}"
