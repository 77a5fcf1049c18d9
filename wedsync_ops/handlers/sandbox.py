"""The sandbox in which templates run: a small language over data, with no way to code, to files or to endless work.

Templates are checked node by node before they are compiled: expressions, ``if``, ``for``, ``set`` and ``with`` over
data. Calls, macros, includes and blocks that collect output are refused; template files may also extend a layout. What
is left can only grow by loops and by joining text, and both are counted.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import BaseLoader, ChainableUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from wedsync_ops.errors import WedsyncError, quoted
from wedsync_ops.handlers.fields import date_in_words
from wedsync_ops.handlers.polite import words_for

MAX_SOURCE = 200_000
"""The longest text that is compiled as a template, in characters."""
MAX_OUTPUT = 1_000_000
"""The longest text that a template may make, in characters."""
MAX_ROUNDS = 10_000
"""The most rounds that all loops of one rendering may make together."""
BUDGET = "_rounds"

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

    intercepted_binops = frozenset({"+", "*", "%"})

    def __init__(
        self, *, escape_html: bool, loader: BaseLoader | None = None, show: Callable[[str], str] | None = None
    ) -> None:
        super().__init__(
            loader=loader,
            undefined=PoliteUndefined,
            autoescape=(lambda name: name is not None and name.endswith(".html")) if loader else escape_html,
            finalize=_finalizer(show),
            keep_trailing_newline=loader is None,
            cache_size=200,
        )
        self._nodes = _IN_FILES if loader else _DATA
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _KEPT_FILTERS} | _OWN_FILTERS

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"it is longer than {MAX_SOURCE:,} characters", 1, name, filename)
        if self.loader is not None:
            source = _LINE_OF_TAGS.sub(r"\1\n%}", source)
        tree = super()._parse(source, name, filename)
        _check(tree, self._nodes, name, filename)
        bounded: nodes.Template = _Bounding().visit(tree)
        return bounded

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
            return super().call_binop(context, operator, left, right)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            _limit(len(left) + len(right))
            return super().call_binop(context, operator, left, right)
        raise SecurityError(f"the operator {operator} needs numbers")

    def is_safe_callable(self, obj: Any) -> bool:  # noqa: ARG002 - whatever it is  # noqa: ARG002 - the base class's signature
        """Nothing may be called from a template."""
        return False


def _is_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def _limit(size: int) -> None:
    if size > MAX_OUTPUT:
        raise SecurityError(f"it makes more than {MAX_OUTPUT:,} characters")


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
    if isinstance(node, nodes.Filter) and (node.name not in _ALLOWED_FILTERS or node.dyn_args or node.dyn_kwargs):
        return f"there is no filter {quoted(node.name, 40)}; known: {', '.join(sorted(_ALLOWED_FILTERS))}"
    if isinstance(node, nodes.For) and node.recursive:
        return "a recursive loop is not allowed in a template"
    if isinstance(node, nodes.Extends) and not isinstance(node.template, nodes.Const):
        return "the layout that a template extends must be named by a text"
    return None


def _name_of(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None


class _Bounding(NodeTransformer):
    """Puts a count on every loop and a limit on every joining of texts."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  (jinja2 looks the name up)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  (jinja2 looks the name up)
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_concat", [], [], None, None, lineno=node.lineno)


def _finalizer(show: Callable[[str], str] | None) -> Callable[[Any], Any]:
    def finalize(value: Any) -> Any:
        if isinstance(value, str | Undefined):
            pass
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, list | tuple):
            value = _join(value, ", ")
        elif value is None or isinstance(value, Mapping):
            value = words_for("")
        elif isinstance(value, float) and math.isfinite(value) and value.is_integer():
            value = int(value)
        if show is None:
            return value
        return show(str(value))

    return finalize


@pass_context
def _counted(context: Context, values: Any) -> Iterator[Any]:
    if isinstance(values, LoopContext) or not isinstance(values, Iterable):
        raise SecurityError("a loop needs a list")
    budget = context.resolve(BUDGET)
    for value in values:
        budget[0] -= 1
        if budget[0] < 0:
            raise SecurityError(f"its loops make more than {MAX_ROUNDS:,} rounds")
        yield value


def _joined(values: Iterable[Any], separator: str) -> str:
    parts: list[str] = []
    size = 0
    for value in values:
        part = value if isinstance(value, str) else _plain(value)
        size += len(part) + len(separator)
        _limit(size)
        parts.append(part)
    return separator.join(parts)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple) or value is None:
        return words_for("")
    return str(value)


def _concat(values: Iterable[Any]) -> str:
    return _joined(values, "")


def _join(values: Any, separator: str = ", ") -> Any:
    if isinstance(values, Undefined) or not isinstance(values, list | tuple):
        return values
    return _joined(values, str(separator))


def _date(value: Any) -> Any:
    """A calendar date in words; what is none stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return date_in_words(value)
    except WedsyncError:
        return value


_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\s\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]+", re.IGNORECASE)


def _link(value: Any) -> str:
    """An address that may stand in a link (http, https, mailto, tel), else nothing."""
    text = str(value).strip() if isinstance(value, str) else ""
    return text if _LINK.fullmatch(text) else ""


def _round(value: Any, digits: int = 0) -> Any:
    if isinstance(value, Undefined) or not isinstance(value, int | float):
        return value
    return round(float(value), max(0, min(int(digits), 12)))


def _money(value: Any, digits: int = 2) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return f"{value:,.{max(0, min(int(digits), 6))}f}"


_KEPT_FILTERS = (
    "abs", "capitalize", "d", "default", "first", "float", "int", "last", "length", "count", "lower",
    "striptags", "title", "trim", "truncate", "upper",
)  # fmt: skip
_PUBLIC_FILTERS: dict[str, Callable[..., Any]] = {
    "join": _join,
    "date": _date,
    "link": _link,
    "round": _round,
    "money": _money,
}
_OWN_FILTERS: dict[str, Callable[..., Any]] = {**_PUBLIC_FILTERS, "_counted": _counted, "_concat": _concat}
_ALLOWED_FILTERS = frozenset((*_KEPT_FILTERS, *_PUBLIC_FILTERS))
