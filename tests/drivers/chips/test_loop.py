"""A loop detector's contact: polarity is taken away, everything else is kept."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drivers.chips.loop import Loop
from edge.core import ContactLine, Edge, LineSpec


def test_a_loop_line_is_never_debounced_by_the_kernel() -> None:
    assert Loop("GPIO17").lines == (LineSpec("GPIO17", "none", 0.0),)
    assert Loop("LOOP3", bias="up").lines == (LineSpec("LOOP3", "up", 0.0),)


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
    meant = ContactLine("a.lead", Loop("1", active=active).active == "high")
    contact = meant.contact(Edge("1", high, mono_ns, seqno, lost))
    assert (contact.mono_ns, contact.lost, contact.initial) == (mono_ns, lost, seqno == 0)
    assert contact.on is (high if active == "high" else not high)
