"""Frames that stand as literals in somebody's Python: read as text, never run."""

import ast
from collections.abc import Iterator


def literals(source: bytes) -> Iterator[tuple[str, str | bytes]]:
    """Every text and byte string, with the name it is given or the number of its line.

    What is joined by + of literals is one.
    """
    tree = ast.parse(source)
    seen: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], _joined(node.value)
            name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
            if value is not None and name:
                seen |= {id(part) for part in ast.walk(node.value)}
                yield name, value
        elif isinstance(node, ast.Constant | ast.BinOp) and id(node) not in seen:
            value = _joined(node)
            if value is not None:
                seen |= {id(part) for part in ast.walk(node)}
                yield f"line {node.lineno}", value


def _joined(node: ast.expr) -> str | bytes | None:
    match node:
        case ast.Constant(str() | bytes() as value):
            return value
        case ast.BinOp(left, ast.Add(), right):
            first, second = _joined(left), _joined(right)
            if isinstance(first, str) and isinstance(second, str):
                return first + second
            if isinstance(first, bytes) and isinstance(second, bytes):
                return first + second
    return None
