"""Whom the daemon may speak to, from what is configured; `any` never slips in."""

import ipaddress
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.link.egress import (
    KnownAddresses,
    allowed_addresses,
    configured_hosts,
    nameservers,
    parse_known,
    render_drop_in,
)

ROOT = Path(__file__).parents[2]


def allowed(text: str) -> list[str]:
    lines = text.splitlines()
    assert lines[1] == "[Service]"
    assert all(line.startswith("IPAddressAllow=") for line in lines[2:])
    return [line.partition("=")[2] for line in lines[2:]]


def test_the_example_names_its_brokers_and_its_converter() -> None:
    site = tomllib.loads((ROOT / "deploy/site.example.toml").read_text())
    assert configured_hosts(site) == ["broker.example", "192.0.2.20"]


def test_fallbacks_count_once_and_nonsense_is_left_to_check() -> None:
    uplink: dict[str, Any] = {
        "url": "mqtts://a.example",
        "fallback": ["mqtts://b.example:1", "?", 7],
    }
    assert configured_hosts(
        {"uplink": uplink | {"fallback": [*uplink["fallback"], "mqtt://a.example"]}}
    ) == [
        "a.example",
        "b.example",
    ]
    assert configured_hosts({"uplink": 3, "bus": {"x": {"host": 5}, "y": 1}}) == []


def test_names_become_addresses_and_resolvers_are_among_them() -> None:
    servers = nameservers("# x\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver\n")
    answers = ["192.0.2.10", "2001:db8::7", "192.0.2.10"]
    found, failed = allowed_addresses(["b.example"], servers, KnownAddresses(), lambda _: answers)
    assert failed == []
    assert allowed(render_drop_in(found)) == [
        "192.0.2.10",
        "192.0.2.53",
        "2001:db8::7",
        "fe80::1",
    ]


def unknown(host: str) -> Sequence[str]:
    raise OSError(f"{host}: no such name")


def test_a_name_that_nobody_knows_now_keeps_what_it_meant_and_is_asked_for_again() -> None:
    known = KnownAddresses({"b.example": ["192.0.2.1"]}, ["192.0.2.53"])
    found, failed = allowed_addresses(["b.example"], [], known, unknown)
    assert found == known, "before the network is there, name servers stay allowed, too"
    assert failed == ["b.example"]
    assert allowed_addresses(["b.example"], [], KnownAddresses(), unknown)[0] == KnownAddresses(
        {"b.example": []}, []
    )
    other = allowed_addresses(["b.example"], ["192.0.2.54"], known, unknown)[0]
    assert other.servers == ["192.0.2.54"], "who are told now are the right ones"


@given(st.text() | st.recursive(
    st.none() | st.booleans() | st.text(max_size=9) | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(("names", "servers", "b")), inner),
).map(json.dumps))  # fmt: skip
def test_whatever_lies_in_the_file_of_the_run_before_is_no_error(text: str) -> None:
    found, _ = allowed_addresses(["b"], [], parse_known(text), unknown)
    assert all(type(one) is str for each in found.names.values() for one in each)
    allowed(render_drop_in(found))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ("any", "0.0.0.0", "::", "0.0.0.0/0", "x\nExecStart=y", "127.0.0.1", "224.0.0.1")
            ),
            st.text(),
            st.ip_addresses().map(str),
        )
    )
)
def test_only_addresses_of_single_machines_come_through(answers: list[str]) -> None:
    for one in allowed(
        render_drop_in(allowed_addresses(["b"], answers, KnownAddresses(), lambda _: answers)[0])
    ):
        found = ipaddress.ip_address(one)
        assert not found.is_unspecified
        assert not found.is_multicast


@pytest.mark.parametrize("known", ["", "[]", "{", '{"names": 1, "servers": []}'])
def test_the_command_writes_the_drop_in_and_remembers(known: str, tmp_path: Path) -> None:
    from edge.link.__main__ import main

    site, resolv, kept = tmp_path / "site.toml", tmp_path / "resolv.conf", tmp_path / "known.json"
    site.write_text('[uplink]\nurl = "mqtts://192.0.2.10"\n[bus.m]\nhost = "192.0.2.20"\n')
    resolv.write_text("nameserver 192.0.2.53\n")
    kept.write_text(known)
    command = ["--site", str(site), "egress", "--units", str(tmp_path / "units")]
    command += ["--known", str(kept), "--resolv", str(resolv)]
    assert main(command) == 0
    file = tmp_path / "units/kerbstone.service.d/50-egress.conf"
    assert allowed(file.read_text()) == ["192.0.2.10", "192.0.2.20", "192.0.2.53"]
    assert file.stat().st_mode & 0o777 == 0o644, "systemd reads it, and so may people"
    names = {"192.0.2.10": ["192.0.2.10"], "192.0.2.20": ["192.0.2.20"]}
    assert json.loads(kept.read_text()) == {"names": names, "servers": ["192.0.2.53"]}


def test_after_a_boot_the_last_addresses_are_open_before_there_is_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.link import egress
    from edge.link.__main__ import main

    site, resolv, kept = tmp_path / "site.toml", tmp_path / "resolv.conf", tmp_path / "known.json"
    site.write_text('[uplink]\nurl = "mqtts://b.example"\n')
    kept.write_text(KnownAddresses({"b.example": ["192.0.2.1"]}, ["192.0.2.53"]).to_json())
    command = ["--site", str(site), "egress", "--units", str(tmp_path / "units")]
    command += ["--known", str(kept), "--resolv", str(resolv)]
    monkeypatch.setattr(egress.allowed_addresses, "__defaults__", (unknown,))
    assert main(command) == 3, "it is asked again until the name was resolved"
    file = tmp_path / "units/kerbstone.service.d/50-egress.conf"
    assert allowed(file.read_text()) == ["192.0.2.1", "192.0.2.53"]
    resolv.write_text("nameserver 192.0.2.53\n")
    monkeypatch.setattr(egress.allowed_addresses, "__defaults__", (lambda _: ["192.0.2.2"],))
    assert main(command) == 0
    assert allowed(file.read_text()) == ["192.0.2.2", "192.0.2.53"]


def test_with_a_proxy_only_the_proxy_is_spoken_to() -> None:
    site = {"uplink": {"url": "mqtts://broker:8883", "proxy": "http://[2001:db8::1]:3128"}}
    assert configured_hosts(site) == ["2001:db8::1"]
    site["uplink"]["proxy"] = "ftp://x"  # `check` tells that
    assert configured_hosts(site) == ["broker"]


def test_the_brokers_of_the_former_configuration_stay_open(tmp_path: Path) -> None:
    """It comes back when the present one fails: then its brokers have to be in reach at once."""
    from edge.link.__main__ import main

    site, former, broken = (tmp_path / name for name in ("site.toml", "before", "broken"))
    site.write_text('[uplink]\nurl = "mqtts://192.0.2.10"\n')
    former.write_text('[uplink]\nurl = "mqtts://192.0.2.9"\n')
    broken.write_text("[uplink")
    command = ["--site", str(site), "egress", "--units", str(tmp_path / "units")]
    command += ["--known", str(tmp_path / "known"), "--resolv", str(tmp_path / "none")]
    for each in (former, broken, tmp_path / "nothing"):
        command += ["--former", str(each)]
    assert main(command) == 0
    file = tmp_path / "units/kerbstone.service.d/50-egress.conf"
    assert allowed(file.read_text()) == ["192.0.2.10", "192.0.2.9"]
