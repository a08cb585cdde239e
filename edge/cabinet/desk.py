"""The folder of a cabinet at a desk: the site file for its gateway, sockets and ports, and a lock.

One simulation has it at a time. What a killed one has left is taken over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import drivers
from edge.cabinet.cabinet import placed_site
from edge.cabinet.deskfile import DeskChange, desk_changes, differing, is_desk_file, rewrite
from edge.cabinet.deskplaces import DeskPlace, desk_places
from edge.config import Site, load_site
from edge.config.tomlfile import FILE_LIMIT
from edge.core import ConfigError, endpoint
from edge.core.boxfiles import SITE_FILE_NAME
from edge.durable.atomicwrite import replace_file
from edge.durable.filelock import FileLock
from edge.durable.readfile import NotAFileError, read_beginning

DESK: Final = Path("desk")  # in the folder where one works
KEEP: Final = "keep"
BROKER: Final = "mqtt://127.0.0.1:1883"
LOCK: Final = "lock"
PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True)
class Desk:
    """`file` is the gateway's site file, `site` what it says, `ports` the real ports that are used.

    `made` says whether the file was made now: then it is a copy, with other places.
    """

    folder: Path
    file: Path
    site: Site
    ports: Mapping[str, str]
    made: bool
    lock: FileLock
    changes: tuple[DeskChange, ...] = ()  # what is other in the copy


def open_desk(
    source: Path, folder: Path | None, broker: str = BROKER, ports: Mapping[str, str] | None = None,
    authority: Path | None = None,
) -> Desk:  # fmt: skip
    """Take the folder and write the gateway's file into it.

    A `source` that is such a file is played where it lies. `broker` is a URL, or KEEP;
    `authority` is whom it trusts by TLS, in place of whom the system trusts. Raises ConfigError for
    what cannot be, BlockingIOError when another simulation has the folder, OSError.
    """
    site = load_site(source, drivers.catalogue())
    if is_desk_file(_beginning(source)):
        if folder is not None and folder.resolve() != source.resolve().parent:
            raise ConfigError(f"{source} is a desk's file already: leave --desk out")
        return _own(source.resolve(), site, ports or {})
    if broker != KEEP:
        try:
            endpoint(broker)
        except ValueError as error:
            raise ConfigError(f"--broker {broker}: {error}; or write {KEEP}") from error
    folder = (folder or DESK).absolute()
    if not str(folder).isprintable():  # it becomes part of a file
        raise ConfigError(f"--desk {str(folder)!r}: give a folder whose name can be printed")
    file = folder / SITE_FILE_NAME
    places = desk_places(site, folder, ports or {})
    if file.exists() and not is_desk_file(_beginning(file)):
        raise ConfigError(f"{file} is somebody's own file: give another folder with --desk")
    changes = desk_changes(
        {name: place.keys for name, place in places.items()}, folder,
        "" if broker == KEEP else broker, authority,
    )  # fmt: skip
    original = _whole(source)
    text = rewrite(original, changes, str(source))
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    lock = _locked(folder)
    try:
        replace_file(file, text.encode(), sync=False)
        copied = load_site(file, drivers.catalogue())
        _same(copied, placed_site(site, places))
        _folders(copied)
    except BaseException:
        lock.release()
        raise
    return Desk(folder, file, copied, _real(places), True, lock, differing(original, changes))


def _own(file: Path, site: Site, ports: Mapping[str, str]) -> Desk:
    """A desk's file: its places are simulated ones, whoever has changed it."""
    folder = file.parent
    places = desk_places(site, folder, ports)
    for name, place in places.items():
        if place.keys:
            key = next(iter(place.keys))
            raise ConfigError(
                f"{file}: bus.{name}: {key} names hardware; a desk's file has simulated places, "
                f"such as {place.keys[key]!r}"
            )
    lock = _locked(folder)
    _folders(site)
    return Desk(folder, file, site, _real(places), False, lock)


def _locked(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK)
    if not lock.take():
        raise BlockingIOError(
            f"{folder} is in use by {lock.holder()}: end that simulation, or give another folder "
            "with --desk"
        )
    return lock


def _folders(site: Site) -> None:
    for name in (site.store.dir, site.store.run_dir):
        Path(name).mkdir(mode=PRIVATE, parents=True, exist_ok=True)


def _real(places: Mapping[str, DeskPlace]) -> dict[str, str]:
    return {name: place.port for name, place in places.items() if place.port}


def _same(copied: Site, wanted: Site) -> None:
    """Nothing else may have changed on the way."""
    if copied.buses != wanted.buses or copied.devices != wanted.devices:
        raise ConfigError(f"{wanted.file}: its copy for the desk has other buses")
    if copied.lanes != wanted.lanes or copied.bays != wanted.bays:
        raise ConfigError(f"{wanted.file}: its copy for the desk has other lanes")


def _beginning(file: Path) -> str:
    try:
        return read_beginning(file, 1024).decode("utf-8", "replace")
    except (NotAFileError, OSError):
        return ""


def _whole(file: Path) -> str:
    return read_beginning(file, FILE_LIMIT).decode("utf-8-sig")
