"""The access point on the real kernel's radios (mac80211_hwsim), by NetworkManager and systemd."""

from types import SimpleNamespace

import pytest

from tests.kernel.doorscene import (
    AS_TECHNICIAN,
    BOX,
    CITY,
    COMMAND,
    KEY,
    MODEM,
    NOBODY,
    DoorScene,
)

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]
LOOPBACK = {"127.0.0.1%lo:443", "[::1]%lo:443"}
PROBES = {
    "Android": "-H 'Host: connectivitycheck.gstatic.com' http://10.213.47.1/generate_204",
    "iOS": "-H 'Host: captive.apple.com' http://10.213.47.1/hotspot-detect.html",
    "Windows": "-H 'Host: www.msftconnecttest.com' http://10.213.47.1/connecttest.txt",
    "Firefox": "-H 'Host: detectportal.firefox.com' http://10.213.47.1/canonical.html",
}
FORWARD = "/proc/sys/net/ipv4/ip_forward"


@pytest.fixture(scope="module")
def seen(door: DoorScene) -> SimpleNamespace:
    """One hour at the box, in some minutes: what each step has shown."""
    scene = door
    found = SimpleNamespace()
    found.listening_before = scene.listening()
    found.stranger = scene.run(f"runuser -u stranger -- {COMMAND} open; echo $?")
    found.forward_before = scene.run(f"cat {FORWARD}").strip()
    found.opened = scene.run(f"{AS_TECHNICIAN} open --minutes 30; echo $?", 180)
    found.listening_open = scene.listening()
    found.forward_open = scene.run(f"cat {FORWARD}").strip()
    found.radio_open = scene.radio()
    found.lease = scene.join()
    found.probes = {name: scene.get("phone", words) for name, words in PROBES.items()}
    found.names = [scene.look_up(name) for name in ("captive.apple.com", "anything.example")]
    found.page = scene.page("phone", f"https://{BOX}/")
    found.processes = scene.run("systemctl is-active kerbstone-web@wlan0 kerbstone-web; true")
    found.memory = scene.run(
        "systemctl show -P MemoryPeak kerbstone-portal@wlan0 kerbstone-web@wlan0"
    )
    _behind(scene, found)
    _from_the_city(scene, found)
    found.journal = scene.run("journalctl -b --no-pager -o cat | grep -c -F -e " + KEY + "; true")
    found.files = scene.run(f"grep -rlF -e {KEY} /run /var/lib /etc 2>/dev/null; true").split()
    _killed(scene, found)
    _ends(scene, found)
    return found


def _behind(scene: DoorScene, found: SimpleNamespace) -> None:
    """With forwarding on, as a box may have it; once more without the filter."""
    scene.run(f"echo 1 >{FORWARD}")
    for name in ("shut", "filter_away"):
        if name == "filter_away":
            scene.run("nft list table inet kerbstone-wlan0 >/tmp/table")
            scene.run("nft delete table inet kerbstone-wlan0")
            scene.run("ip netns exec city ip route replace 10.213.47.0/24 via 192.0.2.1")
        behind = {
            "ssh": scene.get("phone", f"http://{BOX}:22/"),
            "city": scene.get("phone", f"http://{CITY}/"),
        }
        setattr(found, name, behind)
    scene.run("nft -f /tmp/table")
    scene.run(f"echo 0 >{FORWARD}")


def _from_the_city(scene: DoorScene, found: SimpleNamespace) -> None:
    found.city = {
        url: scene.get("city", url)
        for url in (f"https://{MODEM}/", f"http://{MODEM}/", f"https://{BOX}/", f"http://{BOX}/",
                    f"http://{BOX}:53/", f"http://{MODEM}:53/")
    }  # fmt: skip
    found.city_ssh = scene.get("city", f"http://{MODEM}:22/")


def _killed(scene: DoorScene, found: SimpleNamespace) -> None:
    until_s = scene.state()["until_s"]
    scene.run("date -s '2031-05-05 05:05:05'")  # a clock that jumps, beside
    scene.run("kill -9 $(systemctl show -P MainPID kerbstone-access-point)")
    scene.await_radio(opened=False, within_s=10)
    found.radio_killed = scene.radio()
    scene.await_radio(opened=True, within_s=120)
    scene.await_open(True, 60)
    found.until_s = (until_s, scene.state()["until_s"])
    found.radio_again = scene.radio()
    found.lease_again = scene.join()


def _ends(scene: DoorScene, found: SimpleNamespace) -> None:
    scene.run(f"{AS_TECHNICIAN} open --minutes 1; true", 120)
    began_s = scene.uptime_s()
    found.asked_until_s = scene.state()["until_s"] - began_s
    scene.await_open(False, 120)
    found.lasted_s = scene.uptime_s() - began_s
    found.listening_after = scene.listening()
    found.radio_after = scene.radio()
    found.files_after = scene.run(f"grep -rlF -e {KEY} /run 2>/dev/null; true").split()
    found.tables_after = scene.run("nft list tables; true").strip()
    found.status_after = scene.run(f"{COMMAND} status; echo $?")


def test_before_only_this_machine_reaches_the_page(seen: SimpleNamespace) -> None:
    assert seen.listening_before == LOOPBACK


def test_who_is_not_in_the_group_may_not_open_it(seen: SimpleNamespace) -> None:
    assert seen.stranger.strip().splitlines()[-1] == "3"
    assert "members of the group kerbstone" in seen.stranger


def test_a_technician_opens_it_and_is_told_where_the_page_is(seen: SimpleNamespace) -> None:
    assert seen.opened.strip().splitlines()[-1] == "0", seen.opened
    assert seen.radio_open == "AP"
    assert "kerbstone-gw-17" in seen.opened
    assert "https://10.213.47.1/" in seen.opened


def test_open_there_are_listeners_on_the_radio_and_none_on_the_modem_s_interface(
    seen: SimpleNamespace,
) -> None:
    assert seen.listening_open == LOOPBACK | {
        "0.0.0.0%wlan0:443", "0.0.0.0%wlan0:80", "0.0.0.0%wlan0:67", "10.213.47.1:53",
    }  # fmt: skip


def test_a_phone_joins_with_the_label_s_key_and_gets_an_address(seen: SimpleNamespace) -> None:
    address, router, names, portal = seen.lease.split()
    assert address.startswith("10.213.47.")
    assert (router, names, portal) == (BOX, BOX, "none"), "no option 114: see decision 73"


@pytest.mark.parametrize("phone", PROBES)
def test_its_probe_is_led_to_the_page(phone: str, seen: SimpleNamespace) -> None:
    assert seen.probes[phone] == f"302 https://{BOX}/"


def test_every_name_is_the_box_s(seen: SimpleNamespace) -> None:
    assert seen.names == [[BOX], [BOX]]


def test_the_page_answers_and_was_started_for_that(seen: SimpleNamespace) -> None:
    assert seen.page == "the page"
    assert seen.processes.split() == ["active", "active"]
    portal, way = (int(each) / 2**20 for each in seen.memory.split())
    print(f"peak memory: portal {portal:.1f} MiB, way to the page {way:.1f} MiB")
    assert portal < 24


def test_a_phone_reaches_nothing_else_of_the_box_and_nothing_behind_it(
    seen: SimpleNamespace,
) -> None:
    assert {each.split()[0] for each in seen.shut.values()} == {NOBODY}
    assert seen.filter_away["ssh"].split()[0] == "200", "it is the filter that closes it"


def test_forwarding_is_not_switched_on(seen: SimpleNamespace) -> None:
    assert (seen.forward_before, seen.forward_open) == ("0", "0")


def test_the_modem_s_side_reaches_neither_the_page_nor_the_phone_s_services(
    seen: SimpleNamespace,
) -> None:
    assert {each.split()[0] for each in seen.city.values()} == {NOBODY}, seen.city
    assert seen.city_ssh.split()[0] == "200", "the way there is open"


def test_the_key_is_in_no_log_and_in_no_file_but_its_own(seen: SimpleNamespace) -> None:
    """NetworkManager keeps the volatile profile in a file that only root reads, while it is up."""
    assert seen.journal.strip() == "0"
    assert sorted(seen.files) == [
        "/run/NetworkManager/system-connections/kerbstone-access-point.nmconnection",
        "/run/credentials/kerbstone-access-point.service/access-point.json",
        "/var/lib/kerbstone-identity/access-point.json",
    ]


def test_killed_it_is_closed_at_once_and_goes_on_until_its_time(seen: SimpleNamespace) -> None:
    assert seen.radio_killed == "managed"
    assert seen.until_s[0] == seen.until_s[1], "and no clock that is set changes that"
    assert seen.radio_again == "AP"
    assert seen.lease_again.split()[1] == BOX


def test_it_closes_by_itself_and_leaves_nothing(seen: SimpleNamespace) -> None:
    assert 30 < seen.asked_until_s <= 60
    assert seen.asked_until_s - 1 <= seen.lasted_s < seen.asked_until_s + 15
    assert seen.listening_after == LOOPBACK
    assert seen.radio_after == "managed"
    assert "kerbstone" not in seen.tables_after
    assert seen.files_after == []
    assert seen.status_after.split("\n") == ["closed: its time is over", "1"]
