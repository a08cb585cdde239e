"""The example of a policy, and the folder of a server."""

from pathlib import Path

import msgspec
import pytest

from edge.core import ConfigError
from edge.provision.serverdir import Policy, ServerDirectory

EXAMPLE = Path("deploy/provision/provision.example.toml")


def test_the_example_names_every_key_with_its_default(tmp_path: Path) -> None:
    home = ServerDirectory(tmp_path)
    home.policy_file.write_bytes(EXAMPLE.read_bytes())
    policy = home.policy()
    bare = msgspec.structs.replace(policy, operators={}, page=Policy().page)
    assert bare == Policy()
    text = EXAMPLE.read_text()
    assert all(f"{name} = " in text for name in Policy.__struct_fields__ if name != "operators")
    assert policy.operators["first"].sites == ("*",)


def test_a_key_of_the_ca_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    from edge.provision import bootstrap
    from tests.kit.enrolment import START

    home = ServerDirectory(tmp_path / "home")
    bootstrap.bootstrap_server(home, "CA", ["localhost"], START)
    home.ca_key.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        home.authority()


def test_the_store_is_there_before_two_can_open_it_at_once(tmp_path: Path) -> None:
    from edge.provision import bootstrap
    from tests.kit.enrolment import START

    home = ServerDirectory(tmp_path / "home")
    bootstrap.bootstrap_server(home, "CA", ["localhost"], START)
    assert (home.folder / "store.db").read_bytes()[18:20] == b"\x02\x02", "and it is a WAL one"
