"""E-mail addresses and header texts: checked, so that no header can be made to hold another."""

import re
import unicodedata
from functools import lru_cache

from wedsync_ops.errors import quoted

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?=[^@]{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_NAMED = re.compile(r"\s*(?:\"?(?P<name>[^<>\"]*?)\"?\s*)<(?P<address>[^<>\s]+)>\s*")
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_LONGEST_LOCAL = 64


def address_fault(value: object) -> str | None:
    """What is wrong with an e-mail address, ``None`` when it is a single plain one."""
    if not isinstance(value, str):
        return "is not text"
    return _fault(value)


def ascii_address(value: str) -> str:
    """The address as it is sent: trimmed, an international domain in its ASCII form. It must be free of faults."""
    address = value.strip()
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode('ascii')}"


@lru_cache(maxsize=64)
def named_address(value: str) -> tuple[str, str]:
    """The display name and the address of ``Name <address>`` or of a bare address. Raises ValueError for others."""
    match = _NAMED.fullmatch(value)
    name, address = (match["name"], match["address"]) if match else ("", value.strip())
    if _fault(address) is not None:
        raise ValueError(f"{quoted(value, 80)} is not an e-mail address")
    return one_line(name), ascii_address(address)


def one_line(text: str, longest: int = 400) -> str:
    """Text for a header: what controls, reorders or hides text removed, white space collapsed, cut."""
    line = text if text.isascii() and text.isprintable() else _UNSAFE.sub(" ", text)
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


@lru_cache(maxsize=16_384)
def _fault(value: str) -> str | None:
    address = value.strip(" ")
    if _ADDRESS.fullmatch(address):
        return None if address.index("@") <= _LONGEST_LOCAL else "is too long"
    if "\r" in address or "\n" in address:
        return "holds a line break"
    if address.count("@") > 1 or "," in address or ";" in address:
        return "must be one single address"
    if address.isascii():
        return f"{quoted(address, 80)} is not an e-mail address"
    return _international_fault(address)


def _international_fault(address: str) -> str | None:
    wrong = f"{quoted(address, 80)} is not an e-mail address"
    local, _, domain = address.rpartition("@")
    if not local.isascii() or any(unicodedata.category(sign) in {"Cc", "Cf", "Zs"} for sign in domain):
        return wrong
    try:
        plain = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return wrong
    return None if _ADDRESS.fullmatch(plain) else wrong
