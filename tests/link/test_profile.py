"""What is written is what other readers read: no value of a claim becomes a key or a section."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.identity.network import Network
from edge.link import profile
from edge.link.profile import escape_text, ssid_octets
from edge.link.profilefiles import sync_files
from tests.link.profiles import NASTY, networks, texts
from tests.long import examples

KEYS = {
    "connection": {
        "id", "uuid", "type", "interface-name",
        "autoconnect", "autoconnect-priority", "autoconnect-retries",
    },
    "wifi": {"mode", "ssid"},
    "wifi-security": {"key-mgmt", "psk"},
    "gsm": {"apn", "username", "password", "pin"},
    "vlan": {"flags", "id", "parent"},
    "ipv4": {"method", "address1", "gateway", "dns", "ignore-auto-dns"},
    "ipv6": {"method", "address1", "gateway", "dns", "ignore-auto-dns"},
}  # fmt: skip


def read(text: str) -> dict[str, dict[str, str]]:
    """By Python's own reader, which knows nothing of ours."""
    parser = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#",), empty_lines_in_values=False, strict=True
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as it documents
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def plain(value: str) -> str:
    """GLib's escapes taken back, written down anew from its documentation."""
    table = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    return re.sub(r"\\(.)", lambda found: table[found[1]], value)


@given(networks())
def test_another_reader_finds_our_keys_and_nothing_else(network: Network) -> None:
    for path, content in profile.profile_files(network).items():
        if not path.endswith(".nmconnection"):
            continue
        found = read(content)
        assert set(found) <= set(KEYS)
        for section, pairs in found.items():
            assert set(pairs) <= KEYS[section]
    main = read(profile.profile_files(network)[profile.MAIN_CONNECTION])
    if network.ssid is not None:
        octets = [int(one) for one in main["wifi"]["ssid"].split(";")[:-1]]
        assert bytes(octets).decode() == network.ssid
        assert ("wifi-security" in main) == (network.psk is not None)
    if network.psk is not None:
        assert plain(main["wifi-security"]["psk"]) == network.psk
    for key, name in (
        ("user", "username"),
        ("password", "password"),
        ("pin", "pin"),
        ("apn", "apn"),
    ):
        value = getattr(network, key)
        if network.kind == "cellular":
            kept = main["gsm"].get(name)
            # this reader takes blanks of all alphabets off both ends; the next one does not
            assert (kept is None) == (value is None)
            assert plain(kept or "").strip() == (value or "").strip()


@given(st.one_of(texts(64), st.text(st.characters(exclude_categories=["Cs"]), max_size=40)))
@example("a\nb=c")
@example("\r[wifi]\rpsk=x")
@example("  \t x \\ ")
def test_a_value_is_one_line_or_refused(value: str) -> None:
    try:
        line = escape_text(value)
    except ValueError:
        assert any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in value)
        return
    assert not {"\n", "\r"} & set(line)
    assert plain(line) == value
    assert line == line.strip(" ")


@pytest.fixture(scope="module")
def nmcli() -> str:
    found = shutil.which("nmcli")
    if found is None:
        pytest.skip("nmcli is not here; apt install network-manager")
    return found


def through(nmcli: str, content: str) -> dict[str, dict[str, str]]:
    """NetworkManager's own reader and writer: what it understood, as it would write it."""
    command = [nmcli, "--offline", "connection", "modify", "connection.zone", "read-by-it"]
    done = subprocess.run(command, input=content, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "it read, but did not like it all"
    return read(done.stdout)


@settings(max_examples=examples(60), deadline=None)
@given(network=networks())
def test_networkmanager_reads_the_same(nmcli: str, network: Network) -> None:
    main = through(nmcli, profile.profile_files(network)[profile.MAIN_CONNECTION])
    assert main["connection"]["zone"] == "read-by-it"
    assert main["connection"]["uuid"] == profile.UUID
    if network.ssid is not None:
        ssid = main["wifi"]["ssid"]  # it writes plain text where that is enough
        numbers = re.fullmatch(r"([0-9]+;)+", ssid)
        found = (
            bytes(int(one) for one in ssid.split(";")[:-1]).decode()
            if numbers
            else (plain(ssid.replace("\\\\;", ";").replace("\\;", ";")))
        )
        assert found == network.ssid
    if network.psk is not None:
        assert plain(main["wifi-security"]["psk"]) == network.psk
    if network.kind == "cellular":
        for key, name in (("user", "username"), ("password", "password"), ("apn", "apn")):
            kept = main["gsm"].get(name)
            assert (None if kept is None else plain(kept)) == getattr(network, key)
    if network.address is not None:
        family = main["ipv6" if ":" in network.address else "ipv4"]
        assert family["method"] == "manual"
        assert family["address1"].split(",")[0] == f"{network.address}/{network.prefix}"
        assert family.get("gateway") == network.gateway
    if network.vlan is not None:
        assert main["vlan"]["id"] == str(network.vlan)
        assert main["vlan"]["parent"] == profile.TRUNK_UUID
        through(nmcli, profile.profile_files(network)[profile.TRUNK_CONNECTION])


def test_networkmanager_would_notice_a_broken_profile(nmcli: str) -> None:
    good = profile.profile_files(Network(kind="ethernet"))[profile.MAIN_CONNECTION]
    command = [nmcli, "--offline", "connection", "modify", "connection.zone", "x"]
    broken = good.replace("type=ethernet", "type=ethernot")
    done = subprocess.run(command, input=broken, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_a_static_address_turns_dhcp_off_and_an_own_resolver_stays() -> None:
    network = Network(address="192.0.2.9", prefix=24, gateway="192.0.2.1", dns=("192.0.2.53",))
    four = read(profile.profile_files(network)[profile.MAIN_CONNECTION])["ipv4"]
    assert four == {
        "method": "manual",
        "address1": "192.0.2.9/24",
        "gateway": "192.0.2.1",
        "dns": "192.0.2.53;",
        "ignore-auto-dns": "true",
    }


@given(networks())
def test_proxy_and_time_are_lines_of_their_own_kind(network: Network) -> None:
    found = profile.profile_files(network)
    assert (profile.PROXY_FILE in found) == (network.proxy is not None)
    for line in found.get(profile.PROXY_FILE, "").splitlines():
        assert re.fullmatch(r"[A-Za-z_]+=[a-z0-9.:/,-]+", line)
    lines = found.get(profile.NTP_FILE, "").splitlines()
    assert lines == [f"server {host} iburst" for host in network.ntp]


def test_files_are_private_whole_and_go_away_again(tmp_path: Path) -> None:
    first = profile.profile_files(
        Network(vlan=7, proxy="http://p.example:3128", ntp=("t.example",))
    )
    assert sync_files(tmp_path, first, profile.ALL_FILES) == list(profile.ALL_FILES)
    assert sync_files(tmp_path, first, profile.ALL_FILES) == [], (
        "nothing changed, nothing is written"
    )
    for name in profile.ALL_FILES:
        assert (tmp_path / name).stat().st_mode & 0o777 == (
            0o644 if name == profile.NTP_FILE else 0o600
        )
    (tmp_path / profile.MAIN_CONNECTION).chmod(0o644)  # NetworkManager would refuse it
    assert sync_files(tmp_path, first, profile.ALL_FILES) == [profile.MAIN_CONNECTION]
    second = profile.profile_files(Network())
    assert sync_files(tmp_path, second, profile.ALL_FILES) == list(profile.ALL_FILES)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [tmp_path / profile.MAIN_CONNECTION]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    target = tmp_path / profile.MAIN_CONNECTION
    target.parent.mkdir(parents=True)
    target.symlink_to(victim)
    target.with_name(f".{target.name}.new").symlink_to(victim)
    sync_files(tmp_path, profile.profile_files(Network()), profile.ALL_FILES)
    assert victim.read_text() == "mine"
    assert not target.is_symlink()


def test_the_nasty_ones_are_nasty() -> None:
    """A renderer without escapes would fail: the tests above can."""
    assert any(plain(ssid_octets(one)) != one for one in NASTY)
    assert escape_text("a\\nb") == "a\\\\nb"
