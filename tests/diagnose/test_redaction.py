"""Whatever a file says is secret is in no form left of it, and nothing else is touched."""

import base64
import json
import re
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from edge.diagnose.redaction import (
    CLAIM_WORDS,
    REMOVED,
    SHORTEST,
    Redactor,
    assigned_secrets,
    key_lines,
    key_secrets,
    named_secrets,
    told_secrets,
)
from tests.kit.certificates import CertificateAuthority

KEY = b"""-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5ZxlyHc4cJmW8tJb
k0GhXg6y1u9mFrYq
-----END PRIVATE KEY-----
"""
PASSWORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc")), min_size=SHORTEST, max_size=40
).filter(lambda text: text.strip() == text and text not in str(REMOVED))


def toml_of(text: str) -> bytes:
    return f'[uplink]\nurl = "mqtt://x"\npassword = {json.dumps(text)}\nzone = "UTC"\n'.encode()


@given(PASSWORDS)
def test_a_password_is_in_no_form_left(password: str) -> None:
    secret = password.encode()
    found = assigned_secrets(toml_of(password))
    assert secret in found  # and what stands before a quote in it, as units write it
    log = b" | ".join(
        [
            b"refused " + secret,
            json.dumps({"said": password}).encode(),
            json.dumps(password, ensure_ascii=False).encode(),
            quote(secret).encode(),
            secret.hex().encode(),
            repr(password).encode(),
        ]
    )
    cleaned = Redactor(found).redact(log)
    assert secret not in cleaned.replace(REMOVED, b"")
    assert json.dumps(password)[1:-1].encode() not in cleaned.replace(REMOVED, b"")
    assert quote(secret).encode() not in cleaned.replace(REMOVED, b"")
    assert secret.hex().encode() not in cleaned


@given(PASSWORDS, st.binary(max_size=5))
def test_nor_as_base64_wherever_it_stands_in_it(password: str, before: bytes) -> None:
    secret = (password * 12).encode()[:40]  # of a short one the ends may stand for something else
    coded = base64.b64encode(before + b":" + secret + b"\n")
    cleaned = Redactor({secret}).redact(b"x " + coded + b" y").split()[1]
    assert REMOVED in cleaned
    assert len(cleaned) < len(before) + 30


@given(PASSWORDS)
def test_the_file_stays_one_and_is_the_same_when_it_is_done_twice(password: str) -> None:
    redactor = Redactor()
    once = redactor.redact(toml_of(password))
    assert once == toml_of("[removed]")
    assert redactor.removed == 1
    assert redactor.redact(once) == once
    assert redactor.removed == 1


@pytest.mark.parametrize(
    "text",
    [
        'password_file = "/etc/kerbstone/mqtt"',
        "address pin: high",
        '{"token": null, "rows": 12}',
        "PIN:  0  0  Posted-interrupt",
        "keyfile plugin: loaded",
        "passages = true",
        "bypass: open",
        "compass = 12",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().redact(text.encode()) == text.encode()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("psk=my, long pass\nid=x", "my, long pass"),
        ("wifi-psk = 'a b c d'", "a b c d"),
        ('{"password": "p\\u00e4ss\\"w", "n": 1}', 'päss"w'),
        ('{"pin": 4711, "n": 1}', "4711"),
        ("Password: hunter22", "hunter22"),
        ('code = "ABCDEFGH"', "ABCDEFGH"),
        ('password = """\nline one\nline two"""', "line two"),
        ('password = "never ends', "never ends"),
    ],
)
def test_files_of_others_name_secrets_in_their_ways(text: str, secret: str) -> None:
    assert any(secret.encode() in each for each in assigned_secrets(text.encode(), CLAIM_WORDS))
    assert secret.encode() not in Redactor().redact(text.encode(), CLAIM_WORDS)


def test_one_value_of_a_line_of_json_takes_no_others_with_it() -> None:
    text = json.dumps({"a": 1, "token": 12345, "b": {"password": "x" * 9, "c": 2}})
    assert json.loads(Redactor().redact(text.encode()).replace(b"[removed],", b"0,")) == {
        "a": 1,
        "token": 0,
        "b": {"password": "[removed]", "c": 2},
    }


def test_of_a_private_key_no_line_is_left() -> None:
    secrets = key_secrets(KEY)
    assert secrets == set(KEY.split(b"\n")[1:3])
    assert Redactor().redact(b"a\n" + KEY + b"b\n") == b"a\n" + REMOVED + b"\nb\n"
    assert Redactor().redact(b"a\n" + KEY[:60]) == b"a\n" + REMOVED
    assert Redactor(secrets).redact(KEY.split(b"\n")[1]) == REMOVED


def test_users_of_urls_and_headers() -> None:
    text = b"http://me:hunter22@proxy:8080/ and Authorization: Basic bWU6aHVudGVyMjI="
    assert Redactor().redact(text) == b"http://[removed]@proxy:8080/ and Authorization: [removed]"


@pytest.mark.parametrize(
    "text",
    [
        "http://me:{}@proxy:8080/",
        "http://me:a/b@{}@proxy:8080/",
        'fallback = ["mqtts://a", "mqtts://me:{}@b"]',
        "GET /?to=http%3A%2F%2Fme%3A{}%40proxy%3A8080",
        "Environment=HTTPS_PROXY=me:{}@proxy:3128",
        'Environment="MQTT_PASS={}" "A=b"',
        "Environment=mqttPassword={}",
        "PGPASSWORD={}",
        '{{"accessKey": "{}"}}',
        "https://x/?sharedAccessSignature={}&x=1",
        "curl --proxy-password {} https://x",
        "# the password of the meter was {}",
        'zone = "UTC"  # passwords {} and another',
        '{{"Authorization": "Bearer {}"}}',
        "{{'authorization': 'Basic {}'}}",
        "got Bearer {} from it",
        "Set-Cookie: session={}",
    ],
)
def test_a_secret_that_nobody_knows_is_found_by_what_stands_before_it(text: str) -> None:
    said = text.format("Tr0ub4dor-7")
    once = Redactor().redact(said.encode())
    assert b"Tr0ub4dor" not in once
    assert REMOVED in once
    assert Redactor().redact(once) == once


@given(PASSWORDS)
def test_no_way_to_write_it_in_a_url_is_missed(password: str) -> None:
    """Each program keeps other letters as they are."""
    redactor = Redactor({password.encode()})
    for safe in ("", "/", "@:/?&=+,;!$'()*~", " "):
        for coded in (quote(password, safe=safe), quote_plus(password, safe=safe.strip())):
            lower = re.sub("%..", lambda found: found[0].lower(), coded)
            for form in (coded, lower, coded.replace("%", "\\x")):
                assert redactor.redact(form.encode()) == REMOVED


def test_a_password_of_a_url_is_known_elsewhere_too() -> None:
    text = b'proxy = "http://me:r%40in4711@proxy:3128"'
    assert assigned_secrets(text) == {b"r%40in4711", b"r@in4711"}
    table = {"a": ["http://me:r a<i>n4711@proxy:3128", "mqtts://gw-9@broker"]}
    assert named_secrets(table) == {b"r a<i>n4711"}, "a user alone is a name, not a secret"


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "Ed25519", "RSA"],
)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_of_a_private_key_without_its_armour_no_line_is_left(
    key: PrivateKeyTypes, form: PrivateFormat
) -> None:
    if isinstance(key, ed25519.Ed25519PrivateKey) and form != PrivateFormat.PKCS8:
        return  # it has no other form
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption())
    bare = b"\n".join(pem.split(b"\n")[1:-2])
    tail = b"\n".join(pem.split(b"\n")[2:])
    one = b"".join(bare.split())
    for text in (bare, one, b'{"k": "' + one + b'"}', bare.replace(b"\n", b"\\n"), tail):
        cleaned = Redactor().redact(b"log\n" + text + b"\nthe end\n")
        assert not any(line in cleaned for line in key_lines(bare)), cleaned
        assert cleaned.startswith(b"log\n")
        assert cleaned.endswith(b"the end\n")


def test_a_certificate_and_a_request_are_no_keys(tmp_path: Path) -> None:
    certificate = CertificateAuthority(tmp_path).path.read_bytes()
    assert Redactor().redact(certificate) == certificate


@pytest.mark.parametrize(
    "piece", ["://a", "%3a%2f%2f", "a\n", "-", "#", "eyJ-", "proxy=:", "bearer "]
)
def test_text_made_to_hurt_takes_no_more_time_than_other_text(piece: str) -> None:
    text = piece.encode() * ((1 << 20) // len(piece))
    begin_s = time.process_time()
    Redactor({b"hunter22"}).redact(text)
    assert time.process_time() - begin_s < 10.0, "it grows with the square of its length"


def test_a_read_table_is_asked_by_its_names() -> None:
    table = {"device": {"a": {"password": "p1", "unit": 1}}, "list": [{"wifi_psk": "p2"}]}
    assert named_secrets(table) == {b"p1", b"p2"}


@given(st.text(max_size=200))
def test_any_text_is_taken(text: str) -> None:
    Redactor(assigned_secrets(text.encode())).redact(text.encode())


@pytest.mark.parametrize(
    "text",
    ["Passwort X4r!", "Box 3, mot de passe : X4r!", "пароль X4r!", "密码：X4r!", "PIN=X4r!"],
)
def test_a_name_for_people_that_tells_a_secret(text: str) -> None:
    assert told_secrets({"site": {"name": text}, "a": [1]}) == {b"X4r!"}
    assert told_secrets({"site": {"name": "Pinneberg, Spinnerei 4"}}) == set()


def test_the_word_basic_is_followed_by_a_login_or_by_anything() -> None:
    text = b"# Basic YTpTM0NSYmFzaWM=\nBasic training, basic settings"
    assert Redactor().redact(text) == b"# Basic [removed]\nBasic training, basic settings"
