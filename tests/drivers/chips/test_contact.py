"""A plain contact: polarity is taken away, the kernel debounces, nonsense is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.chips.contact import PlainContact
from edge.core import ConfigError, ContactLine, Edge, LineSpec


def test_a_slow_contact_is_debounced_by_the_kernel() -> None:
    assert PlainContact("DOOR").lines == (LineSpec("DOOR", "up", 0.05),)
    assert PlainContact("4", bias="down", debounce_ms=0).lines == (LineSpec("4", "down", 0.0),)


@given(
    st.booleans(),
    st.integers(0, 2**63),
    st.integers(0, 2**40),
    st.integers(0, 2**32),
    st.sampled_from(["low", "high"]),
)
def test_nothing_but_polarity_changes(
    high: bool, mono_ns: int, seqno: int, lost: int, active: Any
) -> None:
    meant = ContactLine("hut", PlainContact("1", active=active).active == "high")
    contact = meant.contact(Edge("1", high, mono_ns, seqno, lost))
    assert (contact.source, contact.mono_ns, contact.lost) == ("hut", mono_ns, lost)
    assert contact.initial is (seqno == 0)
    assert contact.on is (high if active == "high" else not high)


@pytest.mark.parametrize("debounce_ms", [-1, 1000])
def test_a_debounce_beyond_its_bounds_is_a_config_error(debounce_ms: int) -> None:
    with pytest.raises(ConfigError, match="0 to 999"):
        PlainContact("1", debounce_ms=debounce_ms)


def test_a_configuration_may_say_what_its_changes_are_called() -> None:
    options = drivers.spec("contact").options
    assert set(options) == {"line", "active", "bias", "debounce_ms", "event"}
    assert options["event"].choices == ("door", "tamper", "plug", "contact")
    assert (options["debounce_ms"].low, options["debounce_ms"].high) == (0, 999)
