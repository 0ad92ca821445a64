"""Workflow code decides the same on every replay: no clock, environment, file, random number or order of a set.

The sandbox does not check our packages (docs/decisions/0003-workflow-sandbox.md), so this test reads their syntax trees.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

FORBIDDEN_MODULES = frozenset({"time", "random", "secrets", "os", "socket", "subprocess", "threading"})
FORBIDDEN = frozenset(
    {
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "uuid.uuid1",
        "uuid.uuid4",
        "asyncio.wait",
        "asyncio.as_completed",
        "open",
        "input",
        "hash",
        "id",
    }
)
# The result of ORDERED depends on the order of what they iterate, that of UNORDERED does not.
ORDERED = frozenset({"list", "tuple", "iter", "next", "enumerate", "zip", "map", "filter", "reversed", "dict.fromkeys"})
UNORDERED = frozenset({"sorted", "any", "all", "len", "sum", "set", "frozenset"})
SET_TYPES = frozenset({"set", "frozenset", "Set", "AbstractSet", "MutableSet"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})


class Checker(ast.NodeVisitor):
    """Finds what could make two runs of a module differ. A name counts as a set wherever the module assigns or annotates one."""

    def __init__(self, tree: ast.Module) -> None:
        self.problems: list[str] = []
        self._imported: dict[str, str] = {}
        self._sets: set[str] = set()
        self._unordered: list[ast.AST] = []
        for node in ast.walk(tree):
            self._learn(node)
        self.visit(tree)

    def _learn(self, node: ast.AST) -> None:
        match node:
            case ast.Import():
                self._imported |= {
                    a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
                }
            case ast.ImportFrom():
                self._imported |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            case ast.AnnAssign(target=target, annotation=annotation) if _is_set_type(annotation):
                self._sets.add(_last_name(target))
            case ast.arg(arg=name, annotation=ast.expr() as annotation) if _is_set_type(annotation):
                self._sets.add(name)
            case ast.Assign(targets=targets, value=value) if self._is_set(value):
                self._sets |= {_last_name(target) for target in targets}

    def visit_Name(self, node: ast.Name) -> None:
        self._check_name(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not self._check_name(node):
            self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._check_iteration(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if node not in self._unordered:
            self._check_iteration(node.iter)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._check_iteration(node.value)
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self._check_iteration(node.value)
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        for item in node.elts:  # {*a, *b} of sets is a set again
            self.visit(item.value if isinstance(item, ast.Starred) else item)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._unordered += node.generators
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._full_name(node.func)
        if name in UNORDERED:
            for argument in node.args:
                self._unordered += argument.generators if isinstance(argument, ast.GeneratorExp) else [argument]
        if node in self._unordered:
            pass
        elif name in ORDERED or (isinstance(node.func, ast.Attribute) and node.func.attr in {"join", "extend"}):
            for argument in node.args:
                self._check_iteration(argument)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and self._is_set(node.func.value):
            self._report(node, "pops from a set")
        self.generic_visit(node)

    def _check_name(self, node: ast.Name | ast.Attribute) -> bool:
        name = self._full_name(node)
        is_forbidden = name in FORBIDDEN or ("." in name and name.split(".")[0] in FORBIDDEN_MODULES)
        if is_forbidden and isinstance(node.ctx, ast.Load):
            self._report(node, f"uses {name}")
        return is_forbidden

    def _check_iteration(self, node: ast.expr) -> None:
        if self._is_set(node):
            self._report(node, "iterates over a set")

    def _is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in SET_METHODS:
                return self._is_set(value)
            case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() | ast.Sub() | ast.BitXor(), right=right):
                return any(self._is_set(side) or _is_keys_view(side) for side in (left, right))
            case ast.Name() | ast.Attribute():
                return _last_name(node) in self._sets
            case ast.IfExp(body=body, orelse=orelse):
                return self._is_set(body) or self._is_set(orelse)
        return False

    def _full_name(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (of := self._full_name(node.value)):
            return f"{of}.{node.attr}"
        return ""

    def _report(self, node: ast.expr, problem: str) -> None:
        self.problems.append(f"line {node.lineno}: {problem}")


def _is_set_type(annotation: ast.expr) -> bool:
    return _last_name(annotation.value if isinstance(annotation, ast.Subscript) else annotation) in SET_TYPES


def _is_keys_view(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def problems_in(source: str) -> list[str]:
    return Checker(ast.parse(source)).problems


def modules() -> Iterator[Path]:
    return (path for package in ("workflows", "domain") for path in sorted((PROJECT / package).rglob("*.py")))


def test_workflow_code_is_deterministic() -> None:
    found = {str(path.relative_to(PROJECT)): problems_in(path.read_text(encoding="utf-8")) for path in modules()}
    assert {path: problems for path, problems in found.items() if problems} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.utcnow()",
        "from datetime import datetime as dt\ndt.now(tz)",
        "from datetime import datetime as dt, date\ndate.today()",
        "import datetime as clock\nclock.datetime.today()",
        "import time\ntime.time()",
        "import time as t\nt.monotonic()",
        "from time import time as now\nnow()",
        "import random\nrandom.choice(x)",
        "from random import Random\nRandom()",
        "import uuid\nuuid.uuid4()",
        "from uuid import uuid4\nField(default_factory=uuid4)",
        "from uuid import uuid4 as new_id\nnew_id()",
        "open('file')",
        "import os\nos.environ['HOME']",
        "from os import environ as env\nenv.get('HOME')",
        "import os\nos.getenv('HOME')",
        "hash('text')",
        "for x in {1, 2}: pass",
        "for x in set(values): pass",
        "for x in frozenset(values) - other: pass",
        "[x for x in {1, 2}]",
        "{x: 1 for x in set(values)}",
        "f(x for x in set(a) & set(b))",
        "list({1, 2})",
        "list(set(values))",
        "tuple(frozenset(values))",
        "', '.join(set(values))",
        "dict.fromkeys({1, 2})",
        "[*{1, 2}]",
        "f(*set(values))",
        "found = set()\nfor x in found: pass",
        "found: set[int] = make()\nfor x in found: pass",
        "def f(found: frozenset[int]):\n    return [x for x in found]",
        "class A:\n    def __init__(self): self._found: set[int] = set()\n    def f(self):\n        for x in self._found: pass",
        "for x in a.keys() & b: pass",
        "next(iter(set(values)))",
        "set(values).pop()",
        "for i, x in enumerate(set(values)): pass",
    ],
)
def test_code_that_may_differ_on_replay_is_found(source: str) -> None:
    assert problems_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "from temporalio import workflow\nworkflow.now()\nworkflow.uuid4()\nworkflow.random()",
        "for x in sorted({1, 2}): pass",
        "found = {*set(a), *set(b)}\nlen(found)",
        "{x for x in set(values)}",
        "any(x for x in set(values))",
        "sorted(map(str, set(values)))",
        "x in {1, 2}",
        "for x in {'a': 1}: pass",
        "from datetime import datetime\ndef f(at: datetime) -> str: return at.isoformat()",
        "for x in [1, 2] + list(values): pass",
    ],
)
def test_deterministic_code_is_not_reported(source: str) -> None:
    assert problems_in(source) == []
