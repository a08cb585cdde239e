"""What cannot be read is strict; what is right counts as soon as the file has changed."""

import os
from pathlib import Path

from edge.web.pagesettings import SettingsFile


def write(file: Path, text: str) -> None:
    file.write_text(text)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000))


def test_a_box_without_a_site_file_is_open_to_whoever_commissions_it(tmp_path: Path) -> None:
    found = SettingsFile(tmp_path / "none.toml").read()
    assert found.settings
    assert found.without_login == "nothing"


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    write(file, '[site]\ngateway = "box-7"\n')
    settings = SettingsFile(file)
    assert settings.read().settings
    assert settings.read().gateway == "box-7"
    write(file, '[web]\nsettings = false\nwithout_login = "read"\nnames = ["Box.City.example"]\n')
    found = settings.read()
    assert not found.settings
    assert found.without_login == "read"
    assert found.names == ("box.city.example",)
    file.unlink()
    assert settings.read().settings


def test_what_is_wrong_is_strict(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    for text in (
        '[web]\nsettings = "yes"\nwithout_login = true\nnames = "x"\n',
        "web = 3\n[store]\nrun_dir = 7\n",
        '[web]\nsettings = 0\nwithout_login = "write"\n',
    ):
        write(file, text)
        found = SettingsFile(file).read()
        assert found.without_login == "nothing"
        assert found.names == ()
        assert str(found.run_dir) == "/run/kerbstone"
    assert not found.settings


def test_a_file_that_is_no_toml_locks_the_settings_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    for text in ("[web\nwithout_login=", "a." * 40000 + "= 1", "\ud800"):
        file.write_text(text, errors="surrogatepass")
        found = SettingsFile(file).read()
        assert not found.settings
        assert found.without_login == "nothing"
        assert str(file) in found.problem
