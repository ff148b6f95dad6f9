"""Shapes stand in names: while the tests run, every ``x_BTF`` of the mathematics is held to its promise.

A name that ends in ``_BTF`` promises an array of three dimensions, and within one call of a function a letter has one
size wherever it stands: in arguments, locals, attributes (``self.bias_H``), keys of a batch (``batch["y_BH"]``) and in
the shapes that the first paragraph of a function's docstring gives for what it returns, such as ``(B, T)``. A digit is
a size, ``K2`` is (K, 2). A list or tuple counts as a dimension, its elements as the others; a plain number has none.
A legend that begins with ``…`` allows leading dimensions in its module. Decision record 016 says why it is done so.

The modules of ``ROOMS`` are instrumented as they are imported, as pytest does with assertions: a check stands behind
each binding of such a name. So this costs nothing where no such name stands, and nothing outside the tests.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOMS = ("unroll.nn.", "unroll.problems.", "unroll.features.")
LAYING_OUT = ("build", "prepare", "inputs", "scores", "figures", "baselines", "config", "pairs", "solving", "tokens")
SUFFIX = re.compile(r"(?:\w*[a-z]\w*|[A-Z]{1,2})_([A-Z0-9]+)")
"""``x_BTF`` and the matrix ``W_GF``, but no constant such as ``MAX_LEN``."""
RETURNED = re.compile(r"\(((?:[\w`…]+, ?)+[\w`]*|[A-Z])\)")
"""``(B, T)``, ``(B, ``outputs``)``, ``(H,)`` or ``(B)`` in a docstring; only single letters and digits are checked."""
DIGITS = {str(digit): digit for digit in range(10)}
SIZES = "sizes_of_this_call"

active = False
"""Whether checks run; instrumented modules stay what they are for the whole process."""


class ShapeError(AssertionError):
    """A name or a docstring promises another shape than the array has."""


def checked(module: str) -> bool:
    """Whether a module is one of mathematics: all of ``ROOMS`` but packages' own and the files that lay data out."""
    return module.startswith(ROOMS) and module.rpartition(".")[2] not in LAYING_OUT


def letters(name: str) -> str:
    """The dimensions that a name promises; none where it promises nothing.

    >>> letters("x_BTF"), letters("W_GF"), letters("MAX_LEN"), letters("x")
    ('BTF', 'GF', '', '')
    """
    match = SUFFIX.fullmatch(name)
    return match[1] if match else ""


def returned(docstring: str | None) -> list[str]:
    """The shapes in a docstring's first paragraph, a letter a dimension and ``?`` for one that is not a letter.

    >>> returned("Answers (B, T) and their log-probabilities (B), of ``width`` columns (B, ``width``).")
    ['BT', 'B', 'B?']
    """
    return [
        "".join(part if len(part) == 1 else "?" for part in re.findall(r"[\w`…]+", match[1]))
        for match in RETURNED.finditer((docstring or "").partition("\n\n")[0])
        if re.search("[A-Z…]", match[1])
    ]


def legend(tree: ast.Module) -> str:
    """What a module says of its letters: ``B batch, T time``; empty where it says nothing."""
    return (ast.get_docstring(tree) or "").partition("Shapes:")[2].partition("\n\n")[0].strip()


def start() -> dict[str, int]:
    """The sizes of a call's letters: as yet only of the digits."""
    return DIGITS.copy()


def bind(sizes: dict[str, int], name: str, dimensions: str, value: Any) -> Any:
    """The value, whose shape must be that of the name; raises ShapeError where it is not."""
    if not active or value is None:
        return value
    shape = getattr(value, "shape", None)
    if type(shape) is not tuple and not isinstance(shape, tuple):
        if isinstance(value, list | tuple) and dimensions[:1] != "…":
            _bind_sequence(sizes, name, dimensions, value)
        elif isinstance(value, int | float):
            _fail(name, dimensions, (), sizes)
        return value
    if dimensions[:1] == "…":
        dimensions = dimensions[1:]
        shape = shape[max(len(shape) - len(dimensions), 0) :]
    if len(shape) != len(dimensions):
        _fail(name, dimensions, shape, sizes)
    for letter, size in zip(dimensions, shape, strict=True):
        if sizes.setdefault(letter, size) != size and letter != "?":
            _fail(name, dimensions, shape, sizes)
    return value


def holds(sizes: dict[str, int], name: str, dimensions: str, value: Any) -> bool:
    """True, once the value is checked: the condition of a comprehension."""
    bind(sizes, name, dimensions, value)
    return True


def give(sizes: dict[str, int], shapes: Sequence[str], value: Any) -> Any:
    """The value that a function returns, whose first parts have the shapes that its docstring names."""
    if active:
        for shape, part in zip(shapes, value if isinstance(value, tuple) else (value,), strict=False):
            for array in part if isinstance(part, tuple) else (part,):  # the two parts of an LSTM's state
                bind(sizes, "the returned value", shape, array)
    return value


def _bind_sequence(sizes: dict[str, int], name: str, dimensions: str, values: Sequence[Any]) -> None:
    if not dimensions or (sizes.setdefault(dimensions[0], len(values)) != len(values) and dimensions[0] != "?"):
        _fail(name, dimensions, (len(values), "…"), sizes)
    if len(dimensions) > 1:
        for value in values:
            bind(sizes, name, dimensions[1:], value)


def _fail(name: str, dimensions: str, shape: Sequence[Any], sizes: dict[str, int]) -> None:
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__") == __name__ and frame.f_back:
        frame = frame.f_back
    expected = ", ".join(f"{one}={sizes[one]}" if one in sizes else one for one in dimensions)
    seen = ", ".join(
        f"{other} {tuple(value.shape)}"
        for other, value in frame.f_locals.items()
        if letters(other) and isinstance(getattr(value, "shape", None), tuple)
    )
    place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_qualname}"
    raise ShapeError(f"{place}: {name} is {tuple(shape)}; expected ({expected}). Arrays of this call: {seen}")


class Instrument(ast.NodeTransformer):
    """Puts a check behind each binding of a name with a shape, within functions."""

    def __init__(self, legend: str) -> None:
        self.leading = "…" if legend.startswith("…") else ""
        self.scopes: list[set[str]] = []
        self.shapes: list[list[str]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """A function: its arguments first."""
        arguments = _arguments(node.args)
        self.scopes.append({one.arg for one in arguments} | set(_bound(node.body)))
        self.shapes.append(returned(ast.get_docstring(node)))
        count = 1 if ast.get_docstring(node) is not None else 0
        body = self._block(node.body[count:])
        checks = [_statement(self._check("bind", one.arg, _load(one.arg))) for one in arguments if letters(one.arg)]
        node.body = [*node.body[:count], *_located(node, [_begin(), *checks]), *body]
        self.scopes.pop()
        self.shapes.pop()
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        """The body after checks of the arguments: ``(lambda sizes: [bind(…), body][-1])(start())``."""
        arguments = _arguments(node.args)
        self.scopes.append({one.arg for one in arguments})
        self.shapes.append([])
        checks = [self._check("bind", one.arg, _load(one.arg)) for one in arguments if letters(one.arg)]
        items = ast.List([*checks, self.visit(node.body)], ast.Load())
        last = ast.Subscript(items, ast.UnaryOp(ast.USub(), ast.Constant(1)), ast.Load())
        only = ast.arguments([], [ast.arg(SIZES)], None, [], [], None, [])
        node.body = _located(node, [ast.Call(ast.Lambda(only, last), [_call("start")], [])])[0]
        self.scopes.pop()
        self.shapes.pop()
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        """What is returned, against the shapes of the docstring."""
        self.generic_visit(node)
        if node.value is not None and self.shapes[-1]:
            node.value = self._given(node.value)
        return node

    def visit_Yield(self, node: ast.Yield) -> ast.Yield:
        """What is yielded, as what is returned."""
        self.generic_visit(node)
        if node.value is not None and self.shapes[-1]:
            node.value = self._given(node.value)
        return node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.NamedExpr:
        """``(x_BF := …)``."""
        self.generic_visit(node)
        if self.scopes and letters(node.target.id):
            node.value = _located(node, [self._check("bind", node.target.id, node.value)])[0]
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        """``for x_BF in …`` within a comprehension: one more condition, which always holds."""
        bound = _targets(node.target) if self.scopes else []
        node.iter = self.visit(node.iter)
        own = {one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)}
        node.ifs = [self.visit(condition) for condition in node.ifs]
        if self.scopes:
            self.scopes[-1] |= own
            node.ifs[:0] = _located(node.target, [self._check("holds", name, value) for name, value in bound])
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A name of the function around this one."""
        if not (isinstance(node.ctx, ast.Load) and letters(node.id) and len(self.scopes) > 1):
            return node
        if node.id in self.scopes[-1] or not any(node.id in scope for scope in self.scopes[:-1]):
            return node
        return _located(node, [self._check("bind", node.id, node)])[0]

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """``self.bias_H`` where it is read."""
        self.generic_visit(node)
        if self.scopes and isinstance(node.ctx, ast.Load) and letters(node.attr):
            return _located(node, [self._check("bind", node.attr, node)])[0]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """``batch["y_BH"]`` where it is read."""
        self.generic_visit(node)
        if self.scopes and isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Constant):
            name = node.slice.value
            if isinstance(name, str) and letters(name):
                return _located(node, [self._check("bind", name, node)])[0]
        return node

    def _check(self, function: str, name: str, value: ast.expr) -> ast.expr:
        return _call(function, _load(SIZES), ast.Constant(name), ast.Constant(self.leading + letters(name)), value)

    def _given(self, value: ast.expr) -> ast.expr:
        shapes = ast.List([ast.Constant(shape) for shape in self.shapes[-1]], ast.Load())
        return _located(value, [_call("give", _load(SIZES), shapes, value)])[0]

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements, a check after each that binds a name, and first in the body of a loop or of ``with``."""
        statements: list[ast.stmt] = []
        for node in body:
            bound: list[tuple[str, ast.expr]] = []
            inner: list[tuple[str, ast.expr]] = []
            if isinstance(node, ast.Assign):
                bound = [pair for target in node.targets for pair in _targets(target)]
            elif isinstance(node, ast.AugAssign) or (isinstance(node, ast.AnnAssign) and node.value is not None):
                bound = _targets(node.target)
            elif isinstance(node, ast.For):
                inner = _targets(node.target)
            elif isinstance(node, ast.With):
                inner = [pair for item in node.items if item.optional_vars for pair in _targets(item.optional_vars)]
            for name in ("body", "orelse", "finalbody"):
                if not isinstance(node, ast.FunctionDef | ast.ClassDef) and getattr(node, name, None):
                    setattr(node, name, self._block(getattr(node, name)))
            for handler in getattr(node, "handlers", []):
                handler.body = self._block(handler.body)
            if isinstance(node, ast.For | ast.With):
                checks = _located(node, [_statement(self._check("bind", *pair)) for pair in inner])
                node.body = [*checks, *node.body]
            statements.append(self._heads(node))
            statements.extend(_located(node, [_statement(self._check("bind", *pair)) for pair in bound]))
        return statements

    def _heads(self, node: ast.stmt) -> Any:
        """The expressions of a statement; its blocks are done."""
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            return self.visit(node)
        blocks = {}
        for name in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(getattr(node, name, None), list):
                blocks[name] = getattr(node, name)
                setattr(node, name, [])
        node = self.visit(node)
        for name, block in blocks.items():
            setattr(node, name, block)
        return node


def _arguments(node: ast.arguments) -> list[ast.arg]:
    return [*node.posonlyargs, *node.args, *node.kwonlyargs]


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Names that a function binds itself, and not a function within it."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        stack.extend(ast.iter_child_nodes(node))


def _targets(target: ast.expr) -> list[tuple[str, ast.expr]]:
    """The names with a shape that an assignment binds, and how each is read again."""
    if isinstance(target, ast.Tuple | ast.List):
        return [pair for part in target.elts for pair in _targets(part)]
    if isinstance(target, ast.Starred):
        return _targets(target.value)
    if isinstance(target, ast.Name):
        return [(target.id, _load(target.id))] if letters(target.id) else []
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        read = ast.Attribute(_load(target.value.id), target.attr, ast.Load())
        return [(target.attr, read)] if letters(target.attr) else []
    return []


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(_load("__shapes__"), function, ast.Load()), list(arguments), [])


def _statement(value: ast.expr) -> ast.stmt:
    return ast.Expr(value)


def _begin() -> ast.stmt:
    return ast.Assign([ast.Name(SIZES, ast.Store())], _call("start"))


def _located(near: ast.AST, nodes: list[Any]) -> list[Any]:
    """The nodes with the line of another one, for tracebacks."""
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.expr | ast.stmt | ast.arg) and not hasattr(part, "lineno"):
                ast.copy_location(part, near)
    return nodes


def instrument(source: str, path: str) -> CodeType:
    """A module's code with its checks; ``__shapes__`` in its globals is this module."""
    tree = ast.parse(source)
    return compile(Instrument(legend(tree)).visit(tree), path, "exec", dont_inherit=True)


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a module instrumented; its bytecode is not kept."""

    def get_code(self, fullname: str) -> CodeType:
        """The module's code with its checks."""
        return instrument(self.get_data(self.path).decode("utf-8"), self.path)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        module.__dict__["__shapes__"] = sys.modules[__name__]
        super().exec_module(module)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of ``ROOMS`` before the usual finders do."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The usual spec with another loader."""
        if not checked(fullname):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None and spec.submodule_search_locations is None:
            spec.loader = Loader(fullname, spec.origin)
        return spec


def install() -> None:
    """From now on modules of ``ROOMS`` are instrumented as they are imported; raises RuntimeError where one is."""
    early = [name for name, module in sys.modules.items() if checked(name) and not hasattr(module, "__path__")]
    if early:
        raise RuntimeError(f"imported before their shapes could be checked: {', '.join(sorted(early))}")
    sys.meta_path.insert(0, Finder())
