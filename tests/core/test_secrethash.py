"""A secret's line: made, checked, and refused when it is damaged or asks for too much."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.secrethash import (
    SECRET_LIMIT,
    SecretHashError,
    check_secret_hash,
    hash_secret,
    is_secret,
)


def line(n: int, r: int, p: int, salt: bytes, made: bytes) -> str:
    texts = (base64.urlsafe_b64encode(each).decode() for each in (salt, made))
    return "$".join(("scrypt", str(n), str(r), str(p), *texts))


def test_the_vector_of_rfc_7914() -> None:
    """Section 12, its third: N 16384, r 8, p 1; the first 32 of 64 bytes, as PBKDF2 gives them."""
    made = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    kept = line(16384, 8, 1, b"SodiumChloride", made)
    assert is_secret("pleaseletmein", kept)
    assert not is_secret("pleaseletmeim", kept)


def test_each_line_has_its_own_salt_and_only_its_secret_fits() -> None:
    one, other = hash_secret("7KQ4-M2XD"), hash_secret("7KQ4-M2XD")
    assert one != other
    assert "7KQ4" not in one
    assert is_secret("7KQ4-M2XD", one)
    assert is_secret("7KQ4-M2XD", other)
    for wrong in ("", "7kq4-m2xd", "7KQ4-M2XD ", "\ud800", "x" * (SECRET_LIMIT + 1)):
        assert not is_secret(wrong, one)


@pytest.mark.parametrize("secret", ["", "x" * (SECRET_LIMIT + 1)])
def test_what_is_no_secret_has_no_line(secret: str) -> None:
    with pytest.raises(SecretHashError):
        hash_secret(secret)


SALT, MADE = bytes(16), hashlib.sha256(b"").digest()


@pytest.mark.parametrize(
    "damaged",
    [
        "", "scrypt", "bcrypt$2$3", line(16383, 8, 1, SALT, MADE), line(1, 8, 1, SALT, MADE),
        line(1 << 20, 8, 1, SALT, MADE), line(1 << 14, 8, 16, SALT, MADE),
        line(1 << 14, 0, 1, SALT, MADE),
        line(1 << 14, 8, 1, b"short", MADE), line(1 << 14, 8, 1, SALT, MADE[:31]),
        line(1 << 14, 8, 1, SALT, MADE) + "=" * 200, f"scrypt$1_0$8$1${'A' * 24}${'A' * 44}",
        f"scrypt$16384$8$1$!!!${'A' * 44}", f"scrypt$\u0661\u0666$8$1${'A' * 24}${'A' * 44}",
    ],
)  # fmt: skip
def test_a_damaged_line_is_refused(damaged: str) -> None:
    for act in (check_secret_hash, lambda each: is_secret("x", each)):
        with pytest.raises(SecretHashError):
            act(damaged)


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_text_is_a_line_or_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(SecretHashError) as refused:
        check_secret_hash(f"\x00{text}")
    assert len(text) < 8 or text not in str(refused.value)
