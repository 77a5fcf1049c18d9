"""Message headers written quickly: encoded once as RFC 5322 and RFC 2047 want them, then never parsed on the way out.

The standard policy parses every header when it is set and again when it is written, which costs more than the whole
delivery. Headers read back from a message are parsed as usual.
"""

import base64
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any

from wedsync_ops.handlers.addresses import one_line

_WIDTH = 76
_WORD_BYTES = 42


class Prepared(EmailPolicy):
    """A policy for messages whose headers are encoded already, by the functions beside it. Lines end in CRLF."""

    def header_store_parse(self, name: str, value: str) -> tuple[str, str]:
        """Keep the value as it is. Raises ValueError when it would begin another header or is not ASCII."""
        if not value.isascii() or "\r" in value.replace("\r\n ", "") or "\n" in value.replace("\r\n ", ""):
            raise ValueError(f"the header {name} is not prepared")
        return name, value

    def fold(self, name: str, value: str) -> str:
        """The header as it is written."""
        return f"{name}: {value}\r\n"

    def fold_binary(self, name: str, value: str) -> bytes:
        """The header as it is written, in bytes."""
        return f"{name}: {value}\r\n".encode("ascii")

    def header_max_count(self, name: str) -> int | None:  # noqa: ARG002 - the policy's own signature
        """No count is kept: the messages are made here, and the standard count parses the name."""
        return None


PREPARED = Prepared(linesep="\r\n")


class PreparedMessage(EmailMessage):
    """A message, or a part of one, made of prepared headers and ASCII text; written without another look at it."""

    def __init__(self) -> None:
        super().__init__(PREPARED)
        self._boundary = self._text = ""
        self._parts: Sequence[PreparedMessage] = ()

    def hold(self, kind: str, boundary: str, parts: Sequence["PreparedMessage"]) -> None:
        """Make it a multipart of this kind with these parts."""
        self["Content-Type"] = f'multipart/{kind}; boundary="{boundary}"'
        self.set_payload(list(parts))
        self._boundary, self._parts = boundary, parts

    def write(self, text: str) -> None:
        """Make it a part with this text, which is ASCII and encoded as its headers say."""
        self.set_payload(text)
        self._text = text

    def as_bytes(self, unixfrom: bool = False, policy: Any = None) -> bytes:  # noqa: FBT001, FBT002 - inherited
        """The message as RFC 5322 has it. Another ``policy`` than its own is left to the standard generator."""
        if policy is not None or unixfrom:
            return super().as_bytes(unixfrom, policy)
        return "".join(self._pieces()).replace("\r\n", "\n").replace("\n", "\r\n").encode("ascii")

    def _pieces(self) -> Iterator[str]:
        for name, value in self.raw_items():
            yield f"{name}: {value}\n"
        yield "\n"
        if not self._boundary:
            yield self._text
            return
        for part in self._parts:
            yield f"--{self._boundary}\n"
            yield from part._pieces()  # noqa: SLF001 - of its own class  # noqa: SLF001 - another of this class
            yield "\n"
        yield f"--{self._boundary}--\n"


def unstructured(text: str, name: str) -> str:
    """Text for a header such as Subject, encoded where needed and folded; ``name`` is the header's."""
    line = one_line(text)
    if line.isascii() and "=?" not in line:
        return _folded(line.split(" "), len(name) + 2)
    return _folded(_encoded_words(line), len(name) + 2)


def mailbox(name: str, address: str, header: str) -> str:
    """``name <address>`` for an address header; the name in quotes or encoded, left out when blank."""
    shown = one_line(name, 100)
    if not shown:
        return address
    if shown.isascii() and "=?" not in shown:
        escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
        words = [f'"{escaped}"']
    else:
        words = _encoded_words(shown)
    return _folded([*words, f"<{address}>"], len(header) + 2)


def _encoded_words(text: str) -> list[str]:
    words: list[str] = []
    chunk = b""
    for sign in text:
        raw = sign.encode("utf-8", "replace")
        if len(chunk) + len(raw) > _WORD_BYTES:
            words.append(_word(chunk))
            chunk = b""
        chunk += raw
    words.append(_word(chunk))
    return words


def _word(chunk: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(chunk).decode('ascii')}?="


def _folded(words: list[str], used: int) -> str:
    lines: list[str] = []
    line = ""
    for word in words:
        if line and used + len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line, used = word, 1
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return "\r\n ".join(lines)
