"""The units that put a site file in place, and what they may."""

from pathlib import Path

UNITS = Path(__file__).parents[2] / "systemd"
SERVICE = (UNITS / "kerbstone-config.service").read_text().splitlines()


def test_the_spool_is_root_s_and_of_a_group_in_which_nobody_is_by_default() -> None:
    """Sticky: nobody removes another's file; set-group: root reads it by its group."""
    assert (
        "d /run/kerbstone-config 3770 root kerbstone-config -"
        in (UNITS / "kerbstone.tmpfiles").read_text().splitlines()
    )
    users = (UNITS / "kerbstone.sysusers").read_text().splitlines()
    assert "g kerbstone-config - -" in users
    assert not [line for line in users if line.startswith("m ")]


def test_root_s_part_writes_two_folders_and_reaches_no_network() -> None:
    assert "ReadWritePaths=/etc/kerbstone -/run/kerbstone-config" in SERVICE
    for line in ("PrivateNetwork=yes", "CapabilityBoundingSet=", "NoNewPrivileges=yes",
                 "ProtectSystem=strict", "Group=kerbstone",
                 "SupplementaryGroups=kerbstone-config"):  # fmt: skip
        assert line in SERVICE, line
    assert any("-/var/lib/kerbstone-identity" in line for line in SERVICE), "nor keys"


def test_the_new_brokers_are_let_in_between_the_file_and_the_daemon() -> None:
    starts = [line.partition("=")[2] for line in SERVICE if line.startswith("ExecStart=")]
    assert [each.split()[-1] for each in starts] == [
        "spool", "kerbstone-egress.service", "--take",
    ]  # fmt: skip
    assert starts[1].startswith("-+"), "a name that nobody knows is for the trial to show"


def test_a_request_and_an_outcome_start_it() -> None:
    path = (UNITS / "kerbstone-config.path").read_text()
    assert "PathExists=/run/kerbstone-config/request.json" in path
    assert "PathChanged=/run/kerbstone/config-outcome" in path
    outcome = (UNITS / "kerbstone-outcome.path").read_text()
    assert "Unit=kerbstone-renew.service" in outcome
