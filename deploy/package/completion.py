"""Completion of words for bash and zsh, made of the parsers of the commands.

All words lie in the script: a completion that started Python would take a second on a small box at
each press of the key. Names of devices, lanes and buses are read out of the site file, if the user
may read it.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import drivers
from edge.cli.main import whole_parser
from edge.identity.main import enrol_parser

BASH = Path("usr/share/bash-completion/completions")
ZSH = Path("usr/share/zsh/vendor-completions")
SITE = "/etc/kerbstone/site.toml"
TABLES = {"device": "device|lane|bay", "names": "device|lane|bay|bus"}
"""By the name of an argument: whose names it takes, as tables of the site file."""
DRIVERS = ("driver", "what")  # arguments that name a driver
FILES, NOTHING = "@files", "@nothing"


@dataclass(frozen=True, slots=True)
class Words:
    """What may follow a verb: `words` are verbs below it or choices, `place` FILES, NOTHING or
    tables of the site file; `values` say the same of what follows an option."""

    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    place: str = NOTHING
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)


def scripts() -> dict[Path, str]:
    """Path below / to text."""
    found = {}
    for name, parser in (("kerbstone", whole_parser()), ("kerbstone-enrol", enrol_parser())):
        table = dict(_words((), parser))
        found[BASH / name] = bash(name, table)
        found[ZSH / f"_{name}"] = zsh(name, table)
    return found


def _words(
    verbs: tuple[str, ...], parser: argparse.ArgumentParser
) -> Iterator[tuple[tuple[str, ...], Words]]:
    """By the verbs that stand before: `("outbox", "rescue")`."""
    options: list[str] = []
    below: list[str] = []
    place, values = NOTHING, dict[str, tuple[str, ...]]()
    inner: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # argparse has no public way to them
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            inner = dict(action.choices)
            below += inner
        elif action.option_strings:
            options += action.option_strings
            if action.nargs != 0:
                values |= dict.fromkeys(action.option_strings, _taken(action))
        else:
            first, *_ = taken = _taken(action)
            if first.startswith("@"):
                place = first
            else:
                below += taken
            if action.dest in DRIVERS and "FILE" in str(action.metavar):
                place = FILES
    yield verbs, Words(tuple(options), tuple(below), place, values)
    for name, part in inner.items():
        yield from _words((*verbs, name), part)


def _taken(action: argparse.Action) -> tuple[str, ...]:
    """Choices, or one of FILES, NOTHING and `@` with tables."""
    if action.choices:
        return tuple(map(str, action.choices))
    if not action.option_strings and action.dest in TABLES:
        return (f"@{TABLES[action.dest]}",)
    if not action.option_strings and action.dest in DRIVERS:
        return tuple(drivers.names())
    metavar = str(action.metavar or "")
    is_file = action.type is Path or metavar in ("FILE", "DIR", "FOLDER", "SERIES.csv", "PLACE")
    return (FILES,) if is_file else (NOTHING,)


def bash(name: str, table: dict[tuple[str, ...], Words]) -> str:
    """For bash-completion, which loads it when the command is completed first."""
    function = "_" + name.replace("-", "_")
    return f"""\
# {name}: completion for bash, made of its parsers by deploy/package/completion.py

{function}_names()
{{
    local file={SITE} i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${{COMP_WORDS[i]}} == --config ]] && file=${{COMP_WORDS[i + 1]}}
    done
    sed -n -E "s/^[[:space:]]*\\[($1)\\.([a-z0-9_-]{{1,64}})\\].*/\\2/p" "$file" 2>/dev/null
}}

{function}()
{{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
    local verbs= opts= given= place={NOTHING} values= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$verbs/${{COMP_WORDS[i]}}" in
{_cases(table, "            ")}
        esac
    done
{_choice(table)}
    if [[ $cur == -* && -z $values ]]; then
        COMPREPLY=($(compgen -W "$opts" -- "$cur"))
        return
    fi
    case "$place" in
        {FILES})
            compopt -o filenames 2>/dev/null
            local lines=$(compgen -W "$given" -- "$cur"; compgen -f -- "$cur")
            local IFS=$'\\n'
            COMPREPLY=($lines)
            ;;
        {NOTHING}) COMPREPLY=($(compgen -W "$given" -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "$({function}_names "${{place#@}}")" -- "$cur")) ;;
    esac
}}
complete -F {function} {name}
"""


def zsh(name: str, table: dict[tuple[str, ...], Words]) -> str:
    """For compinit, which finds it among the site's functions."""
    return f"""\
#compdef {name}
# {name}: completion for zsh, made of its parsers by deploy/package/completion.py

local cur=$words[CURRENT] prev=$words[CURRENT-1] file={SITE}
local verbs= opts= given= place={NOTHING} values= i
for ((i = 2; i < CURRENT; i++)); do
    [[ $words[i] == --config ]] && file=$words[i+1]
    case "$verbs/$words[i]" in
{_cases(table, "        ")}
    esac
done
{_choice(table)}
if [[ $cur == -* && -z $values ]]; then
    compadd -- ${{=opts}}
    return
fi
case "$place" in
    {FILES}) _files; compadd -- ${{=given}} ;;
    {NOTHING}) compadd -- ${{=given}} ;;
    *) compadd -- $(sed -n -E \\
        "s/^[[:space:]]*\\[(${{place#@}})\\.([a-z0-9_-]{{1,64}})\\].*/\\2/p" $file 2>/dev/null) ;;
esac
"""


def _choice(table: dict[tuple[str, ...], Words]) -> str:
    """What may follow, by the verbs that stand there and the word before: for both shells."""
    return f"""\
    case "$verbs" in
{_details(table, "        ")}
    esac
    case "$verbs $prev" in
{_values(table, "        ")}
    esac
    if [[ -n $values ]]; then
        place=$values given= opts=
        [[ $values == @* ]] || {{ place={NOTHING}; given=$values; }}
    fi"""


def _cases(table: dict[tuple[str, ...], Words], indent: str) -> str:
    """Which verb stands there; the words of an option of another verb are none."""
    rows = [f"{indent}{_path(verbs)}) verbs={_path(verbs)} ;;" for verbs in table if verbs]
    return "\n".join(rows)


def _details(table: dict[tuple[str, ...], Words], indent: str) -> str:
    return "\n".join(
        f'{indent}"{_path(verbs)}") opts="{" ".join(one.options)}" '
        f'given="{" ".join(one.words)}" place="{one.place}" ;;'
        for verbs, one in table.items()
    )


def _values(table: dict[tuple[str, ...], Words], indent: str) -> str:
    return "\n".join(
        f'{indent}"{_path(verbs)} {option}") values="{" ".join(taken)}" ;;'
        for verbs, one in table.items()
        for option, taken in one.values.items()
    )


def _path(verbs: tuple[str, ...]) -> str:
    return "".join(f"/{verb}" for verb in verbs)
