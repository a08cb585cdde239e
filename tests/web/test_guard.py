"""Whose name a request may carry."""

import pytest

from edge.web.guard import is_host_of_ours


@pytest.mark.parametrize(
    "host",
    ["192.168.7.1", "10.42.0.1:443", "[fe80::1]", "[::1]:8443", "localhost:8443", "box-7.local",
     "kerbstone", "box.home.arpa"],
)  # fmt: skip
def test_an_address_and_a_name_of_a_local_network_are_of_ours(host: str) -> None:
    assert is_host_of_ours(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "10.0.0.1.evil.example", "box-7.local.evil.example", "a b", "box:x",
     "box-7.local:123456", "évil.local", "[::1", "..", "-.-.local/", "local.evil", "a@b.local"],
)  # fmt: skip
def test_a_name_of_the_internet_may_be_a_strangers_that_leads_here(host: str) -> None:
    assert not is_host_of_ours(host)


def test_a_name_that_the_site_file_names_is_of_ours() -> None:
    assert is_host_of_ours("box7.city.example", ("box7.city.example",))
    assert not is_host_of_ours("box8.city.example", ("box7.city.example",))
