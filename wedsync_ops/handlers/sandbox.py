"""The sandbox in which templates run: a small language over data, with no way to code, to files or to endless work.

Templates are checked node by node before they are compiled: expressions, ``if``, ``for``, ``set`` and ``with`` over
data. Calls, macros, includes and blocks that collect output are refused; template files may also extend a layout. What
is left is bounded: numbers to 64 bits, and loops, filters, comparisons and the joining of texts by one budget.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from jinja2 import BaseLoader, ChainableUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from wedsync_ops.errors import quoted
from wedsync_ops.handlers.budget import MAX_NUMBER, MAX_PARTS, MAX_SOURCE
from wedsync_ops.handlers.filters import (
    ALLOWED_FILTERS,
    FILTERS,
    TESTS,
    bounded_number,
    bounded_size,
    budget_of,
    finalizer,
)
from wedsync_ops.handlers.polite import words_for

_SHORT = 100
"""A text of so many characters costs nothing to compare with."""
_LONGEST_BLANK = 1_000
"""A text of more characters is not looked through for whether it is blank."""

_DATA = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Filter, nodes.Test,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.CondExpr, nodes.If, nodes.For,
    nodes.Assign, nodes.With,
)  # fmt: skip
_IN_FILES = (*_DATA, nodes.Extends, nodes.Block)
# A line of a file that holds tags only leaves no line: its end goes into the last tag, so line numbers stay right.
_LINE_OF_TAGS = re.compile(r"^[ \t]*(\{%(?:(?!%\}).)*(?:%\}\{%(?:(?!%\}).)*)*)%\}[ \t]*\n", re.MULTILINE)
_LOOP_ATTRIBUTES = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth"})
_OF_THE_ENGINE = frozenset({"self", "super", "caller", "varargs", "kwargs"})
"""Names that stand for parts of the template engine, not for data."""
_WORDS = {nodes.Call: "a call", nodes.Pow: "the operator **", nodes.FilterBlock: "a filter block"}


class PoliteUndefined(ChainableUndefined):
    """A missing field: false, empty to loop over, 0 as a number, and polite words as text."""

    __slots__ = ()

    def __str__(self) -> str:
        owner = self._undefined_obj
        known = isinstance(owner, Undefined)
        name = owner._undefined_name if known else getattr(owner, "field_owner", None)  # noqa: SLF001 - jinja2's own way
        return words_for(self._undefined_name or "", name)

    def _same(self, *_: Any) -> "PoliteUndefined":
        return self

    def _never(self, _: Any) -> bool:
        return False

    def __int__(self) -> int:  # type: ignore[override]
        return 0

    def __float__(self) -> float:  # type: ignore[override]
        return 0.0

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _same  # type: ignore[assignment]
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _same  # type: ignore[assignment]
    __neg__ = __pos__ = __abs__ = _same  # type: ignore[assignment]
    __lt__ = __le__ = __gt__ = __ge__ = _never  # type: ignore[assignment]


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for templates that nobody has reason to trust.

    ``escape_html`` escapes every value (for files: in those named .html); ``show`` turns a value into what is put out
    (beyond the polite defaults). With a ``loader`` templates are files, which may extend a layout.
    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})
    intercepted_unops = frozenset({"+", "-"})

    def __init__(
        self, *, escape_html: bool, loader: BaseLoader | None = None, show: Callable[[str], str] | None = None
    ) -> None:
        super().__init__(
            loader=loader,
            undefined=PoliteUndefined,
            autoescape=(lambda name: name is not None and name.endswith(".html")) if loader else escape_html,
            finalize=finalizer(show),
            keep_trailing_newline=loader is None,
            cache_size=200,
        )
        self._nodes = _IN_FILES if loader else _DATA
        self.globals.clear()
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"it is longer than {MAX_SOURCE:,} characters", 1, name, filename)
        if self.loader is not None:
            source = _LINE_OF_TAGS.sub(r"\1\n%}", source)
        tree = super()._parse(source, name, filename)
        _check(tree, self._nodes, name, filename)
        bounded: nodes.Template = _Bounding().visit(tree)
        return bounded

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return TokenStream(_limited(super()._tokenize(source, name, filename, state)), name, filename)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of data; nothing else has attributes. Names that begin with an underscore are refused."""
        if attribute.startswith("_"):
            raise SecurityError(f"the name {quoted(attribute, 40)} begins with an underscore")
        if isinstance(obj, Mapping):
            value = obj.get(attribute)
            return value if _is_given(value) else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of data; a name is looked up as a field."""
        if isinstance(argument, str):
            return self.getattr(obj, str(argument))
        if isinstance(obj, list | tuple | str) and isinstance(argument, int | slice):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(obj=obj, name=str(argument))
        return self.undefined(obj=obj, name="item")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers, and + on texts within the limit; the rest could make much out of little."""
        if isinstance(left, Undefined):
            return left
        if isinstance(right, Undefined):
            return right
        if isinstance(left, int | float) and isinstance(right, int | float):
            return bounded_number(super().call_binop(context, operator, left, right))
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            size = len(left) + len(right)
            bounded_size(size)
            budget_of(context).spend(size)
            return super().call_binop(context, operator, left, right)
        raise SecurityError(f"the operator {operator} needs numbers")

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """A sign before a number."""
        if isinstance(arg, Undefined):
            return arg
        if not isinstance(arg, int | float):
            raise SecurityError(f"the operator {operator} needs a number")
        return bounded_number(super().call_unop(context, operator, arg))

    def is_safe_callable(self, obj: Any) -> bool:  # noqa: ARG002 - whatever it is  # noqa: ARG002 - the base class's signature
        """Nothing may be called from a template."""
        return False


def _limited(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens as they are read, so that what is too large costs no more than what is just small enough."""
    for count, token in enumerate(tokens):
        if count >= MAX_PARTS:
            raise TemplateSyntaxError(f"it has more than {MAX_PARTS:,} parts", token.lineno)
        yield token


def _is_given(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value) and (len(value) > _LONGEST_BLANK or not value.isspace())
    return value is not None


def _check(tree: nodes.Template, allowed: tuple[type[nodes.Node], ...], name: str | None, filename: str | None) -> None:
    waiting: list[nodes.Node] = [tree]
    while waiting:
        node = waiting.pop()
        fault = _fault(node, allowed)
        if fault:
            raise TemplateSyntaxError(fault, getattr(node, "lineno", 1) or 1, name, filename)
        waiting.extend(node.iter_child_nodes())


def _fault(node: nodes.Node, allowed: tuple[type[nodes.Node], ...]) -> str | None:
    if not isinstance(node, allowed):
        what = _WORDS.get(type(node), f"'{type(node).__name__.lower()}'")
        return f"{what} is not allowed in a template"
    word = _name_of(node)
    if word is not None and word.startswith("_"):
        return f"the name {quoted(word, 40)} begins with an underscore, which is not allowed in a template"
    if isinstance(node, nodes.Name) and node.name in _OF_THE_ENGINE:
        return f"the name '{node.name}' is not allowed in a template"
    if isinstance(node, nodes.Filter | nodes.Test):
        return _fault_of_call(node)
    if isinstance(node, nodes.Const) and not _is_bounded(node.value):
        return "a number has more than 64 bits"
    return _fault_of_tag(node)


def _fault_of_tag(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.For) and node.recursive:
        return "a recursive loop is not allowed in a template"
    if isinstance(node, nodes.Extends) and not isinstance(node.template, nodes.Const):
        return "the layout that a template extends must be named by a text"
    return None


def _fault_of_call(node: nodes.Filter | nodes.Test) -> str | None:
    kind, known = ("filter", ALLOWED_FILTERS) if isinstance(node, nodes.Filter) else ("test", TESTS.keys())
    if node.name in known and not node.dyn_args and not node.dyn_kwargs:
        return None
    return f"there is no {kind} {quoted(node.name, 40)}; known: {', '.join(sorted(known))}"


def _is_bounded(value: Any) -> bool:
    if isinstance(value, int):
        return value <= MAX_NUMBER
    return not isinstance(value, float) or math.isfinite(value)


def _name_of(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None


class _Bounding(NodeTransformer):
    """Puts a price on what takes time: loops, joining, comparing and cutting out."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  (jinja2 looks the name up)
        steps = sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = _through("_counted", node.iter, nodes.Const(steps, lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  (jinja2 looks the name up)
        self.generic_visit(node)
        return _through("_concat", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  (jinja2 looks the name up)
        self.generic_visit(node)
        if len(node.ops) > 1 or not (_is_short(node.expr) or _is_short(node.ops[0].expr)):
            node.expr = _through("_comparable", node.expr)
            for operand in node.ops:
                operand.expr = _through("_comparable", operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  (jinja2 looks the name up)
        self.generic_visit(node)
        return _through("_charged", node) if isinstance(node.arg, nodes.Slice) else node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802  (jinja2 looks the name up)
        self.generic_visit(node)
        if not isinstance(node.key, nodes.Const):
            node.key = _through("_key", node.key)
        return node


def _is_short(node: nodes.Node) -> bool:
    """Whether comparing anything with it takes no time: a number, a short text, or a list of such in the template."""
    if isinstance(node, nodes.List | nodes.Tuple):
        return len(node.items) <= _SHORT and all(
            isinstance(item, nodes.Const) and _is_short(item) for item in node.items
        )
    return isinstance(node, nodes.Const) and (not isinstance(node.value, str) or len(node.value) <= _SHORT)


def _through(name: str, node: nodes.Node, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), name, list(args), [], None, None, lineno=node.lineno)
