"""Network profiles for property tests: all that a claim allows, and what attackers would try."""

import string
from typing import Any, Literal

from hypothesis import strategies as st

from edge.identity.network import Network

NASTY = (
    "]",
    "[wifi]",
    ";",
    "\\",
    "\\n",
    "#",
    "=",
    " ",
    "é",
    "\u2028",
    "\ufeff",
    "a\\",
    "\\s",
    "'",
    '"',
)


def texts(limit: int) -> st.SearchStrategy[str]:
    free = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=limit)
    bad = st.lists(st.sampled_from(NASTY), min_size=1, max_size=limit // 8).map("".join)
    return st.one_of(free, bad)


SSID = texts(32).filter(lambda text: len(text.encode()) <= 32)
PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))
PSK = st.one_of(
    st.text(PRINTABLE, min_size=8, max_size=63),
    st.text("0123456789abcdefABCDEF", min_size=64, max_size=64),
)
APN = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9.-]{0,30}\Z")
HOST = st.from_regex(r"\A[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?\Z")


def optional(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), value)


def addressed() -> st.SearchStrategy[dict[str, Any]]:
    four = st.builds(
        lambda last, gate: (
            {"address": f"192.0.2.{last}", "prefix": 24}
            | ({"gateway": f"192.0.2.{gate}"} if gate != last else {})
        ),
        st.integers(2, 250),
        st.integers(1, 250),
    )
    six = st.just({"address": "2001:db8::5", "prefix": 64, "gateway": "2001:db8::1"})
    return st.one_of(st.just({}), four, six)


DNS = st.lists(
    st.sampled_from(("192.0.2.53", "198.51.100.1", "2001:db8::53")), max_size=3, unique=True
)
COMMON = {
    "dns": DNS.map(tuple),
    "ntp": st.lists(HOST, max_size=3).map(tuple),
    "proxy": optional(st.just("http://proxy.example:3128")),
}


@st.composite
def networks(draw: st.DrawFn) -> Network:
    kinds: tuple[Literal["ethernet", "wifi", "cellular"], ...] = ("ethernet", "wifi", "cellular")
    kind = draw(st.sampled_from(kinds))
    keys = {key: draw(value) for key, value in COMMON.items()}
    if kind == "ethernet":
        keys |= {"vlan": draw(optional(st.integers(1, 4094)))} | draw(addressed())
    elif kind == "wifi":
        keys |= {"ssid": draw(SSID), "psk": draw(optional(PSK))} | draw(addressed())
    else:
        keys |= {"apn": draw(APN), "user": draw(optional(texts(64)))}
        keys |= {"password": draw(optional(texts(64)))}
        keys |= {"pin": draw(optional(st.text(string.digits, min_size=4, max_size=8)))}
    return Network(kind=kind, **keys)
