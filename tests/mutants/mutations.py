"""Small wrong changes to a source file, each of which a test should notice.

One changes what the code does: a comparison, a condition, a number or a truth within a function, a
statement that is left out, a value that is not returned. Text is none: what is said to people
breaks nothing. Nor is what stands outside of functions: limits and patience are tuned, not proved,
and types do nothing.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
OPERATORS: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "//"), ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
    ast.BitOr: ("|", "&"), ast.BitAnd: ("&", "|"), ast.BitXor: ("^", "|"),
}  # fmt: skip
LOGGERS: Final = frozenset({"LOG", "log", "logging", "warnings"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. `start` and `end` are byte offsets in the file; `line` is the first one changed.

    `number` tells those apart that change the same text of one function in the same way.
    """

    path: str
    where: str  # qualified name of the function
    line: int
    start: int
    end: int
    old: str
    new: str
    number: int = 1

    @property
    def name(self) -> str:
        """Stays the same when lines move."""
        which = f" ({self.number})" if self.number > 1 else ""
        return f"{self.path} {self.where}: {_short(self.old)} -> {_short(self.new)}{which}"

    def applied(self, source: bytes) -> bytes:
        """The file with the change. Raises ValueError when it is another file by now."""
        if source[self.start : self.end] != self.old.encode():
            raise ValueError(f"{self.path} has changed since the mutants were drawn")
        return source[: self.start] + self.new.encode() + source[self.end :]


@cache
def mutants(path: str, source: bytes) -> Sequence[Mutant]:
    """Every change of one file, in the order of its text. A few are no Python any more."""
    found = sorted(_Finder(path, source).all(), key=lambda each: (each.start, each.end, each.new))
    seen: Counter[tuple[str, str, str]] = Counter()
    numbered: list[Mutant] = []
    for each in found:
        seen[each.where, each.old, each.new] += 1
        numbered.append(replace(each, number=seen[each.where, each.old, each.new]))
    return numbered


def parses(mutant: Mutant, source: bytes) -> bool:
    """Is the file still Python with it? Takes as long as to compile the file."""
    try:
        compile(mutant.applied(source), mutant.path, "exec")
    except SyntaxError:
        return False
    return True


class _Finder:
    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def all(self) -> Iterator[Mutant]:
        yield from self._body(ast.parse(self._source), ())

    def _body(self, node: ast.AST, where: tuple[str, ...]) -> Iterator[Mutant]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.ClassDef():
                    yield from self._body(child, (*where, child.name))
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    name = ".".join((*where, child.name))
                    for statement in child.body:
                        yield from self._inside(statement, name)

    def _inside(self, node: ast.AST, where: str) -> Iterator[Mutant]:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.arguments():
                return  # a docstring; a text; annotations and what is usual
            case ast.Expr(value=ast.Call(func=func)) if _says(func):
                return
            case ast.Raise():
                yield self._mutant(node, "pass", where)
                return  # what it says
            case ast.AnnAssign():
                if node.value is not None:
                    yield from self._inside(node.value, where)
                return
        if isinstance(node, ast.stmt | ast.expr):
            for new in self._changes(node):
                yield self._mutant(node, new, where)
        yield from self._signs(node, where)
        for child in ast.iter_child_nodes(node):
            yield from self._inside(child, where)

    def _changes(self, node: ast.AST) -> Iterator[str]:
        """Other texts for the whole of a node."""
        match node:
            case ast.Constant(value=bool() as truth):
                yield str(not truth)
            case ast.Constant(value=int() as number):
                yield str(number + 1)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield f"({self._text(operand)})"
            case ast.BoolOp(values=values):
                for left_out in values:
                    rest = [self._text(other) for other in values if other is not left_out]
                    word = " and " if isinstance(node.op, ast.And) else " or "
                    yield f"({word.join(f'({one})' for one in rest)})"
            case ast.Expr(value=ast.Call() | ast.Await()):
                yield "pass"
            case ast.AugAssign() | ast.Delete():
                yield "pass"
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                yield "pass"
            case ast.Return(value=ast.expr()) if not _nothing(node.value):
                yield "return None"
            case ast.Break():
                yield "continue"
            case ast.Continue():
                yield "break"

    def _signs(self, node: ast.AST, where: str) -> Iterator[Mutant]:
        """Signs between two operands, and conditions."""
        match node:
            case ast.Compare(left=left, ops=ops, comparators=right):
                for before, op, after in zip([left, *right], ops, right, strict=False):
                    old, new = COMPARISONS[type(op)]
                    yield from self._sign(before, after, old, new, where)
            case ast.BinOp(left=before, op=op, right=after) if type(op) in OPERATORS:
                if not any(isinstance(each, ast.JoinedStr) for each in (before, after)):
                    old, new = OPERATORS[type(op)]
                    yield from self._sign(before, after, old, new, where)
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                if not isinstance(test, ast.Compare | ast.UnaryOp):
                    yield self._mutant(test, f"(not ({self._text(test)}))", where)

    def _sign(
        self, before: ast.expr, after: ast.expr, old: str, new: str, where: str
    ) -> Iterator[Mutant]:
        low, high = self._place(before)[1], self._place(after)[0]
        between = self._source[low:high]
        at = between.find(old.encode())
        if at >= 0 and between.count(old.encode()) == 1 and b"#" not in between:
            line = (before.end_lineno or before.lineno) + between[:at].count(b"\n")
            start = low + at
            yield Mutant(self._path, where, line, start, start + len(old), old, new)

    def _mutant(self, node: ast.stmt | ast.expr, new: str, where: str) -> Mutant:
        start, end = self._place(node)
        return Mutant(self._path, where, node.lineno, start, end, self._text(node), new)

    def _place(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def _text(self, node: ast.stmt | ast.expr) -> str:
        start, end = self._place(node)
        return self._source[start:end].decode()


def _says(func: ast.expr) -> bool:
    """Does it write a log?"""
    while isinstance(func, ast.Attribute):
        func = func.value
    return isinstance(func, ast.Name) and func.id in LOGGERS


def _nothing(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:40]}...{words[-17:]}"
