"""A scenario file as a test: `NAME.rig.toml`, one test on each layer that is wanted."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

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
            name = cast("str", one.values[0])
            item = ScenarioItem.from_parent(self, name=name)
            for mark in one.marks:
                item.add_marker(mark)
            yield item


class ScenarioItem(pytest.Item):
    """One run of it. Its name is that of the layer."""

    def runtest(self) -> None:
        reports: Path | None = self.config.getoption("--rig-report")
        run_scenario_file(self, self.path, cast("LayerName", self.name), reports)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:  # type: ignore[override]
        if isinstance(excinfo.value, ScenarioFailedError | RigFailedError | Problems):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.path.name} on {self.name}"
