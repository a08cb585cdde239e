"""docs/library.md and its pictures: every scenario of the library, made from their files."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from edge.rig.faultcatalogue import TargetKind, able_layers
from edge.rig.judgedrun import seconds
from edge.rig.scenariofile import CheckedScenario, check_scenario
from edge.rig.scenariolibrary import library_files
from edge.rig.scenariopicture import scenario_picture

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = "docs/library.md"
PICTURES: Final = "docs/img/scenarios"
MARK: Final = "<!-- library -->\n"
END: Final = "<!-- end of library -->"
ORDINARY: Final = "Ordinary days"
SEVERAL: Final = "Several things at once"
PARTS: Final[Mapping[str, frozenset[TargetKind]]] = {
    "Loops and contacts": frozenset(("loop", "pair", "contact", "approach")),
    "Meters and sensors": frozenset(("device", "chip", "bus", "i2c_bus")),
    "The network": frozenset(("broker", "link")),
    "The box itself": frozenset(("power", "clock", "disk", "gateway")),
}
"""Part of the page -> what the faults of its scenarios are of."""


@cache
def checked() -> dict[Path, CheckedScenario]:
    """All of them. Raises Problems for one that is wrong."""
    return {file: check_scenario(file) for file in library_files()}


def library_page() -> str:
    """The page as it is, with its list as the files have it."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    before, _, rest = text.partition(MARK)
    _, _, after = rest.partition(END)
    body = "\n".join(line for part, files in _parts().items() for line in _part(part, files))
    return f"{before}{MARK}\n{body}\n\n{END}{after}"


def library_pictures() -> dict[str, Callable[[], str]]:
    """Name of a file -> what makes it."""
    return {f"{PICTURES}/{file.stem}.svg": _picture(file) for file in library_files()}


def _picture(file: Path) -> Callable[[], str]:
    def picture() -> str:
        one = checked()[file]
        return scenario_picture(one.scenario, one.site.site)

    return picture


def _parts() -> dict[str, list[Path]]:
    """Part of the page -> its files, in the order of PARTS."""
    found: dict[str, list[Path]] = {part: [] for part in (ORDINARY, *PARTS, SEVERAL)}
    for file, one in checked().items():
        targets = {row.target for row in one.kinds.values()}
        own = [part for part, kinds in PARTS.items() if targets & kinds]
        found[ORDINARY if not own else own[0] if len(own) == 1 else SEVERAL].append(file)
    return found


def _part(part: str, files: list[Path]) -> Iterator[str]:
    yield f"\n## {part}\n\n| file | what is tried | lasts | layers |\n|---|---|---|---|"
    for file in files:
        one = checked()[file]
        about = one.scenario.about
        name = f"[{file.stem}](#{file.stem})"
        yield f"| {name} | {about.name} | {seconds(about.duration_s)} | {', '.join(_layers(one))} |"
    for file in files:
        yield from _scenario(file)


def _scenario(file: Path) -> Iterator[str]:
    scenario = checked()[file].scenario
    about = scenario.about
    yield f"\n### {file.stem}\n"
    yield f"{about.name}. {about.text}\n"
    picture = f"{PICTURES}/{file.stem}.svg".removeprefix("docs/")
    yield f"![{about.name}: what the rig does]({picture})\n"
    expected = "; ".join(one.name for one in scenario.expects)
    yield f"[{file.name}](../edge/rig/library/{file.name}); it has to hold: {expected}."


def _layers(one: CheckedScenario) -> tuple[str, ...]:
    return one.scenario.about.layers or able_layers(one.kinds.values())
