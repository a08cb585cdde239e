"""The USB gadget on the kernel's own device controller without hardware (dummy_hcd)."""

from types import SimpleNamespace

import pytest

from tests.kernel.doorscene import NOBODY, DoorScene

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]
BOX = "10.213.48.1"


@pytest.fixture(scope="module")
def seen(door: DoorScene) -> SimpleNamespace:
    """A board whose controller appears, and a laptop at the other end of the cable."""
    found = SimpleNamespace(before=door.listening())
    door.run("modprobe dummy_hcd")
    found.laptop = door.plug_laptop()
    door.await_unit("kerbstone-page@gadget0.target")
    found.listening = door.listening() - found.before
    found.address = door.run("ip -br -4 address show gadget0").split()
    found.lease = door.lease("laptop", found.laptop)
    found.portal = door.get("laptop", f"http://{BOX}/")
    found.page = door.page("laptop", f"https://{BOX}/")
    found.ssh = door.get("laptop", f"http://{BOX}:22/")
    found.city = door.get("city", f"https://{BOX}/")
    door.run("rmmod g_ether")
    door.await_unit("kerbstone-page@gadget0.target", "inactive")
    found.after = door.listening()
    return found


def test_the_board_s_end_has_a_name_and_an_address_of_its_own(seen: SimpleNamespace) -> None:
    assert seen.address[0] == "gadget0"
    assert f"{BOX}/24" in seen.address
    assert seen.laptop != "gadget0"


def test_what_listens_is_on_the_cable_only(seen: SimpleNamespace) -> None:
    assert seen.listening == {
        "0.0.0.0%gadget0:443", "0.0.0.0%gadget0:80", "0.0.0.0%gadget0:67", f"{BOX}:53",
    }  # fmt: skip


def test_a_laptop_gets_an_address_and_the_page(seen: SimpleNamespace) -> None:
    assert seen.lease.split()[0].startswith("10.213.48.")
    assert seen.portal == f"302 https://{BOX}/"
    assert seen.page == "the page"


def test_nothing_else_of_the_box_and_nobody_from_the_city(seen: SimpleNamespace) -> None:
    assert seen.ssh.split()[0] == NOBODY
    assert seen.city.split()[0] == NOBODY


def test_when_the_cable_s_controller_goes_all_of_it_goes(seen: SimpleNamespace) -> None:
    assert seen.after == seen.before
