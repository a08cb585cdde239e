"""Which wheels and which lines of a lock are for a box."""

import pytest
from packaging.tags import parse_tag

from deploy.package.slot import aimed
from deploy.package.target import Target

BOX = Target()


def test_a_marker_is_judged_by_the_box_and_not_by_the_python_that_builds() -> None:
    takes = {python: Target(python=python).takes for python in ((3, 11), (3, 13))}
    assert [
        takes[3, 11]("python_full_version < '3.12'"),
        takes[3, 13]("python_version < '3.12'"),
    ] == [
        True,
        False,
    ]
    assert BOX.takes("platform_machine == 'aarch64' and sys_platform == 'linux'")
    assert not BOX.takes("implementation_name == 'pypy'")
    assert BOX.takes("")


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("cp313-cp313-manylinux_2_28_aarch64", True),
        ("cp311-abi3-manylinux_2_34_aarch64", True),
        ("cp313-cp313-manylinux2014_aarch64", True),
        ("py3-none-any", True),
        ("cp313-cp313-manylinux_2_28_x86_64", False),
        ("cp312-cp312-manylinux_2_28_aarch64", False),
        ("cp313-cp313t-manylinux_2_28_aarch64", False),
        ("cp313-cp313-musllinux_1_2_aarch64", False),
        ("cp313-cp313-manylinux_2_42_aarch64", False),  # newer than Debian 13's C library
        ("cp314-abi3-manylinux_2_28_aarch64", False),
    ],
)
def test_a_wheel_fits_by_its_tag(tag: str, fits: bool) -> None:
    assert parse_tag(tag).isdisjoint(BOX.tags()) is not fits


def test_debian_and_the_kernel_call_a_machine_by_different_names() -> None:
    assert aimed("arm64") == BOX
    assert aimed("amd64").machine == "x86_64"
    assert {aimed(name).debian for name in ("arm64", "amd64")} == {"arm64", "amd64"}
