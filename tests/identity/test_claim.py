"""The claim's file: what is written is read again, and whatever happened to it is found."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.identity.claim import (
    CLAIM_LIMIT,
    AlteredError,
    Claim,
    ClaimError,
    parse_claim,
    sign_claim,
)
from edge.identity.network import Network
from edge.provision import authority
from tests.long import examples

KEY = Ed25519PrivateKey.generate()
CA = authority.create_authority("CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate
PEM = CA.public_bytes(serialization.Encoding.PEM).decode()
FIELDS: dict[str, Any] = {
    "claim": "0123456789abcdef",
    "site": "s17",
    "role": "crossing",
    "gateway": "gw-17",
    "code": "ABCDEFGHIJKLMNOPQRSTUVWX23",
    "expires": "2026-12-24T00:00:00Z",
    "enrol": "https://enrol.example:8443",
    "broker": "mqtts://broker.example:8883",
    "ca": PEM,
}


def made(**other: object) -> Claim:
    return msgspec.convert({**FIELDS, **other}, Claim)


DATA = sign_claim(made(network={"kind": "wifi", "ssid": 'a "street"', "psk": "secretsecret"}), KEY)


def signed(body: str, key: Ed25519PrivateKey = KEY) -> bytes:
    data = body.encode()
    return data + b'signature = "' + base64.b64encode(key.sign(data)) + b'"\n'


def body(data: bytes = DATA) -> str:
    return data[: data.rindex(b"signature")].decode()


def test_what_is_signed_is_read_again() -> None:
    claim = parse_claim(DATA)
    assert claim.site == "s17"
    assert claim.network == Network(kind="wifi", ssid='a "street"', psk="secretsecret")
    assert claim.operator == base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
    assert claim.expires_at() == datetime(2026, 12, 24, tzinfo=UTC)
    assert sign_claim(claim, KEY) == DATA


def test_the_signature_is_at_the_top_for_every_reader_of_toml() -> None:
    import tomllib

    whole = tomllib.loads(DATA.decode())
    assert len(whole.pop("signature")) == 88
    assert msgspec.convert(whole, Claim) == parse_claim(DATA)


def test_a_table_in_the_other_form_of_toml_is_read_too() -> None:
    text = body(sign_claim(made(), KEY)) + '[network]\nkind = "cellular"\napn = "iot.city"\n'
    assert parse_claim(signed(text)).network == Network(kind="cellular", apn="iot.city")


@settings(max_examples=examples(300), deadline=None)
@given(cut=st.integers(0, len(DATA) - 1))
def test_a_torn_file_is_refused(cut: int) -> None:
    with pytest.raises(AlteredError):
        parse_claim(DATA[:cut])


@settings(max_examples=examples(300), deadline=None)
@given(where=st.integers(0, len(DATA) - 1), flip=st.integers(1, 255))
def test_a_file_with_one_byte_altered_is_refused(where: int, flip: int) -> None:
    data = bytearray(DATA)
    data[where] ^= flip
    with pytest.raises(ClaimError):
        parse_claim(bytes(data))


def test_zeros_as_a_card_leaves_them_after_a_power_cut_are_refused() -> None:
    for cut in (0, 512, len(DATA) // 2):
        with pytest.raises(ClaimError):
            parse_claim(DATA[:cut] + bytes(len(DATA) - cut))


@settings(max_examples=examples(300), deadline=None)
@given(data=st.binary(max_size=2000))
def test_any_bytes_are_a_claim_error(data: bytes) -> None:
    with pytest.raises(ClaimError):
        parse_claim(data)


@settings(max_examples=examples(300), deadline=None)
@given(text=st.text(max_size=300))
def test_any_signed_text_is_a_claim_error(text: str) -> None:
    with pytest.raises(ClaimError):
        parse_claim(signed(text.encode(errors="ignore").decode() + "\n"))


@pytest.mark.parametrize("text", ["a=" + "[" * 5000 + "\n", "a." * 3000 + "b=1\n", "\x00" * 100])
def test_toml_made_to_hurt_is_a_claim_error(text: str) -> None:
    with pytest.raises(ClaimError):
        parse_claim(signed(text))


def test_a_key_of_many_parts_is_refused_before_it_takes_memory() -> None:
    """Anybody may send a claim to the server, and lay one onto a card: 16 kB took 270 MB."""
    with pytest.raises(ClaimError, match="a key has more than 8 parts"):
        parse_claim(signed("a." * 1000 + "a = 1\n"))


def test_a_large_file_is_not_looked_into() -> None:
    with pytest.raises(ClaimError, match="more than"):
        parse_claim(DATA + b"#" * CLAIM_LIMIT)


def test_a_signature_of_another_operator_is_refused() -> None:
    with pytest.raises(AlteredError):
        parse_claim(signed(body(), Ed25519PrivateKey.generate()))


def test_something_after_the_signature_is_refused() -> None:
    for more in (b"\n", b"# x\n", b'network.kind = "wifi"\n', DATA):
        with pytest.raises(ClaimError):
            parse_claim(DATA + more)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("v", 2),
        ("claim", "0123"),
        ("claim", "0123456789abcdef\n"),
        ("gateway", "gw/+"),
        ("gateway", "GW-17"),
        ("gateway", "gw-17\n"),
        ("gateway", "ab"),
        ("gateway", "a" * 65),
        ("site", "../etc"),
        ("site", "+"),
        ("role", ""),
        ("code", "abcdefghijklmnopqrstuvwx23"),
        ("expires", "2026-13-24T00:00:00Z"),
        ("expires", "2026-12-24"),
        ("expires", "２026-12-24T00:00:00Z"),
        ("enrol", "http://enrol.example"),
        ("enrol", "https://user@enrol.example"),
        ("enrol", "https://enrol.example?x"),
        ("enrol", "https://enrol.example:99999"),
        ("enrol", "https:///x"),
        ("enrol", "https://a b"),
        ("broker", "mqtt://broker.example"),
        ("broker", "mqtts://broker.example/x"),
        ("label", "a/b"),
        ("ca", "no certificate"),
        ("unknown", "x"),
        ("network", {"kind": "pigeon"}),
    ],
)
def test_a_claim_with_a_wrong_value_is_neither_written_nor_read(key: str, value: object) -> None:
    with pytest.raises((ClaimError, msgspec.ValidationError)):
        sign_claim(made(**{key: value}), KEY)
    line = f"{key} = {value!r}\n".replace("{'kind': ", "{kind = ")
    kept = "".join(each for each in body().splitlines(True) if not each.startswith(f"{key} ="))
    if key not in ("ca", "network"):
        with pytest.raises(ClaimError):
            parse_claim(signed(line + kept))


def test_every_message_says_where_and_what_to_do() -> None:
    for data in (b"", DATA[:-5], signed("x"), signed(body().replace("s17", "+"))):
        with pytest.raises(ClaimError) as caught:
            parse_claim(data)
        assert "kerbstone-claim.toml" in str(caught.value)
        assert "kerbstone provision new" in str(caught.value)


PSK = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63)
TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=8
)  # of an SSID: whatever somebody called a network


@settings(max_examples=examples(200), deadline=None)
@given(ssid=TEXT, psk=PSK, ahead=st.timedeltas(timedelta(0), timedelta(9999)))
def test_any_network_s_name_survives(ssid: str, psk: str, ahead: timedelta) -> None:
    when = (datetime(2026, 1, 1, tzinfo=UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
    claim = made(network={"kind": "wifi", "ssid": ssid, "psk": psk}, expires=when)
    assert parse_claim(sign_claim(claim, KEY)).network == claim.network


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"kind": "wifi"}, "ssid"),
        ({"kind": "cellular"}, "apn"),
        ({"kind": "ethernet", "ssid": "x"}, "wifi"),
        ({"kind": "wifi", "ssid": "x", "vlan": 3}, "ethernet"),
        ({"kind": "wifi", "ssid": "ü" * 17}, "32 bytes"),
        ({"kind": "wifi", "ssid": "x\ny"}, "regex"),
        ({"kind": "wifi", "ssid": "x", "psk": "short"}, "8"),
        ({"kind": "wifi", "ssid": "x", "psk": "g" * 64}, "psk"),
        ({"kind": "wifi", "ssid": "x", "psk": "new\nline psk"}, "psk"),
        ({"kind": "cellular", "apn": "a;b"}, "regex"),
        ({"kind": "cellular", "apn": "a", "pin": "12"}, "regex"),
        ({"kind": "cellular", "apn": "a", "address": "10.0.0.1", "prefix": 8}, "cellular"),
        ({"address": "10.0.0.5"}, "prefix"),
        ({"prefix": 24}, "address"),
        ({"address": "10.0.0.5", "prefix": 33}, "too long"),
        ({"address": "10.0.0.5", "prefix": 24, "gateway": "10.0.1.1"}, "gateway"),
        ({"address": "10.0.0.5", "prefix": 24, "gateway": "10.0.0.5"}, "gateway"),
        ({"address": "224.0.0.1", "prefix": 24}, "address"),
        ({"address": "fe80::1%eth0", "prefix": 64}, "address"),
        ({"dns": ["resolver"]}, "dns"),
        ({"vlan": 4095}, "4094"),
        ({"proxy": "http://user:x@proxy:3128"}, "proxy"),
        ({"proxy": "proxy"}, "proxy"),
        ({"proxy": "http://proxy:x"}, "proxy"),
        ({"ntp": ["-a"]}, "regex"),
    ],
)
def test_a_network_that_cannot_be_is_said(table: dict[str, object], word: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=word):
        msgspec.convert(table, Network)


def test_networks_that_can_be() -> None:
    for table in (
        {},
        {"address": "10.0.0.5", "prefix": 24, "gateway": "10.0.0.1", "dns": ["10.0.0.1"]},
        {"address": "2001:db8::5", "prefix": 64, "gateway": "2001:db8::1", "vlan": 17},
        {"kind": "cellular", "apn": "iot.city", "user": "x", "password": "y", "pin": "1234"},
        {"proxy": "http://proxy.city:3128", "ntp": ["ntp.city", "192.0.2.1"]},
    ):
        network = msgspec.convert(table, Network)
        assert parse_claim(sign_claim(made(network=table), KEY)).network == network
