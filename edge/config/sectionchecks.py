"""Checks that look at several values at once: the site, the uplink, what may be told."""

import zoneinfo
from pathlib import Path as FilePath
from typing import Final

from edge.config.build import SiteDraft
from edge.config.problem import suggest
from edge.config.zonechecks import unknown_zone
from edge.core import Endpoint, endpoint
from edge.core.endpoint import without_login

HOUR_S: Final = 3600
OTHER_MODES: Final = 0o007  # the part of a file's mode that is for everybody
SECRET_KEYS: Final = ("password_file", "key")


def check_sections(draft: SiteDraft) -> None:
    """All checks of this module."""
    _period(draft)
    _zone(draft)
    _store(draft)
    _uplink(draft)
    _privacy(draft)


def _period(draft: SiteDraft) -> None:
    period_s = draft.get("site", "period_s")
    if period_s and HOUR_S % period_s:
        below = next(s for s in range(period_s, 0, -1) if HOUR_S % s == 0)
        above = next(s for s in range(period_s, HOUR_S + 1) if HOUR_S % s == 0)
        draft.report(
            ("site", "period_s"),
            f"{period_s} s do not divide an hour; {below} and {above} would",
        )


def _zone(draft: SiteDraft) -> None:
    zone = draft.get("site", "zone")
    if not zone:
        return
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # a system without the database knows no zone at all and cannot say that this one is wrong
        if known := zoneinfo.available_timezones():
            hint = unknown_zone(zone) or suggest(zone, known)
            if hint.startswith("choose"):
                hint = 'such as "Europe/Berlin" is needed'
            draft.report(("site", "zone"), f'there is no time zone "{zone}"; {hint}')


def _store(draft: SiteDraft) -> None:
    folder, run_folder = draft.get("store", "dir"), draft.get("store", "run_dir")
    if folder and run_folder and FilePath(folder) == FilePath(run_folder):
        draft.report(
            ("store", "run_dir"),
            "is the same as dir; this one belongs in memory, such as /run/kerbstone",
        )


def _uplink(draft: SiteDraft) -> None:
    url = draft.get("uplink", "url")
    if url is not None:
        try:
            _tls(draft, endpoint(url))
        except ValueError as error:
            draft.report(("uplink", "url"), str(error))
    for other in draft.get("uplink", "fallback") or ():
        try:
            _same(draft, other, endpoint(other))
        except ValueError as error:
            draft.report(("uplink", "fallback"), f"{without_login(other)}: {error}")
    _check_together(draft, "cert", "key", "the certificate and its key go together")
    if draft.get("uplink", "password_file") and not draft.get("uplink", "username"):
        draft.report(("uplink", "username"), "is missing; a password needs a user")
    for key in SECRET_KEYS:
        _secret(draft, key)


def _same(draft: SiteDraft, text: str, broker: Endpoint) -> None:
    """What is encrypted for the first broker is not told to another one in the clear."""
    first = str(draft.get("uplink", "url") or "")
    if first.startswith("mqtts:") and not broker.tls:
        draft.report(("uplink", "fallback"), f"{text} is not encrypted, url is; use mqtts://")
    elif first.startswith("mqtt:") and broker.tls:
        draft.report(("uplink", "fallback"), f"{text} is encrypted, url is not; use one of them")


def _tls(draft: SiteDraft, broker: Endpoint) -> None:
    for key in ("ca", "cert", "key"):
        if draft.get("uplink", key) and not broker.tls:
            draft.report(("uplink", key), "needs a url that begins with mqtts://, or is left out")


def _check_together(draft: SiteDraft, one: str, other: str, text: str) -> None:
    for here, there in ((one, other), (other, one)):
        if draft.get("uplink", here) and "uplink" in draft.data and not _is_given(draft, there):
            draft.report(("uplink", there), f"is missing; {text}")


def _is_given(draft: SiteDraft, key: str) -> bool:
    uplink = draft.data.get("uplink")
    return isinstance(uplink, dict) and key in uplink


def _secret(draft: SiteDraft, key: str) -> None:
    """A secret that everybody on this machine can read is none. One that is not here is no error:
    a file may be checked at a desk."""
    name = draft.get("uplink", key)
    if not name:
        return
    try:
        mode = FilePath(name).stat().st_mode
    except OSError:
        return
    if mode & OTHER_MODES:
        draft.report(
            ("uplink", key),
            f"{name} may be read by everybody here; chmod 640 it, group kerbstone",
        )


def _privacy(draft: SiteDraft) -> None:
    if draft.get("streams", "raw") and draft.get("privacy", "passages") is False:
        draft.report(
            ("streams", "raw"),
            "needs passages = true under [privacy], since raw readings are not summarised; "
            "or write raw = false",
        )
