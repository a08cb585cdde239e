"""Logs of signal controllers (Indiana event codes) and of IRIS as contacts of the loops of a site.

They are read by the code of `kerbstone import`. Which detector is which loop, the trace says, or
the lines of the site are called as the detectors are. A log with rows that cannot be read is
refused: nobody would know what was not driven.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from edge.config import Site
from edge.core import ConfigError
from edge.recordings.controllerlog import Wanted
from edge.recordings.edgefile import FOUND, LEVELS, UNWATCHED
from edge.recordings.importlogs import ImportOptions, LoggedSite, LogImport
from edge.recordings.irisvlog import SUFFIX
from edge.rig.recordedcontacts import RecordedChange, full_loop, loop_lines
from edge.rig.scenario import Trace

SHOWN: Final = 12  # detectors of a log that an error names


def logged_changes(path: Path, trace: Trace, site: Site) -> Iterator[RecordedChange]:
    """All changes of its loops, in the order of time. Raises ConfigError for a log that cannot be
    used."""
    files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"{path} has no {SUFFIX} file in it")
    wanted = Wanted(frozenset({trace.signal} if trace.signal else ()))
    with LogImport(Path(tempfile.gettempdir()), ImportOptions(wanted=wanted)) as log:
        log.read(files)
        log.survey()
        _refuse_wrong(path, log)
        if len(log.names) > 1:
            names = ", ".join(sorted(log.names.values())[:SHOWN])
            raise ConfigError(f"{path} is of {len(log.names)} signals: {names}. Say with `signal` "
                              "which of them is meant")  # fmt: skip
        sites = log.sites()
        one = next(sites)  # its rows are there until the next one is asked for
        loops = _loops(path, trace, site, one)
        for row in one.rows:
            if row.line not in loops:
                continue
            closed = None if row.level == UNWATCHED else LEVELS[row.level]
            yield RecordedChange(
                loops[row.line], closed, row.t_ms / 1000, row.level.startswith(FOUND)
            )


def _refuse_wrong(path: Path, log: LogImport) -> None:
    if not log.left_out.wrong:
        return
    first = next(each for each in log.left_out.remarks() if each.wrong)
    where = f" (first: {first.where})" if first.where else ""
    raise ConfigError(
        f"{path}: {log.left_out.wrong} of its {log.rows} rows cannot be read, such as "
        f"{first.times} {first.text}{where}. `kerbstone import` names all of them: mend or remove "
        "them"
    )


def _loops(path: Path, trace: Trace, site: Site, log: LoggedSite) -> Mapping[str, str]:
    """Line of the log -> loop of the site."""
    there = {loop for loop, _ in loop_lines(site).values()}
    found: dict[str, str] = {}
    if trace.detectors is None:
        found = {line: loop for line, (loop, _) in loop_lines(site).items() if line in log.places}
    for one in trace.detectors or ():
        loop = full_loop(one.loop)
        if one.detector not in log.detectors:
            raise ConfigError(f"{path} has no detector {one.detector}; {_detectors(log)}")
        if loop not in there:
            raise ConfigError(f"detector {one.detector}: the site has no loop {one.loop}")
        found[log.detectors[one.detector]] = loop
    if not found:
        raise ConfigError(
            f"{path}: no loop of the site is one of its detectors; {_detectors(log)}. Say with "
            "`detectors` which loops they are"
        )
    return found


def _detectors(log: LoggedSite) -> str:
    names = sorted(log.detectors, key=lambda name: (len(name), name))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"it has {', '.join(names[:SHOWN])}{more}"
