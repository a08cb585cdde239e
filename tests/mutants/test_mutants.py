"""The trial itself: it changes what it says, and believes no test that fails anyhow."""

import ast
from pathlib import Path

import pytest

from tests.mutants.drawing import PARTS, SUITES, drawn, files, planted
from tests.mutants.mutations import Mutant, mutants, parses
from tests.mutants.reach import ROOT, Reach, ReachError, measure
from tests.mutants.run import PAGE, faults, reasons, summary
from tests.mutants.trial import Bench, Fate, Verdict

SOURCE = b'''\
"""A module."""
LIMIT = 5


def f(a: int = 3, *, deep: bool = True) -> int | None:
    """Text."""
    total: int = 0
    while a < 9 and deep:
        total += 1
        if not deep or a in (1, 2):
            break
        LOG.info("so many: %s", a + 1)
        a = a + 2  # more
    if total:
        raise ValueError(f"{total + 1} is too much")
    return total
'''


def changed(source: bytes) -> set[tuple[str, str]]:
    return {(each.old, each.new) for each in mutants("x.py", source)}


def test_what_is_done_is_changed_and_what_is_said_is_not() -> None:
    found = changed(SOURCE)
    assert {
        ("<", "<="), ("in", "not in"), ("+", "-"), ("break", "continue"), ("total += 1", "pass"),
        ("not deep", "(deep)"), ("a < 9 and deep", "((a < 9))"), ("2", "3"),
        ("return total", "return None"), ("total", "(not (total))"),
        ('raise ValueError(f"{total + 1} is too much")', "pass"), ("0", "1"),
    } <= found  # fmt: skip
    assert not {"3", "True", "5", '"""Text."""', 'LOG.info("so many: %s", a + 1)'} & {
        old for old, _ in found
    }


def test_each_change_is_python_and_at_its_place() -> None:
    for each in mutants("x.py", SOURCE):
        assert each.applied(SOURCE) != SOURCE
        assert parses(each, SOURCE)
        assert each.old.split("\n")[0] in SOURCE.decode().split("\n")[each.line - 1]
        assert each.where == "f"


def test_what_is_changed_is_there_and_so_are_the_tests_of_its_part() -> None:
    """One that has moved would silently be left out, and its mutants would survive."""
    patterns = [pattern for part in PARTS.values() for pattern in part]
    assert len(set(patterns)) == len(patterns)
    assert [each for each in patterns if not list(ROOT.glob(each))] == []
    assert {f"tests/{each.split('/')[1]}" for each in patterns} <= set(SUITES)
    assert [each for each in SUITES if not (ROOT / each).is_dir()] == []


def test_names_tell_all_of_them_apart_and_outlive_lines_that_move() -> None:
    source = b"def g(x):\n    return x + 1 + 1\n"
    names = [each.name for each in mutants("x.py", source)]
    assert len(set(names)) == len(names)
    assert names == [each.name for each in mutants("x.py", b"\n\n# more\n" + source)]


def test_a_file_that_has_changed_is_not_touched() -> None:
    one = mutants("x.py", SOURCE)[0]
    with pytest.raises(ValueError, match="has changed"):
        one.applied(b"# " + SOURCE)


def test_as_many_as_asked_are_drawn_from_all_parts_and_the_seed_tells_which() -> None:
    one, other = drawn(1, 300), drawn(2, 300)
    assert drawn(1, 30) == drawn(1, 30)
    assert one != other
    assert len(set(one)) == 300
    for part in PARTS:
        mine = [mutant for mutant in one if mutant.path in files(part)]
        assert len(mine) >= 40
        full = [path for path in files(part) if mutants(path, (ROOT / path).read_bytes())]
        assert len({mutant.path for mutant in mine}) >= min(len(mine), len(full)) * 9 // 10


def test_what_is_planted_is_there_and_is_python() -> None:
    found = list(planted())
    assert len(found) >= 6
    for each in found:
        ast.parse(each.mutant.applied((ROOT / each.mutant.path).read_bytes()))


@pytest.mark.long
def test_a_mutant_is_killed_by_the_test_that_notices_it_and_by_no_other(tmp_path: Path) -> None:
    """In a real copy, with a real change of the confirmations' own arithmetic."""
    path = "edge/core/numbers.py"
    source = (ROOT / path).read_bytes()
    tests = ["tests/core/test_numbers.py"]
    with Bench() as copy:
        assert copy.passes(tests, 60)
        wrong = source.replace(b"def decode_steps", b"def _decode_steps", 1)
        assert wrong != source
        killed = copy.trial(path, wrong, tests, [1.0])
        assert killed.fate is Fate.KILLED
        assert killed.by.startswith("tests/core/test_numbers.py")
        assert (copy.root / path).read_bytes() == source
        same = copy.trial(path, source + b"\n# nothing else\n", tests, [1.0])
        assert same.fate is Fate.SURVIVED
        asleep = b"import time\ntime.sleep(600)\n" + source
        assert copy.trial(path, asleep, tests, [-14.75]).fate is Fate.HUNG
        assert copy.trial(path, source, [], []).fate is Fate.UNREACHED
        # one that fails anyhow has noticed nothing
        (copy.root / "tests/core/test_always.py").write_text(
            "def test_it() -> None:\n    assert 0\n"
        )
        both = ["tests/core/test_always.py", *tests]
        assert copy.trial(path, source + b"\n", both, [1.0, 1.0]).fate is Fate.SURVIVED


SUITE = """\
import pytest
from edge.core.numbers import decode_steps
@pytest.fixture
def broken():
    assert {fixed}
def test_passes():
    decode_steps([])
def test_fails():
    assert {fixed}
def test_has_no_fixture(broken):
    pass
@pytest.mark.skip
def test_skipped():
    pass
@pytest.mark.xfail
def test_expected_to_fail():
    assert False
"""


@pytest.mark.long
def test_tests_that_fail_on_the_unchanged_code_are_named_and_nothing_is_measured(
    tmp_path: Path,
) -> None:
    """They would notice no mutant, and what only they notice would survive."""
    suite, path = tmp_path / "test_some.py", "edge/core/numbers.py"

    def measured(fixed: bool) -> Reach:
        suite.write_text(SUITE.format(fixed=fixed))
        return measure([str(suite)], [path], tmp_path / "cache", 1, tmp_path)

    with pytest.raises(ReachError) as reported:
        measured(False)
    head, *named = str(reported.value).splitlines()
    assert head == "2 tests fail on the unchanged code, so no mutant was tried:"
    assert [name.partition("::")[2] for name in named] == ["test_fails", "test_has_no_fixture"]
    reach = measured(True)  # it has not kept what it measured then
    assert "test_fails" in {name.partition("::")[2] for name in reach.seconds}
    assert {"test_some.py::test_passes"} in reach.lines[path].values()


def test_a_test_that_passes_when_it_is_tried_alone_counts(tmp_path: Path) -> None:
    """One that a busy machine has made fail is no reason to begin anew."""
    suite, path = tmp_path / "test_some.py", "edge/core/numbers.py"
    suite.write_text("""
from pathlib import Path
from edge.core.numbers import decode_steps
def test_fails_once():
    decode_steps([])
    tried = Path(__file__).with_name("tried")
    before = tried.exists()
    tried.touch()
    assert before
def test_passes():
    pass
""")
    reach = measure([str(suite)], [path], tmp_path / "cache", 1, tmp_path)
    assert len(reach.seconds) == 2
    (only,) = set().union(*reach.lines[path].values())
    assert only.endswith("test_fails_once")


def test_tests_of_the_same_part_and_quick_ones_come_first() -> None:
    seconds = {
        "tests/outbox/a.py::t": 3.0,
        "tests/gateway/b.py::t": 0.1,
        "tests/outbox/c.py::t": 1.0,
    }
    reach = Reach(seconds, {"edge/outbox/x.py": {3: set(seconds), 4: set()}})
    assert reach.tests("edge/outbox/x.py", 3, 4) == [
        "tests/outbox/c.py::t", "tests/outbox/a.py::t", "tests/gateway/b.py::t",
    ]  # fmt: skip
    assert reach.tests("edge/outbox/x.py", 4, 4) == []
    assert reach.took(seconds) == pytest.approx(4.1)


def test_a_survivor_needs_a_reason_and_one_that_was_planted_is_never_excused(
    tmp_path: Path,
) -> None:
    all_ = mutants("edge/outbox/x.py", SOURCE)
    verdicts = {each: Verdict(Fate.KILLED) for each in all_}
    special = list(planted())[:1]
    verdicts[special[0].mutant] = Verdict(Fate.KILLED)
    assert list(faults(verdicts, special, {})) == []
    verdicts[all_[0]] = Verdict(Fate.SURVIVED)
    (result,) = [one for one in faults(verdicts, special, {}) if "fewer" not in one]
    assert all_[0].name in result
    name = all_[0].name.replace("|", "\\|")
    page = tmp_path / "mutants.md"
    page.write_text(f"| mutant | why |\n|---|---|\n| `{name}` | It changes nothing. |\n")
    why = reasons(page)
    assert why == {all_[0].name: "It changes nothing."}
    assert [one for one in faults(verdicts, special, why) if "fewer" not in one] == []
    verdicts[special[0].mutant] = Verdict(Fate.UNREACHED)
    assert any("planted" in one for one in faults(verdicts, special, {special[0].name: "no"}))
    few: dict[Mutant, Verdict] = {all_[0]: Verdict(Fate.SURVIVED), all_[1]: Verdict(Fate.KILLED)}
    assert any("fewer than 95 %" in one for one in faults(few, [], why))
    assert "1 of 2 noticed, 50.0 %" in list(summary(few))


def test_every_reason_of_the_page_is_of_a_mutant_that_there_is() -> None:
    names = {
        mutant.name
        for part in PARTS
        for path in files(part)
        for mutant in mutants(path, (ROOT / path).read_bytes())
    }
    assert reasons(PAGE).keys() <= names
