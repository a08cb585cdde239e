"""Layers by their names, each made from the words by which a person says what box is tried.

The words are those of `kerbstone rig run`, and of an ini file of pytest.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.rig.benchfile import load_bench
from edge.rig.benchlayer import BenchLayer
from edge.rig.box import Adapter, load_reader
from edge.rig.boxprocess import BOX_COMMAND_WORDS, KERBSTONE
from edge.rig.boxtable import load_table
from edge.rig.layer import DrivableLayer, LayerError
from edge.rig.ptylayer import PtyLayer, PtyWish
from edge.rig.scenario import LayerName

MQTT: Final = "mqtt://"
WORD: Final = re.compile(r"\{([a-z_]+)\}")  # in a command
TABLE_ENDING: Final = ".toml"
BOX_WORDS: Final = ("box", "adapter", "broker", "bench", "guest")
"""Those of `BoxWords` that are one text."""


@dataclass(frozen=True, slots=True)
class BoxWords:
    """Empty words: the daemon of this installation, and a broker of the rig's own. `ports`: bus ->
    a real serial port; `bench`: the file of a bench; `guest`: the folder of a guest. `written` is
    how a person writes the name of a word.
    """

    box: str = ""
    adapter: str = ""
    broker: str = ""
    ports: Mapping[str, str] = field(default_factory=dict)
    bench: str = ""
    guest: str = ""
    written: str = "--{}"


def pty_layer(words: BoxWords, folder: Path) -> DrivableLayer:
    """Raises ConfigError for words that cannot be."""
    command: tuple[str, ...] | None = KERBSTONE
    broker, shown = words.broker, words.written.format
    for name, value in {"bench": words.bench, "guest": words.guest}.items():
        if value:
            raise ConfigError(f"{shown(name)}: is for another layer than pty")
    if words.box.startswith(MQTT):
        if broker:
            raise ConfigError(f"{shown('box')} mqtt://... names the broker of the box: leave "
                              f"{shown('broker')} out")  # fmt: skip
        command, broker = None, words.box
    elif words.box:
        try:
            command = tuple(shlex.split(words.box))
        except ValueError as error:
            raise ConfigError(f"{shown('box')} {words.box}: {error}") from error
        for word in WORD.findall(words.box):
            if word not in BOX_COMMAND_WORDS:
                known = ", ".join(f"{{{each}}}" for each in BOX_COMMAND_WORDS)
                raise ConfigError(f"{shown('box')}: {{{word}}} is no word of the rig; there are "
                                  f"{known}")  # fmt: skip
    return PtyLayer(folder, PtyWish(command, broker, words.ports, _adapter(words.adapter)))


def sim_layer(words: BoxWords, folder: Path) -> DrivableLayer:
    """Raises ConfigError for a word that is for another layer."""
    given = {
        "box": words.box, "adapter": words.adapter, "broker": words.broker, "on": words.ports,
        "bench": words.bench, "guest": words.guest,
    }  # fmt: skip
    for name, value in given.items():
        if value:
            raise ConfigError(f"{words.written.format(name)}: the layer sim runs the daemon of "
                              "this installation only")  # fmt: skip
    from edge.rig.simlayer import SimLayer  # the whole daemon

    return SimLayer(folder)


def qemu_layer(words: BoxWords, folder: Path) -> DrivableLayer:
    """Raises ConfigError for a word of another layer, or without a guest."""
    given = {
        "box": words.box, "adapter": words.adapter, "broker": words.broker, "on": words.ports,
        "bench": words.bench,
    }  # fmt: skip
    for name, value in given.items():
        if value:
            raise ConfigError(f"{words.written.format(name)}: the layer qemu runs the daemon of "
                              "this installation only")  # fmt: skip
    if not words.guest:
        raise ConfigError(f"the layer qemu needs {words.written.format('guest')}, a folder; "
                          "`make rig-qemu` in a checkout makes such a folder")  # fmt: skip
    from edge.rig.guestparts import guest_parts
    from edge.rig.qemulayer import QemuLayer

    try:
        return QemuLayer(folder, guest_parts(Path(words.guest)))
    except LayerError as error:
        raise ConfigError(str(error)) from error


def bench_layer(words: BoxWords, folder: Path) -> DrivableLayer:
    """Raises ConfigError for a word of another layer, and for a bench file that is wrong."""
    given = {"box": words.box, "broker": words.broker, "on": words.ports, "guest": words.guest}
    for name, value in given.items():
        if value:
            shown = words.written.format(name)
            raise ConfigError(f"{shown}: a bench file says that: leave it out")
    if not words.bench:
        shown = words.written.format("bench")
        raise ConfigError(f"the layer bench needs {shown}, a file: which wire is which")
    bench, site = load_bench(Path(words.bench))
    return BenchLayer(folder, bench, site, _adapter(words.adapter))


MAKERS: Final[Mapping[LayerName, Callable[[BoxWords, Path], DrivableLayer]]] = {
    "sim": sim_layer, "pty": pty_layer, "qemu": qemu_layer, "bench": bench_layer,
}  # fmt: skip
"""Layer -> how it is made, with a folder of its own for everything of the run."""


def _adapter(word: str) -> Adapter | None:
    if not word:
        return None
    return load_table(Path(word)) if word.endswith(TABLE_ENDING) else load_reader(word)
