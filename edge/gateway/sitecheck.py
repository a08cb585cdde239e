"""All that can be said of a site file before a wire is touched: errors, then warnings.

`kerbstone check` prints it, `kerbstone config` and the page show it before anything is changed.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import drivers
from edge.commission.steps import LEFT_OUT, site_steps
from edge.commission.stepstatus import left_out_finding
from edge.config import (
    Problem,
    Problems,
    Site,
    load_site,
    outdated_keys,
    serial_warnings,
    site_warnings,
)
from edge.core import ConfigError, Stamp
from edge.gateway.calibrationsetup import expiring_certificates
from edge.gateway.linebudget import line_warnings
from edge.gateway.uplinksetup import make_brokers
from edge.gateway.wiring import Wiring


@dataclass(frozen=True, slots=True)
class CheckedSite:
    """What a text comes to. `site` None: it cannot be used, and `errors` say why."""

    site: Site | None
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def check_site_text(text: str, name: str, now: Stamp) -> CheckedSite:
    """A site file that lies nowhere yet; its findings call it `name`. Works for a second or so."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "site.toml")
        file.write_text(text, encoding="utf-8")

        def named(found: list[Problem]) -> tuple[Problem, ...]:
            return tuple(
                replace(each, file=name, text=each.text.replace(str(file), name)) for each in found
            )

        try:
            site = load_site(file, drivers.catalogue())
        except Problems as error:
            return CheckedSite(None, named(list(error.problems)))
        if wrong := site_errors(site):
            return CheckedSite(None, named(wrong))
        return CheckedSite(site, (), named(site_remarks(site, now)))


def site_remarks(
    site: Site, now: Stamp, devices: Mapping[str, object] | None = None
) -> list[Problem]:
    """Warnings, by line. `devices` are the built ones, where somebody has them already."""
    catalogue = drivers.catalogue()
    return sorted(
        [
            *site_warnings(site),
            *serial_warnings(site, catalogue),
            *line_warnings(site, built_devices(site)[0] if devices is None else devices),
            *expiring_certificates(site, now),
            *_commission_warnings(site),
        ],
        key=lambda p: (p.line, p.key),
    )


def _commission_warnings(site: Site) -> list[Problem]:
    """A site of which a part cannot be commissioned."""
    step = site_steps(site).get(LEFT_OUT)
    if step is None:
        return []
    found = left_out_finding(step)
    text = f"too large to be commissioned as a whole: {found.text} {found.remedy}"
    return [site.remark(("site",), text)]


def site_errors(site: Site) -> list[Problem]:
    """What keeps the daemon from using a site file that could be read."""
    wrong = [*built_devices(site)[1], *_uplink_problems(site), *outdated_keys(site)]
    return wrong or _join_problems(site)


def built_devices(site: Site) -> tuple[dict[str, object], list[Problem]]:
    """All devices. Building one touches no wire; a driver may still refuse."""
    devices: dict[str, object] = {}
    wrong: list[Problem] = []
    for name, device in site.devices.items():
        try:
            devices[name] = drivers.build(
                device.driver, None, device.options, device.points or (), backwards=device.reversed
            )
        except ConfigError as error:
            key, problem, text = str(error).partition(": ")
            keyed = (
                problem and key.isidentifier()
            )  # what the driver says of one key stands at its line
            path = ("device", name, *([key] if keyed else []))
            wrong.append(site.remark(path, text if keyed else str(error)))
    return devices, wrong


def _uplink_problems(site: Site) -> list[Problem]:
    """Files of the uplink that are here must be of use; one that is not here is a warning."""
    uplink = site.uplink
    named = (uplink.ca, uplink.cert, uplink.key, uplink.password_file)
    if not all(os.access(name, os.R_OK) for name in named if name):
        return []
    try:
        make_brokers(site)
    except ConfigError as error:
        key, _, text = str(error).removeprefix("uplink.").partition(": ")
        return [site.remark(("uplink", key), text or key)]
    return []


def _join_problems(site: Site) -> list[Problem]:
    """What the daemon would find when it joins its parts: they are, and no wire is touched."""
    try:
        with closing(Wiring.of(site)) as wiring:
            wiring.pipeline()
    except Problems as error:
        return list(error.problems)
    except ConfigError as error:
        return [site.remark((), str(error))]
    return []
