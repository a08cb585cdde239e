"""The parts of a backup: which files of a box they are, and what is left out of it."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge.core.boxfiles import SITE_FILE_NAME
from edge.core.printable import printable
from edge.diagnose.backupfile import (
    PARTS_LIMIT,
    BackupPart,
    BackupSource,
)
from edge.diagnose.boxplaces import METERS, BackupPlaces
from edge.diagnose.dooraccess import access_files
from edge.durable.readfile import is_regular_file, read_file
from edge.gateway.lastgood import GOOD_NAME, file_digest
from edge.gateway.statefiles import CARRIED_LOG, list_state_files
from edge.gateway.trialstate import ConfigTrials
from edge.outbox.commitlog import COMMIT_LOG_NAME
from edge.outbox.database import DATABASE_NAME
from edge.outbox.epochs import EPOCH_FILE, read_epoch_file
from edge.outbox.highwater import HIGHWATER_NAME, HighWaterFiles

METERS_LIMIT: Final = 64
SIGNED_NAME: Final = "signed.site.toml"  # to be looked at: enrolment brings it to the new box
CONFIG_LIMIT: Final = 1 << 20  # bytes, of a site file or a table of a meter


def state_parts(
    folder: Path, *, live: bool, database_bytes: int = 0
) -> tuple[list[BackupSource], list[str]]:
    """And what is left out, for people. Of a running gateway the log belongs to what comes later,
    and the mark of numbers is worth nothing."""
    sources, left_out = [], []
    later = {f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-journal", HIGHWATER_NAME, CARRIED_LOG}
    for each in list_state_files(folder):
        name = each.path.name
        if not each.known or (name.endswith(".db") and not each.carried) or name == "quarantine":
            left_out.append(printable(name, 128))
        if not each.carried or (live and name in later):
            continue
        size = database_bytes if live and name == DATABASE_NAME else each.path.stat().st_size
        sources.append(_source(f"state/{name}", each.path, size))
    return sources, left_out[:PARTS_LIMIT]


def with_memory(
    parts: Sequence[BackupSource], places: BackupPlaces, owner: str
) -> list[BackupSource]:
    """What a stopped daemon has left in tmpfs instead of older words on the card."""
    named = {source.part.name: source for source in parts}
    run = places.run
    if run is None:
        return list(parts)

    def instead(name: str, path: Path) -> None:
        named[f"state/{name}"] = _source(f"state/{name}", path, path.stat().st_size)

    if is_regular_file(run / COMMIT_LOG_NAME):
        instead(CARRIED_LOG, run / COMMIT_LOG_NAME)
    if read_epoch_file(run).starts > read_epoch_file(places.store).starts:
        instead(EPOCH_FILE, run / EPOCH_FILE)
    water = HighWaterFiles(places.store, run, owner)
    if water.run is not None and water.found == [water.run]:  # of one start it knows the last word
        instead(HIGHWATER_NAME, run / HIGHWATER_NAME)
    return list(named.values())


def proven_site_file(places: BackupPlaces) -> Path:
    """That of the technician, or the last good one in its place: a trial, and what comes back after
    it, are of this box alone."""
    good = places.store / GOOD_NAME
    trials = ConfigTrials(places.store)
    trials.read()
    with contextlib.suppress(OSError):
        digest = file_digest(read_file(places.site_file, CONFIG_LIMIT) or b"")
        tried = trials.on_trial(digest) is not None or trials.rejected(digest) is not None
        if tried and not places.is_signed and is_regular_file(good) and good.stat().st_size:
            return good
    return places.site_file


def config_parts(places: BackupPlaces, *, access: bool) -> list[BackupSource]:
    """The site file, tables of meters that the technician wrote, and with `access` what the label
    opens."""
    name = SIGNED_NAME if places.is_signed else SITE_FILE_NAME
    found = [(f"config/{name}", proven_site_file(places))]
    with contextlib.suppress(OSError):
        tables = sorted((places.etc / METERS).glob("*.toml"))
        found += [(f"{METERS}/{path.name}", path) for path in tables[:METERS_LIMIT]]
    if access:
        found += access_files(places)
    sources = []
    for name, path in found:
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            if is_regular_file(path) and size <= CONFIG_LIMIT and os.access(path, os.R_OK):
                sources.append(_source(name, path, size))
    return sources


def _source(name: str, path: Path, size: int) -> BackupSource:
    return BackupSource(BackupPart(name, size), lambda: path.open("rb"))
