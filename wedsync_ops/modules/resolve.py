"""Handler names and the callables behind them: ``package.module:function`` or an entry point."""

import importlib
import importlib.metadata
import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, cast

from wedsync_ops.errors import InvalidInput, shortened

GROUP = "wedsync_ops.handlers"
"""The group of entry points that other packages offer handlers in."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class Handler(Protocol):
    """What does a module type's work; ``handlers/contract.py`` says what it is given."""

    def __call__(self, config: Mapping[str, Any], context: Mapping[str, Any], run: Any, /) -> Mapping[str, Any]:
        """Do the work once and return the job's ``result_data``."""
        ...


@cache
def resolve(name: str) -> Handler:
    """The callable that a handler name stands for; imported once, then remembered.

    Raises InvalidInput, in one line, when there is none, when importing it fails, or when it cannot be called with
    (config, context, run).
    """
    target = name if ":" in name else _entry_point(name)
    if not _DOTTED.fullmatch(target):
        raise InvalidInput(f"the handler {name!r} is no name", hint="write package.module:function, or an entry point")
    module_name, _, attribute = target.partition(":")
    found = _imported(name, module_name)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise InvalidInput(f"the handler {name!r} does not exist: {module_name} has no {attribute!r}") from error
    if not callable(found):
        raise InvalidInput(f"the handler {name!r} is not callable: it is {type(found).__name__!r}")
    _check_signature(name, found)
    return cast("Handler", found)


def _entry_point(name: str) -> str:
    offers = {point.value for point in importlib.metadata.entry_points(group=GROUP, name=name)}
    if not offers:
        raise InvalidInput(
            f"the handler {name!r} does not exist: no installed package offers it in the group {GROUP}",
            hint="write package.module:function, or install the package",
        )
    if len(offers) > 1:
        raise InvalidInput(f"the handler {name!r} is offered more than once: {', '.join(sorted(offers))}")
    return offers.pop().partition("[")[0].strip()


def _imported(name: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        raise InvalidInput(f"the handler {name!r} does not exist: there is no Python module {missing!r}") from error
    except (Exception, SystemExit) as error:  # importing runs another party's code, which may raise anything
        reason = shortened(" ".join(f"{type(error).__name__}: {error}".split()), 200)
        raise InvalidInput(f"the handler {name!r} cannot be imported: {reason}") from error


def _check_signature(name: str, found: Any) -> None:
    try:
        signature = inspect.signature(found)
    except (ValueError, TypeError):  # some callables written in C have none to look at
        return
    try:
        signature.bind({}, {}, None)
    except TypeError as error:
        raise InvalidInput(f"the handler {name!r} cannot be called with (config, context, run): {error}") from error
