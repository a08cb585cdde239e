"""Runs a command of a checkout under a profile, and writes down where one edge and its record go.

    python -m tests.architecture.following CHECKOUT OUT run site.toml

`measured` runs it with the packages of the checkout that is looked at, `hops` makes the way of what
it has noted. Each call of a function of the project is noted with who has called it, and with what
it carries: what it was `given`, what it `brought`, what its object `had` before and has `kept` now.
"""

import dis
import inspect
import json
import runpy
import sys
import threading
import types
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as paho

from tests.architecture.carried import FIRST_PACKET, KEPT_DEPTH, RECORD, Followed, kept_by
from tests.architecture.ways import PROJECT

RETURNS: Final = frozenset(
    code for name, code in dis.opmap.items() if name in ("RETURN_VALUE", "RETURN_CONST")
)
AWAITED: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
LAZY: Final = AWAITED | inspect.CO_GENERATOR
STATEMENTS: Final = ("DELETE FROM record", "INSERT OR IGNORE INTO record", "INSERT INTO record")
INNER: Final = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<module>")  # of a function
# the vocabulary, the command line, the other side of the wire, and what stands for the kernel
NOT_LOOKED_AT: Final = (
    "edge/core/", "edge/cli/", "edge/terminal", "drivers/sim/", "drivers/buses/gpio/remote_chip",
)  # fmt: skip
LIBRARY, LAST = "paho/mqtt/client", "_sock_send"  # which writes to the broker's socket
FIRST: Final = "drivers/buses/gpio"  # nothing is looked for before an edge was found here


class Call:
    """One activation of a function of the project."""

    __slots__ = ("begin", "end", "had", "me", "name", "number", "parent")

    def __init__(
        self, number: int, name: tuple[str, str], parent: "Call | None", begin: int
    ) -> None:
        self.number, self.name, self.parent, self.begin = number, name, parent, begin
        self.end: int | None = None
        self.me: object = None
        self.had: dict[str, int] = {}  # of what its object kept then


class Tracer:
    """The profile. Times are counts: what came after what."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}/"
        self._names: dict[types.CodeType, tuple[str, str] | None] = {}
        self._local = threading.local()
        self._lock = threading.RLock()
        self._time = self._count = 0
        self._found = False  # an edge
        self._begun: dict[types.FrameType, Call] = {}  # coroutines and generators
        self._followed = Followed()
        self._calls: list[Call] = []
        self._touches: list[tuple[int, int, str, int, int, str]] = []
        self._keep: list[object] = []  # whose ids are noted: nothing else may get them

    def install(self) -> None:
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def write(self, out: Path) -> None:
        """What was noted since the first edge was found."""
        sys.setprofile(None)
        threading.setprofile(None)
        first = self._touches[0][0] if self._touches else self._time
        calls = [
            {
                "number": call.number, "module": call.name[0], "function": call.name[1],
                "parent": call.parent.number if call.parent else None,
                "begin": call.begin, "end": call.end,
            }
            for call in self._calls
            if call.end is None or call.end >= first
        ]  # fmt: skip
        out.write_text(json.dumps({"calls": calls, "touches": self._touches}))

    def _profile(self, frame: types.FrameType, event: str, value: object) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        if code not in self._names:
            self._names[code] = self._name(code)
        name = self._names[code]
        if name is None or getattr(self._local, "busy", False):
            return
        self._local.busy = True
        try:
            with self._lock:
                if event == "return":
                    self._end(frame, value)
                elif not _is_property(frame):
                    self._begin(frame, name)
        finally:
            self._local.busy = False

    def _name(self, code: types.CodeType) -> tuple[str, str] | None:
        """Module and function; None for what is not looked at."""
        file, function = code.co_filename, code.co_qualname.rpartition(".")[2]
        inner = file.removeprefix(self._root)
        if code.co_name == LAST and file.endswith(f"/{LIBRARY}.py"):
            return LIBRARY, code.co_qualname
        project = inner != file and inner.startswith(PROJECT)
        if not project or inner.startswith(NOT_LOOKED_AT):
            return None
        if function.startswith("__") or function in INNER:
            return None
        return inner.removesuffix(".py"), code.co_qualname.replace(".<locals>", "")

    def _stack(self) -> list[tuple[types.FrameType, Call]]:
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        stack: list[tuple[types.FrameType, Call]] = self._local.stack
        return stack

    def _begin(self, frame: types.FrameType, name: tuple[str, str]) -> None:
        stack, code, own = self._stack(), frame.f_code, frame.f_locals
        if (known := self._begun.get(frame)) is not None:  # it goes on
            stack.append((frame, known))
            return
        self._time += 1
        self._count += 1
        call = Call(self._count, name, stack[-1][1] if stack else None, self._time)
        self._calls.append(call)
        stack.append((frame, call))
        if code.co_flags & LAZY:
            self._begun[frame] = call
        if not self._found and not name[0].startswith(FIRST):
            return
        call.me = own.get("self")
        given = [own.get(each) for each in _parameters(code) if each not in ("self", "cls")]
        call.had = self._kept(call.me)
        if bits := self._followed.bits(given):
            self._learn(given, bits)
            words = (each for each in (*given, *code.co_consts) if isinstance(each, str))
            note = next((each[:60] for each in words if each.startswith(STATEMENTS)), "")
            self._touch(call, "given", bits, note=note)
        for attribute, held in call.had.items():
            self._touch(call, "had", held, call.me, attribute)

    def _end(self, frame: types.FrameType, value: object) -> None:
        stack, code = self._stack(), frame.f_code
        if not any(each is frame for each, _ in stack):
            return  # begun before the profile, or a property
        while stack[-1][0] is not frame:
            stack.pop()
        _, call = stack.pop()
        if code.co_flags & AWAITED:
            if code.co_code[frame.f_lasti] not in RETURNS:
                return  # it only waits
            self._begun.pop(frame, None)
        self._time += 1
        call.end = self._time
        if not self._found and not call.name[0].startswith(FIRST):
            return
        if bits := self._followed.bits(value, calls=False):
            self._learn([value], bits)
            self._touch(call, "brought", bits)
        for attribute, held in self._kept(call.me).items():
            if new := held & ~call.had.get(attribute, 0):
                self._touch(call, "kept", new, call.me, attribute)

    def _kept(self, me: object) -> dict[str, int]:
        """What an object keeps, by its attributes."""
        if me is None or isinstance(me, type):
            return {}
        found = ((name, self._followed.bits(held, KEPT_DEPTH)) for name, held in kept_by(me))
        return {name: bits for name, bits in found if bits}

    def _learn(self, values: list[object], bits: int) -> None:
        self._found = True
        if bits & RECORD:
            self._followed.learn(values)

    def _touch(self, call: Call, kind: str, bits: int, me: object = None, note: str = "") -> None:
        self._time += 1
        self._keep.append(me)
        self._touches.append((self._time, call.number, kind, bits, id(me), note))


def _parameters(code: types.CodeType) -> tuple[str, ...]:
    """What a function is given: its parameters, and what it has from where it stands."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[:count] + code.co_freevars


def _is_property(frame: types.FrameType) -> bool:
    code = frame.f_code
    if code.co_argcount != 1 or code.co_varnames[0] != "self":
        return False
    kind = type(frame.f_locals.get("self"))
    return isinstance(inspect.getattr_static(kind, code.co_name, None), property)


def main() -> None:
    root, out, *command = sys.argv[1:]
    begin = paho.Client.__init__

    def begin_high(self: Any, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        self._last_mid = FIRST_PACKET

    paho.Client.__init__ = begin_high  # type: ignore[method-assign]
    tracer = Tracer(Path(root))
    sys.argv = ["kerbstone", *command]
    tracer.install()
    try:
        runpy.run_module("edge.cli.main", run_name="__main__", alter_sys=True)
    finally:
        tracer.write(Path(out))


if __name__ == "__main__":
    main()
