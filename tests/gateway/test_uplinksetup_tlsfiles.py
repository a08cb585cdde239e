"""Which certificate a daemon shows: the site's own files, or what enrolment has brought."""

from pathlib import Path

import pytest

import drivers
from edge.config import Site, load_site
from edge.core.boxfiles import find_identity_files
from edge.gateway.manifestsigner import make_signer
from edge.gateway.uplinksetup import TlsFiles, find_tls_files

SITE = '[site]\nid = "s"\ngateway = "gw-1"\n[uplink]\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name in ("ca", "cert", "key"):
        (folder / f"{name}.pem").write_text(name)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def site(tmp_path: Path, uplink: str) -> Site:
    file = tmp_path / "site.toml"
    file.write_text(SITE + uplink)
    return load_site(file, drivers.catalogue())


def test_an_enrolled_box_needs_no_file_names(tmp_path: Path, environ: dict[str, str]) -> None:
    found = find_tls_files(site(tmp_path, 'url = "mqtts://b"\n'), environ)
    folder = tmp_path / "credentials"
    assert found == TlsFiles(folder / "ca.pem", folder / "cert.pem", folder / "key.pem", True)


@pytest.mark.parametrize(
    "uplink",
    ['url = "mqtt://b"\n', 'url = "mqtts://b"\nusername = "u"\n', 'url = "mqtts://b"\nca = "/x"\n'],
)
def test_what_the_site_says_counts(tmp_path: Path, environ: dict[str, str], uplink: str) -> None:
    found = find_tls_files(site(tmp_path, uplink), environ)
    assert found == TlsFiles(Path("/x") if "ca" in uplink else None)


def test_an_identity_is_whole_or_none(tmp_path: Path, environ: dict[str, str]) -> None:
    plain = site(tmp_path, 'url = "mqtts://b"\n')
    assert find_tls_files(plain, {}) == TlsFiles()
    (tmp_path / "credentials/key.pem").write_text("\n")  # what systemd gives in its place
    assert find_identity_files(environ) is None
    assert find_tls_files(plain, environ) == TlsFiles()


def test_a_key_that_stays_a_credential_is_ours_too(environ: dict[str, str]) -> None:
    folder = Path(environ["CREDENTIALS_DIRECTORY"])
    (folder / "key.pem").write_text("\n")
    (folder / "identity.key").write_text("key")
    found = find_identity_files(environ)
    assert found is not None
    assert found.key == folder / "identity.key"


def test_with_a_key_in_a_tpm_manifests_go_unsigned(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN TSS2 PRIVATE KEY-----\n")
    assert make_signer(key, tmp_path / "cert.pem") is None
