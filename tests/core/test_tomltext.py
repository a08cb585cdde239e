"""TOML of strangers: what takes memory or time out of proportion is refused before it is read."""

import time
import tracemalloc

import pytest

from edge.core.tomltext import BRACKETS, KEY_PARTS, TEXT_LIMIT, TomlError, parse_toml

DEEP = ".".join("a" * (KEY_PARTS + 1))
MOST = ".".join("a" * KEY_PARTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"x = 1\n{DEEP} = 1", "a key has more than 8 parts (at line 2, column 1)"),
        (f"[{DEEP}]", "more than 8 parts"),
        (f"[[{DEEP}]]", "more than 8 parts"),
        (f"x = [1, {{{DEEP} = 1}}]", "more than 8 parts"),
        (DEEP.replace(".", " .\t") + "=1", "more than 8 parts"),
        (DEEP.replace("a", '"a.\\" b"') + "=1", "more than 8 parts"),
        (DEEP.replace("a", "'a # b'") + "=1", "more than 8 parts"),
        (f'x = """\n\\""" # """ # "\n{DEEP} = 1', "more than 8 parts (at line 3, column 1)"),
        (f"x = '''a''''\n{DEEP} = 1", "more than 8 parts"),
        ("x = " + "[" * 9 + "]" * 9, "nested deeper than 8 (at line 1, column 13)"),
        ("x = [\n" + "{a=" * 8 + "1" + "}" * 8 + "]", "nested deeper than 8"),
        ("x = " + "[" * 50_000, "nested deeper than 8"),
        (f"x = {'1' * 5000}", "a number has too many digits"),
        ("#" * (TEXT_LIMIT + 1), "more than 262144 characters"),
        ("x = ", "Invalid value (at end of document)"),
        ('name = "a.b.c.d.e.f.g.h.i.j', "Unterminated string (at end of document)"),
        ('name = "a.b.c.d.e.f.g.h.i.j\nx = 1', "Illegal character '\\n' (at line 1, column 28)"),
        ("name = 'a.b.c.d.e.f.g.h.i.j", "(at end of document)"),
        ('name = "a.b.c.d.e.f.g.h.i.j\\\nx = 1', "Unescaped '\\' in a string (at line 2, "),
        (f'name = "a\n{DEEP} = 1', "more than 8 parts (at line 2, column 1)"),
    ],
)
def test_what_no_file_of_ours_holds_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(TomlError) as caught:
        parse_toml(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"{MOST} = 1",
        f"[{MOST}]\n{MOST} = 1",
        "x = " + "[" * BRACKETS + "]" * BRACKETS,
        "x = [\n" + "[],\n" * 100 + "]\n" + "[y]\n[z]\n" * 1,
        f"# {DEEP} [[[[[[[[[\nx = 1",
        f'x = "{DEEP} [[[[[[[[["',
        f"x = '{DEEP} {{{{{{{{{{{{{{'",
        f'x = """\n{DEEP} = 1 \\""" {DEEP} [[[[[[[[["""""',
        f"x = '''\n{DEEP} = 1 \\'' [[[[[[[[['''''",
        'x = "\\"]"\ny = ["]", 1.5, 10.0e3, 07:32:00.5]',
        '"a.b.c.d.e.f.g.h.i.j" = 1',
        "",
    ],
)
def test_what_only_looks_deep_is_read(text: str) -> None:
    import tomllib

    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "a." * 60_000 + "a = 1",
        "".join(f"[k{i}.a.a.a.a.a.a.a]\nb.b.b.b.b.b.b.b=1\n" for i in range(3000)),
        " " * 120_000,
        '"""\\' * 30_000,
        '".' * 60_000,
    ],
    ids=["one key", "many keys", "blanks", "quotes", "quoted dots"],
)
def test_a_message_of_the_largest_size_takes_little_memory(text: str) -> None:
    tracemalloc.start()
    try:
        parse_toml(text)
    except TomlError:
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 64 << 20


@pytest.mark.parametrize(
    "text",
    [
        'a = "' + '\\"' * 100_000,
        'a = "' + '\\"' * 100_000 + "\n",
        "a." + '"' + '\\"' * 100_000,
        'a."' + '."' * 100_000,
        "a = '" + '\\"' * 100_000,
        'a = """' + '\\"""' * 50_000,
        "a = '''" + "\\''" * 50_000,
        "a = " + '"\\\n' * 60_000,
        "a = " + "'\n" * 100_000,
        "a." + '"."' * 60_000 + '"' + '\\".' * 10_000,
    ],
)
def test_a_text_that_does_not_end_takes_little_time(text: str) -> None:
    begin_s = time.process_time()
    with pytest.raises(TomlError):
        parse_toml(text)
    assert time.process_time() - begin_s < 3.0  # a square of these takes a minute
