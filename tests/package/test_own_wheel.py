"""Our own wheel: three packages that say they are typed, and nothing beside."""

from pathlib import Path

import pytest

from deploy.package import project, wheel
from deploy.package.lock import ROOT

PACKAGES = {"drivers", "edge", "models"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> wheel.Wheel:
    return wheel.read(project.wheel(tmp_path_factory.mktemp("own"), 1_700_000_000))


def test_it_has_three_packages_and_no_tests(own: wheel.Wheel) -> None:
    assert {name.partition("/")[0] for name in own.files} == {*PACKAGES, own.info}
    assert not any("/tests/" in name for name in own.files)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_each_says_that_it_is_typed(own: wheel.Wheel, package: str) -> None:
    assert own.files[f"{package}/py.typed"] == b""
    assert (ROOT / package / "py.typed").is_file()


def test_every_module_of_the_checkout_is_in_it(own: wheel.Wheel) -> None:
    there = {path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert {Path(name) for name in own.files if name.endswith(".py")} == {
        path.relative_to(ROOT) for path in there
    }


def test_dlms_cosem_is_asked_for_by_name_only(own: wheel.Wheel) -> None:
    needs = own.metadata.get_all("Requires-Dist", [])
    (dlms,) = (need for need in needs if need.startswith("dlms-cosem"))
    assert "extra == 'dlms'" in dlms.replace('"', "'")
