"""A site file as the page shows it: without its secrets, which come back when it is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.maskedtext import MARK, mask_secrets, unmask_secrets
from edge.core import ConfigError
from edge.core.tomltext import parse_toml

TEXT = """\
# a remark
[uplink]
url = "mqtt://a"
password_file = "/etc/kerbstone/password"
[device.smart]
driver = "dlms"
password = "geheim"  # of the operator
[device.other]
driver = "dlms"
password = 'auch "geheim"'
"""


def test_what_is_shown_has_marks_and_all_else() -> None:
    shown = mask_secrets(TEXT)
    assert "geheim" not in shown
    assert shown.count(MARK) == 2
    assert 'password_file = "/etc/kerbstone/password"' in shown, "a path is no secret"
    assert "# of the operator" in shown


def test_what_comes_back_means_the_same_and_keeps_its_other_changes() -> None:
    changed = mask_secrets(TEXT).replace("mqtt://a", "mqtt://b")
    assert parse_toml(unmask_secrets(changed, TEXT)) == parse_toml(TEXT.replace("//a", "//b"))
    assert unmask_secrets(TEXT, "") == TEXT, "a text without marks is nobody's business"


def test_a_mark_under_a_new_name_is_refused() -> None:
    moved = mask_secrets(TEXT).replace("[device.smart]", "[device.moved]")
    with pytest.raises(ConfigError, match=r"device.moved.password"):
        unmask_secrets(moved, TEXT)


def test_a_secret_that_stands_elsewhere_too_shows_nothing() -> None:
    assert "geheim" not in mask_secrets(TEXT + "# once more: geheim\n")


def test_what_is_no_toml_shows_no_secret_either() -> None:
    assert "geheim" not in mask_secrets('[device.smart\npassword = "geheim"\n')


@pytest.mark.parametrize(
    "text",
    [
        '[device]\nsmart = { driver = "dlms", password = "geheim" }\n[',
        '[device.smart]\npassword = """\ngeheim"""\n[',
        '#password = "geheim"\n[',
    ],
)
def test_what_is_no_toml_hides_them_in_tables_and_over_lines(text: str) -> None:
    assert "geheim" not in mask_secrets(text)


def test_a_secret_in_a_remark_is_hidden_and_kept() -> None:
    text = TEXT + '# password = "alt-oed"  # until May\n#psk="alt-oed"\n# lines = 4, no spin = 3\n'
    shown = mask_secrets(text)
    assert "alt-oed" not in shown
    assert "# lines = 4, no spin = 3" in shown
    assert "# password" in unmask_secrets(shown, text)
    assert unmask_secrets(shown, text).count("alt-oed") == 2


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_secret_comes_back_as_it_was(secret: str) -> None:
    literal = "".join(f"\\U{ord(letter):08x}" for letter in secret)
    text = f'[device.a]\npassword = "{literal}"\n'
    masked = mask_secrets(text)
    if MARK in masked:
        assert parse_toml(unmask_secrets(masked, text)) == parse_toml(text)
