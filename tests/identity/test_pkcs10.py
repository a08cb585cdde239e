"""A request with an algorithm as tpm2-openssl writes it is made right; all else stays as it is."""

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from edge.identity import keys, pkcs10
from edge.provision import certrequest

GOOD = keys.make_key(False).csr("gw-0001")


def long_form(body: bytes) -> bytes:
    return bytes([pkcs10.SEQUENCE, 0x82]) + len(body).to_bytes(2) + body


def test_a_null_behind_the_algorithm_goes() -> None:
    start = 4 if GOOD[1] == 0x82 else 3
    bad = long_form(GOOD[start:].replace(pkcs10.ECDSA_SHA256, pkcs10.WITH_NULL))
    with pytest.raises(certrequest.CsrError):
        certrequest.read_csr(bad)
    assert pkcs10.without_null_parameters(bad) == GOOD
    assert x509.load_der_x509_csr(pkcs10.without_null_parameters(bad)).is_signature_valid


def test_what_is_right_stays() -> None:
    assert pkcs10.without_null_parameters(GOOD) == GOOD


@given(st.integers(0, len(GOOD)), st.binary(max_size=40))
def test_any_bytes_come_out_as_they_went_in(cut: int, data: bytes) -> None:
    for each in (data, GOOD[:cut], GOOD[:cut] + data):
        assert pkcs10.without_null_parameters(each) == each or pkcs10.WITH_NULL in each
