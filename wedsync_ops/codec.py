"""JSON in and out: the one place that knows its limits, its canonical form and its digest."""

import hashlib
import json
import math
import re
from typing import Any

import orjson

from wedsync_ops.errors import InvalidJson, quoted

MAX_BYTES = 1024 * 1024
"""The most that one document may measure, in bytes."""
MAX_DEPTH = 64
"""The deepest nesting of objects and lists."""
_LARGEST = 2**63 - 1
_LONG_DIGITS = re.compile(rb"[0-9]{19}")


def loads(text: str | bytes, what: str = "the document") -> Any:
    """Read one JSON document within the limits: 1 MiB, 64 levels, 64-bit integers, no NUL, NaN or lone surrogates.

    ``what`` names the document in the one-line error. Raises InvalidJson.
    """
    raw = _encode(text, what)
    if len(raw) > MAX_BYTES:
        raise InvalidJson(f"{what} measures {len(raw):,} bytes", hint=f"at most {MAX_BYTES:,} are accepted")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"{what} is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidJson(f"{what} is nested more than {MAX_DEPTH} levels deep") from error
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH or b"\\u0000" in raw:
        check(value, what)
    if _LONG_DIGITS.search(raw):
        _check_integers(raw, what)
    return value


def load_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Like ``loads``, for a document that must be an object. Raises InvalidJson."""
    value = loads(text, what)
    if not isinstance(value, dict):
        raise InvalidJson(f"{what} must be a JSON object, not {kind_of(value)}")
    return value


def given_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Like ``load_object``, for what people hand in: a key that stands twice in an object is refused, too.

    RFC 8259, section 4, leaves open what such an object means; here the first value would be lost without a word.
    """
    raw = _encode(text, what)
    value = load_object(raw, what)
    # Every key has one colon outside of strings. When as many are written again none was lost; only then is it read
    # slowly. An escaped colon would upset the count.
    if raw.count(b":") != orjson.dumps(value).count(b":") or b"\\u003" in raw:
        json.loads(raw, object_pairs_hook=lambda pairs: _once_each(pairs, what), parse_int=str)
    return value


def dumps(value: Any, *, indent: bool = False) -> bytes:
    """Write JSON in insertion order. Raises InvalidJson for what JSON cannot hold."""
    return _dump(value, orjson.OPT_INDENT_2 if indent else 0)


def canonical(value: Any) -> bytes:
    """Write JSON with sorted keys and no spaces, so that equal values give equal bytes."""
    return _dump(value, orjson.OPT_SORT_KEYS)


def digest(value: Any) -> str:
    """A short, stable fingerprint of a value: 128 bits of BLAKE2b over its canonical form, in hex."""
    return hashlib.blake2b(canonical(value), digest_size=16).hexdigest()


def check(value: Any, what: str) -> None:
    """Raise InvalidJson unless a value is JSON within the limits (used for values that code built, not text)."""
    _check(value, what, MAX_DEPTH)


def dumps_checked(value: Any, what: str) -> bytes:
    """Check a value that code built and write it, at most 1 MiB. Raises InvalidJson."""
    check(value, what)
    raw = dumps(value)
    if len(raw) > MAX_BYTES:
        raise InvalidJson(f"{what} measures {len(raw):,} bytes", hint=f"at most {MAX_BYTES:,} are accepted")
    return raw


def kind_of(value: Any) -> str:
    """JSON's word for the kind of a value, for error messages."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _once_each(pairs: list[tuple[str, Any]], what: str) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidJson(f"{what} has the key {quoted(key)} twice", hint="leave one of the two")
        seen.add(key)


def _encode(text: str | bytes, what: str) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidJson(f"{what} holds a lone surrogate at character {error.start}") from error


def _dump(value: Any, option: int) -> bytes:
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError as error:
        raise InvalidJson(f"the value cannot be written as JSON: {error}") from error


def _check(value: Any, what: str, levels: int) -> None:
    if isinstance(value, str):
        _check_text(value, what)
    elif isinstance(value, dict):
        _check_level(what, levels)
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidJson(f"{what} has a key that is no string: {quoted(key)}")
            _check_text(key, what)
            _check(item, what, levels - 1)
    elif isinstance(value, list | tuple):
        _check_level(what, levels)
        for item in value:
            _check(item, what, levels - 1)
    else:
        _check_scalar(value, what)


def _check_level(what: str, levels: int) -> None:
    if levels == 0:
        raise InvalidJson(f"{what} is nested more than {MAX_DEPTH} levels deep")


def _check_text(text: str, what: str) -> None:
    if "\x00" in text:
        raise InvalidJson(f"{what} holds a NUL character")
    if not text.isascii():
        _encode(text, what)


def _check_scalar(value: Any, what: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not -_LARGEST - 1 <= value <= _LARGEST:
            raise InvalidJson(f"{what} holds an integer beyond 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidJson(f"{what} holds {value}, which JSON has no word for")
    else:
        raise InvalidJson(f"{what} holds a {type(value).__name__}, which is not JSON")


def _check_integers(raw: bytes, what: str) -> None:
    """Orjson turns an integer beyond 64 bits into a float without a word; the standard parser shows it."""

    def read(digits: str) -> int:
        number = int(digits) if len(digits) < 40 else _LARGEST + 1
        _check_scalar(number, what)
        return number

    json.loads(raw, parse_int=read)
