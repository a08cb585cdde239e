"""A scenario file as a test: `NAME.rig.toml`, one test on each layer that is wanted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from edge.config import Problems
from edge.rig.scenario import LayerName
from edge.rig.testedbox import (
    RigFailedError,
    ScenarioFailedError,
    run_scenario_file,
    wanted_layers,
)


class ScenarioFile(pytest.File):
    """Its layers are those of the ini file, or of `--rig-layer`."""

    def collect(self) -> Iterator[pytest.Item]:
        for one in wanted_layers(self.config, None):
            layer = cast("LayerName", one.values[0])
            name = f"{Path(self.path.stem).stem}[{layer}]"  # without .rig.toml
            item = ScenarioItem.from_parent(self, name=name, rig_layer=layer)
            for mark in one.marks:
                item.add_marker(mark)
            yield item


class ScenarioItem(pytest.Item):
    """One run of it. `rig_layer` is where."""

    def __init__(self, *, rig_layer: LayerName, **words: Any) -> None:
        super().__init__(**words)
        self.rig_layer = rig_layer

    def runtest(self) -> None:
        reports: Path | None = self.config.getoption("--rig-report")
        run_scenario_file(self, self.path, self.rig_layer, reports)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        if isinstance(excinfo.value, ScenarioFailedError | RigFailedError | Problems):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.path.name} on {self.rig_layer}"
