"""What a box is made of: program, system, card image, hardware, and how long its certificate lasts.

An update, another card, a repair or a renewal changes it; the description (`meta`) tells it to the
city. Sources: os-release(5) for the system and the image (IMAGE_ID, IMAGE_VERSION).
"""

import os
import platform
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from edge.core import Stamp
from edge.core.printable import printable
from edge.core.release import VERSION
from edge.health.board import Board
from edge.health.kernelfiles import ROOT, read_table, read_text
from edge.uplink.certificatedates import CertificateFile
from edge.wire.contract.meta import BoxMeta
from edge.wire.contract.models import Model
from edge.wire.records import iso_time

TEXT_LIMIT: Final = 128  # characters of what a file or a firmware says
LOOK_NS: Final = 60_000_000_000  # models sum up a day when they are asked
Models = Mapping[Any, Model | None]


def read_versions(board: Board, root: Path = ROOT) -> BoxMeta:
    """All of it but the certificate. What nobody knows is left out."""
    release = _os_release(root)
    memory_kib = read_table(root / "proc/meminfo", "MemTotal").get("MemTotal")
    image = " ".join(filter(None, (release.get("IMAGE_ID"), release.get("IMAGE_VERSION"))))
    return BoxMeta(
        software=VERSION,
        python=platform.python_version(),
        system=_text(release.get("PRETTY_NAME")),
        kernel=_text(platform.release()),
        image=_text(image),
        machine=_text(platform.machine()),
        board=_text(board.model),
        serial=_text(board.serial),
        processors=os.cpu_count() or UNSET,
        memory_bytes=UNSET if memory_kib is None else memory_kib * 1024,
    )


def _os_release(root: Path) -> dict[str, str]:
    """Words in quotes as in a shell; what is none is left out."""
    text = read_text(root / "etc/os-release") or read_text(root / "usr/lib/os-release") or ""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        with suppress(ValueError):  # a quote that does not end
            found[key] = " ".join(shlex.split(value))
    return found


def _text(text: str | None) -> str | UnsetType:
    return printable(text.strip(), TEXT_LIMIT) if text and text.strip() else UNSET


@dataclass(slots=True)
class BoxVersions:
    """What `meta` says of the box, and whether it has changed since it was published last.

    `models`: those in use. `publish` is called when a model or the certificate is another one.
    """

    made_of: BoxMeta
    certificate: CertificateFile
    models: Callable[[], Models]
    publish: Callable[[], None]
    _looked_ns: int | None = field(default=None, init=False)
    _seen: tuple[object, ...] | None = field(default=None, init=False)

    def told(self) -> BoxMeta:
        """As of now."""
        ends_s = self.certificate.ends_s()
        until = UNSET if ends_s is None else iso_time(ends_s * 1_000_000_000)
        return msgspec.structs.replace(self.made_of, certificate_until=until)

    def look(self, now: Stamp) -> None:
        """As time passes. What a connection publishes is the present anyway."""
        if self._looked_ns is not None and now.mono_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now.mono_ns
        found = (self.certificate.ends_s(), *map(_which, self.models().values()))
        if self._seen is not None and found != self._seen:
            self.publish()
        self._seen = found


def _which(model: Model | None) -> tuple[object, ...]:
    """Which model it is, and which is on trial beside it; how they do is in the status."""
    if model is None:
        return ()
    trial = model.shadow
    return model.model, model.sha256, model.instead, None if trial is UNSET else trial.sha256
