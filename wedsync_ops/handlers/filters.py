"""The filters and tests of templates. Whatever reads a text, a list or a loop pays for it from the rendering's budget.

Text filters take single values: a list would be written out whole, and one that holds itself twice, twenty times over,
is small to hold and endless to write. Numbers stay within 64 bits.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import unescape
from typing import Any, cast

from jinja2 import filters as stock
from jinja2 import pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.tests import TESTS as _TESTS_OF_JINJA

from wedsync_ops.errors import WedsyncError
from wedsync_ops.handlers.budget import BUDGET, MAX_NUMBER, MAX_OUTPUT, Budget
from wedsync_ops.handlers.fields import date_in_words
from wedsync_ops.handlers.polite import words_for

_LONGEST_NUMBER = 100
_LONGEST_DATE = 64
_SCALARS = (str, int, float, Undefined, type(None))
_LINK = re.compile(r"(?ai:https?://|mailto:|tel:)[^\s\x00-\x1f\x7f\u061c\u202a-\u202e\u2066-\u2069]+")


def finalizer(show: Callable[[str], str] | None) -> Callable[[Any], Any]:
    """What turns a value into what is put out; ``show`` has the last word over the text."""

    def finalize(value: Any) -> Any:
        if isinstance(value, str | Undefined):
            pass
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, list | tuple):
            value = _joined(value, ", ")
        elif value is None or isinstance(value, Mapping):
            value = words_for("")
        elif isinstance(value, float) and math.isfinite(value) and value.is_integer():
            value = int(value)
        if show is None:
            return value
        return show(str(value))

    return finalize


def bounded_number(value: Any) -> Any:
    """A result of arithmetic. Raises SecurityError for one beyond 64 bits, and for a float that is not finite."""
    if isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise SecurityError("a number grows beyond 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise SecurityError("a number grows beyond what can be calculated")
    return value


def bounded_size(size: int) -> None:
    """Let a text of so many characters be made. Raises SecurityError when it is too long."""
    if size > MAX_OUTPUT:
        raise SecurityError(f"it makes more than {MAX_OUTPUT:,} characters")


def budget_of(context: Context) -> Budget:
    """What is left to the rendering that a context belongs to."""
    return cast("Budget", context.resolve(BUDGET))


@pass_context
def _counted(context: Context, values: Any, steps: int) -> Iterator[Any]:
    """The rounds of a loop whose body has so many parts."""
    if isinstance(values, LoopContext) or not isinstance(values, Iterable):
        raise SecurityError("a loop needs a list")
    budget = budget_of(context)
    for value in values:
        budget.begin_round(steps)
        yield value


@pass_context
def _charged(context: Context, value: Any) -> Any:
    """A part of a list or a text, which is a copy."""
    if isinstance(value, str | list | tuple):
        budget_of(context).spend(len(value))
    return value


@pass_context
def _comparable(context: Context, value: Any) -> Any:
    """One side of a comparison: a single value, or a list or an object of single values."""
    if isinstance(value, str):
        budget_of(context).spend(len(value))
    elif isinstance(value, list | tuple | Mapping):
        _spend_on_items(budget_of(context), value)
    return value


def _key(value: Any) -> Any:
    if not isinstance(value, _SCALARS):
        raise SecurityError("the name of a field must be a text or a number")
    return value


def _spend_on_items(budget: Budget, values: Any) -> None:
    budget.spend(len(values))
    for value in values.values() if isinstance(values, Mapping) else values:
        if isinstance(value, str):
            budget.spend(len(value))
        elif not isinstance(value, _SCALARS):
            raise SecurityError("what holds lists or objects cannot be compared")


@pass_context
def _concat(context: Context, values: list[Any]) -> str:
    text = _joined(values, "")
    budget_of(context).spend(len(text))
    return text


@pass_context
def _join(context: Context, values: Any, separator: Any = ", ") -> Any:
    if not isinstance(values, list | tuple):
        return values
    budget = budget_of(context)
    budget.spend(len(values))
    text = _joined(values, _plain(separator))
    budget.spend(len(text))
    return text


def _joined(values: Iterable[Any], separator: str) -> str:
    parts: list[str] = []
    size = 0
    for value in values:
        part = _plain(value)
        size += len(part) + len(separator)
        bounded_size(size)
        parts.append(part)
    return separator.join(parts)


def _plain(value: Any) -> str:
    """A single value as text; polite words for everything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float | Undefined) else words_for("")


def _on_text(change: Callable[..., str]) -> Callable[..., str]:
    """A filter that changes a text, from a function that does."""

    @pass_context
    def changed(context: Context, value: Any, *args: Any, **options: Any) -> str:
        text = _plain(value)
        budget_of(context).spend(len(text))
        return change(text, *args, **options)

    return changed


def _without_tags(text: str) -> str:
    """The text of a piece of HTML, in one line: comments and tags away, entities resolved."""
    return unescape(" ".join(_without(_without(text, "<!--", "-->"), "<", ">").split()))


def _without(text: str, opening: str, closing: str) -> str:
    kept: list[str] = []
    place = 0
    while (start := text.find(opening, place)) >= 0 and (end := text.find(closing, start)) >= 0:
        kept.append(text[place:start])
        place = end + len(closing)
    return "".join((*kept, text[place:]))


def _trimmed(text: str, signs: str | None = None) -> str:
    return text.strip(signs if signs is None else _plain(signs)[:_LONGEST_NUMBER])


def _truncated(text: str, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:  # noqa: FBT001, FBT002 - jinja2's signature
    ending = _plain(end)[:_LONGEST_NUMBER]
    longest = max(int(length), len(ending))
    if len(text) <= longest + max(0, int(leeway)):
        return text
    cut = text[: longest - len(ending)]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + ending


def _date(value: Any) -> Any:
    """A calendar date in words; what is none stays as it is."""
    if not isinstance(value, str) or len(value) > _LONGEST_DATE:
        return value
    try:
        return date_in_words(value)
    except WedsyncError:
        return value


def _link(value: str) -> str:
    """An address that may stand in a link (http, https, mailto, tel), else nothing."""
    text = value.strip()
    return text if _LINK.fullmatch(text) else ""


@pass_context
def _linked(context: Context, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    budget_of(context).spend(len(value))
    return _link(value)


def _abs(value: Any) -> Any:
    if isinstance(value, Undefined):
        return value
    if not isinstance(value, int | float):
        raise SecurityError("the filter abs needs a number")
    return abs(value)


def _int(value: Any, default: Any = 0, base: Any = 10) -> Any:
    """The whole number that a value is or begins with, else ``default``."""
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        return default
    return bounded_number(stock.do_int(value, default, base))


def _float(value: Any, default: Any = 0.0) -> Any:
    """The number that a value is, else ``default``."""
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        return default
    return bounded_number(stock.do_float(value, default))


def _round(value: Any, digits: int = 0) -> Any:
    if isinstance(value, Undefined) or not isinstance(value, int | float):
        return value
    return bounded_number(round(float(value), max(0, min(int(digits), 12))))


def _money(value: Any, digits: int = 2) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return f"{value:,.{max(0, min(int(digits), 6))}f}"


def _of_number(test: Callable[..., bool]) -> Callable[..., bool]:
    def checked(value: Any, *args: Any) -> bool:
        if not all(isinstance(each, int | float | Undefined) for each in (value, *args)):
            raise SecurityError("a test of a number needs numbers")
        return test(value, *args)

    return checked


def _of_two(test: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    @pass_context
    def checked(context: Context, value: Any, other: Any) -> bool:
        return test(_comparable(context, value), _comparable(context, other))

    return checked


_ALLOWED: dict[str, Callable[..., Any]] = {
    "abs": _abs,
    "capitalize": _on_text(stock.do_capitalize),
    "count": len,
    "d": stock.do_default,
    "date": _date,
    "default": stock.do_default,
    "first": stock.FILTERS["first"],
    "float": _float,
    "int": _int,
    "join": _join,
    "last": stock.FILTERS["last"],
    "length": len,
    "link": _linked,
    "lower": _on_text(stock.do_lower),
    "money": _money,
    "round": _round,
    "striptags": _on_text(_without_tags),
    "title": _on_text(stock.do_title),
    "trim": _on_text(_trimmed),
    "truncate": _on_text(_truncated),
    "upper": _on_text(stock.do_upper),
}
_STOCK_TESTS: Mapping[str, Callable[..., Any]] = cast("Any", _TESTS_OF_JINJA)
_PLAIN_TESTS = (
    "boolean", "defined", "false", "float", "integer", "iterable", "mapping", "none", "number", "sequence", "string",
    "true", "undefined",
)  # fmt: skip
_TESTS_OF_NUMBERS = ("divisibleby", "even", "odd")
_TESTS_OF_TWO = (
    "!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "in", "le", "lessthan", "lt", "ne",
)  # fmt: skip

ALLOWED_FILTERS = frozenset(_ALLOWED)
"""The filters that templates may name."""
FILTERS = _ALLOWED | {
    "_counted": _counted, "_charged": _charged, "_comparable": _comparable, "_concat": _concat, "_key": _key,
}  # fmt: skip
"""Every filter: those that templates may name, and those that the sandbox puts into them."""
TESTS: dict[str, Callable[..., Any]] = {
    **{name: _STOCK_TESTS[name] for name in _PLAIN_TESTS},
    **{name: _of_number(_STOCK_TESTS[name]) for name in _TESTS_OF_NUMBERS},
    **{name: _of_two(_STOCK_TESTS[name]) for name in _TESTS_OF_TWO},
}
"""The tests that templates may name, such as ``is defined``."""
