"""Each verb's help ends with examples, and what they say can be typed."""

import shlex

import pytest

from edge.cli.examples import EXAMPLES, Example, help_text
from edge.cli.main import VERBS, main, whole_parser
from edge.identity.main import enrol_parser
from tests.kit.command import Command

PARSER = whole_parser()
ENDS = ("|", ">", "&&")


def typed(command: str) -> list[list[str]]:
    """The words of each `kerbstone` in a line of a shell."""
    words = shlex.split(command)
    found: list[list[str]] = []
    taking = False
    for word in words:
        if word in ("kerbstone", "kerbstone-enrol"):
            found.append([])
            taking = True
        elif word in ENDS:
            taking = False
        elif taking:
            found[-1].append(word)
    return found


def test_every_verb_has_examples() -> None:
    assert EXAMPLES.keys() == VERBS.keys()
    assert all(EXAMPLES.values())


ALL = [(verb, one) for verb, many in EXAMPLES.items() for one in many]


@pytest.mark.parametrize(("verb", "example"), ALL, ids=[one.command[:60] for _, one in ALL])
def test_an_example_is_what_the_command_takes(verb: str, example: Example) -> None:
    uses = typed(example.command)
    assert verb in {words[0] for words in uses}
    for words in uses:
        assert PARSER.parse_args(words).verb == words[0]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_shows_them(kerbstone: Command, verb: str) -> None:
    out = kerbstone(verb, "--help").out
    shown = out[out.index("\nexamples:\n") :]
    assert out.count("examples:") == 1
    plain = " ".join(shown.replace("\\\n", " ").split())
    for example in EXAMPLES[verb]:
        assert example.command in plain
    assert max(map(len, shown.splitlines())) <= 80


def test_a_long_command_goes_on_as_a_shell_takes_it() -> None:
    text = help_text((Example("what for", "kerbstone check " + "word " * 40 + "end"),))
    *_, command = text.split("# what for\n")
    assert shlex.split(command.replace("\\\n", " ")) == [
        "kerbstone",
        "check",
        *["word"] * 40,
        "end",
    ]
    assert command.count("\\\n") == 3


def test_the_frame_of_the_example_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = EXAMPLES["decode"]
    assert main(typed(example.command)[0]) == 0
    assert "pm2_5" in capsys.readouterr().out


def test_the_examples_of_enrolment_are_what_it_takes() -> None:
    parser = enrol_parser()
    lines = [line for line in parser.format_help().splitlines() if line.startswith("  sudo ")]
    assert len(lines) == 3
    for line in lines:
        (words,) = typed(line)
        assert parser.parse_args(words).verb == words[0]
