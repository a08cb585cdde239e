"""Manual pages, made of the parsers of the commands and of the model of the site file.

Section 1: kerbstone, one for each verb, kerbstone-enrol. Section 5: the site file. What `--help`
says is in them, so nothing has to be written twice; groff reads them (groff_man(7)).
"""

import argparse
import inspect
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import drivers
from edge.cli.main import VERBS, whole_parser
from edge.config.model import (
    BUSES,
    SECTIONS,
    Approach,
    Bay,
    Calibration,
    Cell,
    Class,
    Device,
    Lane,
    Phase,
)
from edge.config.problem import show_value
from edge.config.valuerules import ValueRule, model_rules, option_rule
from edge.identity.main import enrol_parser

MAN = Path("usr/share/man")
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")
OPTION = re.compile(r"(?<!\w)-|(?<=-)-")  # a hyphen that is typed
SITE_PAGE = "kerbstone-site.toml"
TABLES = (
    ("[device.NAME]", Device),
    ("phase = {}, in [device.NAME]", Phase),
    ("[lane.NAME]", Lane),
    ("classes = [{}, ...], in [lane.NAME]", Class),
    ("[approach.NAME]", Approach),
    ("[bay.NAME]", Bay),
    ("[calibration.NAME]", Calibration),
    ("[cell.NAME]", Cell),
)
EXIT_CODES = (
    ("0", "Fine."),
    ("1", "A finding; its description says which."),
    ("2", "Wrong use, or a file that cannot be used."),
    ("3", "A broker, a store or a device cannot be reached, or the output cannot be written."),
    ("130", "It was interrupted (Ctrl-C)."),
)
ENVIRONMENT = (
    ("NO_COLOR", "No colours, if it is set and not empty."),
    ("TERM", "`dumb`, or not set: no escape sequences."),
    ("COLUMNS", "The width of the terminal, in place of what the terminal says."),
)
FILES = (
    ("/etc/kerbstone/site.toml", f"The site file, see {SITE_PAGE}(5)."),
    ("/var/lib/kerbstone", "The outbox: records that are not confirmed yet."),
    ("/run/kerbstone/control.sock", "Where commands ask the daemon; for the group kerbstone."),
    ("/var/lib/kerbstone-identity", "Key, certificate and signed site file of an enrolled box."),
)


def pages(version: str, moment: int) -> dict[str, str]:
    """File name to text. `moment`: Unix time of the version, in s."""
    parser = whole_parser()
    verbs = _parts(parser)
    head = f'"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}" "kerbstone {version}" "Kerbstone"'
    everything = ["kerbstone(1)", *(f"kerbstone-{v}(1)" for v in VERBS), "kerbstone-enrol(1)"]
    everything.append(f"{SITE_PAGE}(5)")
    whole = "the software of the grey box at the roadside"
    found = {"kerbstone.1": _page("kerbstone", whole, parser, head, everything)}
    for verb, text in VERBS.items():
        name = f"kerbstone-{verb}"
        near = ["kerbstone(1)", f"{SITE_PAGE}(5)"]
        found[f"{name}.1"] = _page(name, text, verbs[verb], head, near)
    enrol = enrol_parser()
    text = "first boot, renewal, and the way by USB stick of a box's identity"
    near = ["kerbstone(1)", "kerbstone-provision(1)"]
    found["kerbstone-enrol.1"] = _page("kerbstone-enrol", text, enrol, head, near)
    found[f"{SITE_PAGE}.5"] = _site_page(head)
    return found


def _page(
    name: str,
    text: str,
    parser: argparse.ArgumentParser,
    head: str,
    near: Iterable[str],
) -> str:
    lines = [*_head(name, 1, text, head), ".SH SYNOPSIS", *_usage(parser), ".SH DESCRIPTION"]
    lines += _paragraphs(parser.description or "")
    lines += [".SH OPTIONS", *_options(parser)]
    parts = _parts(parser)
    if parts:
        lines.append(".SH COMMANDS")
        helps = _part_helps(parser)
        for part, inner in parts.items():
            if name == "kerbstone":
                lines += [".TP", rf"\fBkerbstone {_roff(part, code=True)}\fR", _prose(helps[part])]
                continue
            lines += [f".SS {_roff(part, code=True)}", _prose(_sentence(helps[part]))]
            lines += [".PP", *_usage(inner), *_options(inner)]
    own, _, examples = (parser.epilog or "").partition("examples:\n")
    if own.strip():
        lines += [".SH NOTES", *_paragraphs(own)]
    if examples:
        lines += [".SH EXAMPLES", *_examples(examples)]
    lines += [".SH EXIT STATUS", *_terms(EXIT_CODES)] if name != "kerbstone-enrol" else []
    lines += [".SH ENVIRONMENT", *_terms(ENVIRONMENT), ".SH FILES", *_terms(FILES)]
    return "\n".join([*lines, *_see_also(near)]) + "\n"


def _examples(text: str) -> Iterator[str]:
    """As the help has them: `# what for` and what is typed, which may go on in further lines."""
    typed: list[str] = []
    for line in [*inspect.cleandoc(text).split("\n"), "# "]:
        if line.startswith("# ") and typed:
            yield from (".RS", ".EX", *typed, ".EE", ".RE")
            typed = []
        if line.startswith("# "):
            yield from (".PP", _prose(_sentence(line[2:]))) if line[2:] else ()
        else:
            typed.append(_roff(line, code=True))


def _head(name: str, section: int, text: str, head: str) -> list[str]:
    title = _roff(name.upper(), code=True)
    plain = _prose(text[:1].lower() + text[1:])
    return [f'.TH "{title}" {section} {head}', ".SH NAME", f"{_roff(name, code=True)} \\- {plain}"]


def _see_also(near: Iterable[str]) -> list[str]:
    shown = []
    for one in near:
        name, _, section = one.partition("(")
        shown.append(rf"\fB{_roff(name, code=True)}\fR({section}")
    return [".SH SEE ALSO", ", ".join(shown)]


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    words = parser.format_usage().removeprefix("usage: ").split()
    return [".PP", f"\\fB{_roff(' '.join(words), code=True)}\\fR"]


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in _actions(parser):
        if isinstance(action, argparse._SubParsersAction):
            continue
        value = "" if action.nargs == 0 else _value(parser, action)
        shown = ", ".join(action.option_strings) or value
        bold = rf"\fB{_roff(shown, code=True)}\fR"
        if action.option_strings and value:
            bold += rf" \fI{_roff(value, code=True)}\fR"
        yield from (".TP", bold, _prose(_sentence(_help(parser, action))))


def _value(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    if action.option_strings:
        name = formatter._get_default_metavar_for_optional(action)
    else:
        name = formatter._get_default_metavar_for_positional(action)
    return formatter._format_args(action, name)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """What is hidden from the help is hidden here."""
    return [one for one in parser._actions if one.help != argparse.SUPPRESS]


def _parts(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _part_helps(parser: argparse.ArgumentParser) -> dict[str, str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {one.dest: one.help or "" for one in action._choices_actions}
    return {}


def _site_page(head: str) -> str:
    text = "the configuration of a Kerbstone gateway"
    lines = [*_head(SITE_PAGE, 5, text, head), ".SH DESCRIPTION"]
    lines += _paragraphs(
        "One TOML file describes a site. `kerbstone check FILE` lists every error, with its line "
        "and the correct form. The example with comments is "
        "/usr/share/doc/kerbstone/examples/site.toml.\n\nNames (of buses, devices, lanes, "
        "approaches and bays) are 1 to 64 of a-z, 0-9, _ and -. A device, a lane and a bay must "
        "not share a name: records are told apart by it."
    )
    lines.append(".SH TABLES")
    for name, model in SECTIONS.items():
        lines += _table(f"[{name}]", model)
    for kind, bus in BUSES.items():
        lines += _table(f'[bus.NAME] with kind = "{kind}"', bus)
    for title, model in TABLES:
        lines += _table(title, model)
    lines.append(".SH DRIVERS AND THEIR OPTIONS")
    for spec in drivers.catalogue().values():
        if spec.name == "loop":  # what a lane is made of; it is configured there
            continue
        lines += [".SS", f"{_roff(spec.name, code=True)} ({spec.wiring})"]
        rules = [option_rule(key, option) for key, option in spec.options.items()]
        lines += _rules(rules) if rules else ["No options."]
    lines += [".SH FILES", *_terms(FILES), *_see_also(["kerbstone(1)", "kerbstone-check(1)"])]
    return "\n".join(lines) + "\n"


def _table(title: str, model: type) -> Iterator[str]:
    yield from (".SS", _roff(title, code=True))
    yield from _paragraphs(inspect.cleandoc(model.__doc__ or ""))
    yield from _rules(rule for key, rule in model_rules(model).items() if key != "options")


def _rules(rules: Iterable[ValueRule]) -> Iterator[str]:
    for rule in rules:
        default = "needed"
        if not rule.required:
            none = rule.default in (None, ())
            default = "optional" if none else f"default {show_value(rule.default, rule.key)}"
        yield from (".TP", rf"\fB{_roff(rule.key, code=True)}\fR")
        yield _prose(f"{_sentence(rule.what)[:-1]}; {default}. {rule.text}".rstrip())


def _terms(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield from (".TP", rf"\fB{_roff(name, code=True)}\fR", _prose(text))


def _paragraphs(text: str) -> Iterator[str]:
    """Filled; what is a table in the help stays one."""
    for part in text.strip("\n").split("\n\n"):
        if re.search(r"^ |\S {2,}\S", part, re.MULTILINE):
            yield from (".PP", ".EX", *(_roff(line, code=True) for line in part.split("\n")), ".EE")
        else:
            yield from (".PP", _prose(" ".join(part.split())))


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", ":")) else ".")


def _prose(text: str) -> str:
    """Words in backticks are typed, so they are bold and have hyphens that can be copied."""
    text = LINK.sub(r"\1", text)
    parts = CODE.split(text)
    return "".join(
        rf"\fB{_roff(part, code=True)}\fR" if index % 2 else _roff(part, first=not index)
        for index, part in enumerate(parts)
    )


def _roff(text: str, *, code: bool = False, first: bool = True) -> str:
    """No letter of it is a command of roff."""
    text = text.replace("\\", r"\e")
    for letter, name in (("'", r"\(aq"), ("^", r"\(ha"), ("~", r"\(ti")):
        text = text.replace(letter, name)
    text = text.replace("-", r"\-") if code else OPTION.sub(r"\-", text)
    return rf"\&{text}" if first and text.startswith((".", "'")) else text
