"""Which box a pytest run tries, on which layer, and where its reports go: read from options, ini
values and marks.
"""

import contextlib
import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from edge.rig.faultcatalogue import FAULT_KINDS, SYSTEM, able_layers
from edge.rig.htmlreport import html_report
from edge.rig.judgedrun import JudgedRun, seconds
from edge.rig.judging import judge
from edge.rig.layer import DrivableLayer, LayerError, NotHereError
from edge.rig.layertable import BOX_WORDS, MAKERS, TABLE_ENDING, BoxWords
from edge.rig.outcome import Outcome, verdict_of, worst_first
from edge.rig.runfile import write_run
from edge.rig.runlog import RunLog
from edge.rig.runner import run
from edge.rig.runtimeline import around, timeline, timeline_text
from edge.rig.scenario import LAYERS, Fault, LayerName, Scenario
from edge.rig.scenariofile import check_scenario
from edge.rig.steppedrun import CannotError, SteppedRun
from edge.rig.textreport import outcome_lines

PREFIX: Final = "kerbstone-rig-"  # short: a path of a socket has 107 bytes at most
BOX_LOG: Final = "box.log"
MQTT_LOG: Final = "mqtt"  # of the client library
PREPARED: Final = (
    Fault(name="clock", target="clock", kind="jump", at_s=0.0, amount=1.0),
    Fault(name="disk", target="disk", kind="full", at_s=0.0),
)
"""By the name of its fixture: what needs something before the box starts."""


class ScenarioFailedError(AssertionError):
    """A scenario has not passed; the text is that of the judge."""


class RigFailedError(Exception):
    """The rig could not run it. The text says what, where, and what to do."""


def wanted_layers(config: pytest.Config, own: Sequence[str] | None) -> list[Any]:
    """Parameters: one of each layer that is wanted. `own`: what a mark names; None: no mark. Raises
    UsageError for a name that is none."""
    asked: list[str] = config.getoption("--rig-layer")
    listed = own if own is not None else config.getini("rig_layers")
    for name in (*asked, *listed):
        if name not in LAYERS:
            raise pytest.UsageError(f"{name!r} is no layer; there are {', '.join(LAYERS)}")
    found = [name for name in asked if own is None or name in own] if asked else [*listed]
    if not found:
        why = f"it is for {', '.join(listed)}, and --rig-layer asks for {', '.join(asked)}"
        return [pytest.param(listed[0] if listed else asked[0], marks=pytest.mark.skip(reason=why))]
    return [pytest.param(name, marks=_missing(name)) for name in found]


def _missing(name: str) -> tuple[Any, ...]:
    if name in MAKERS:
        return ()
    return (pytest.mark.skip(reason=f"pytest cannot use the layer {name} in this version"),)


def box_words(config: pytest.Config) -> BoxWords:
    """Of options, or else of the ini file: then a file is looked for beside that."""
    found = {name: _word(config, name) for name in BOX_WORDS}
    for name in ("bench", "guest"):
        if found[name]:
            found[name] = str(_path(config, name, found[name]))
    if found["adapter"].endswith(TABLE_ENDING):
        found["adapter"] = str(_path(config, "adapter", found["adapter"]))
    return BoxWords(**found, written="rig_{}")  # type: ignore[arg-type]  # texts


def make_layer(config: pytest.Config, layer: LayerName, folder: Path) -> DrivableLayer:
    """Raises CannotError, ConfigError."""
    words = box_words(config)
    if layer == "sim" and (words.box or words.broker or words.adapter):
        raise CannotError("the layer sim runs the daemon of this installation only, and the box "
                          "is another one")  # fmt: skip
    return MAKERS[layer](words, folder)


@contextlib.contextmanager
def stepped_run(
    request: pytest.FixtureRequest, layer: LayerName, reports: Path | None
) -> Iterator[SteppedRun]:
    """A box that is ready, for one test. Skips what this layer or machine cannot do."""
    cannot(request.fixturenames, layer)
    mark = request.node.get_closest_marker("rig")
    words = dict(mark.kwargs) if mark is not None else {}
    if mark is not None and (mark.args or words.keys() - {"site", "seed"}):
        raise pytest.UsageError('write @pytest.mark.rig(site="site.toml", seed=1)')
    site = _site(request, words.get("site"))
    with box_folder() as folder, skipping():
        made = make_layer(request.config, layer, folder)
        stepped = SteppedRun(made, site, request.node.name, words.get("seed", 1))
        try:
            stepped.open([one for one in PREPARED if one.name in request.fixturenames])
            yield stepped
        finally:
            try:
                if reports is not None:
                    report_step_by_step(request.node, reports, stepped, folder)
            finally:
                stepped.close()


def run_scenario_file(
    item: pytest.Item, path: Path, layer: LayerName, reports: Path | None
) -> list[Outcome]:
    """Raises ScenarioFailedError unless it passes, Problems for a file that is wrong. Skips one
    that this layer cannot do."""
    checked = check_scenario(path)
    scenario = checked.scenario
    able = scenario.about.layers or able_layers(checked.kinds.values())
    if layer not in able:
        reasons = [row.cannot[layer] for row in checked.kinds.values() if layer in row.cannot]
        pytest.skip("; ".join([f"{path.name} is for {', '.join(able) or 'no layer'}", *reasons]))
    with box_folder() as folder, skipping():
        log = run(scenario, make_layer(item.config, layer, folder))
        outcomes = judge(scenario, log)
        if reports is not None:
            write_report(item, reports, scenario, log, outcomes, folder)
    if log.ending == "rig_failed":
        raise RigFailedError(log.text)
    if verdict_of(outcomes) != "pass":
        raise ScenarioFailedError("\n".join(failure_lines(scenario, log, outcomes)))
    return outcomes


def failure_lines(scenario: Scenario, log: RunLog, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The words of the judge, and what happened around the first that did not pass."""
    yield from outcome_lines(scenario, log, outcomes)
    first = worst_first(outcomes)[0]
    if first.moment_s is not None:
        lines = timeline(scenario, JudgedRun(log), outcomes)
        yield f"what happened around {seconds(first.moment_s)}, on {log.layer}:"
        yield from timeline_text(around(lines, first.moment_s), first.rows)


def cannot(fixtures: Sequence[str], layer: LayerName) -> None:
    """Skips a test that asks for what the layer cannot break at all."""
    for target in SYSTEM:
        rows = [row for row in FAULT_KINDS if row.target == target]
        if target in fixtures and all(layer in row.cannot for row in rows):
            pytest.skip(f"{target}: not on the layer {layer}: {rows[0].cannot[layer]}")


@contextlib.contextmanager
def skipping() -> Iterator[None]:
    """What this layer or this machine cannot do is a test that is skipped, with the reason."""
    try:
        yield
    except (CannotError, NotHereError) as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def box_folder() -> Iterator[Path]:
    """For one box. Its broker goes when a test wants that: the client need not say so."""
    mqtt = logging.getLogger(MQTT_LOG)
    before = mqtt.level
    mqtt.setLevel(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
            yield Path(name)
    finally:
        mqtt.setLevel(before)


def report_step_by_step(
    item: pytest.Item, reports: Path, stepped: SteppedRun, folder: Path
) -> None:
    """What there is of it, however it ended."""
    with contextlib.suppress(LayerError):
        log = stepped.so_far()
        write_report(item, reports, stepped.scenario, log, stepped.outcomes, folder)


def write_report(
    item: pytest.Item, reports: Path, scenario: Scenario, log: RunLog,
    outcomes: Sequence[Outcome], folder: Path,
) -> None:  # fmt: skip
    """The page, the run and the log of one test, named as the test is."""
    reports.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", item.nodeid)[-100:].strip("-.")
    page = reports / f"{plain}-{hashlib.sha256(item.nodeid.encode()).hexdigest()[:6]}.html"
    page.write_text(html_report(scenario, log, outcomes), encoding="utf-8")
    write_run(page.with_suffix(".json"), log)
    if (folder / BOX_LOG).exists():
        shutil.copyfile(folder / BOX_LOG, page.with_suffix(".log"))
    item.user_properties.append(("rig_report", str(page)))


def _word(config: pytest.Config, name: str) -> str:
    return config.getoption(f"--rig-{name}") or config.getini(f"rig_{name}") or ""


def _path(config: pytest.Config, name: str, word: str) -> Path:
    """An option counts from where pytest was started, an ini value from its file."""
    given = config.getoption(f"--rig-{name}") is not None
    return (config.invocation_params.dir if given else config.rootpath) / word


def _site(request: pytest.FixtureRequest, marked: str | None) -> Path:
    """Of the mark, from the folder of the test; or else of the option or the ini file."""
    config = request.config
    if marked is not None:
        return request.path.parent / marked
    word = _word(config, "site")
    if not word:
        raise pytest.UsageError(
            f'{request.node.nodeid}: no site file: write @pytest.mark.rig(site="site.toml"), or '
            'rig_site = "site.toml" into the ini file of pytest'
        )
    return _path(config, "site", word)
