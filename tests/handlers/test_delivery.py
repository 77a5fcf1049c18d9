"""Delivery into the outbox: once per key, whole or not at all; and over SMTP when the connection breaks."""

import asyncio
import email
import multiprocessing
import os
import resource
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.handlers.test_email import STRICT, Server, attempt, mails, serving, site_in
from wedsync_ops.handlers import delivery, smtp
from wedsync_ops.handlers.addresses import address_fault, one_line
from wedsync_ops.handlers.contract import Mail, Page, Receipt, Site
from wedsync_ops.handlers.headers import PreparedMessage, mailbox, unstructured
from wedsync_ops.jobs.model import Result


def put(site: Site, key: str = "k", html: str = "<p>x</p>") -> tuple[Receipt, int]:
    return delivery.deliver(Page("page-1", html), site=site, idempotency_key=key, now=0, timeout_s=5)


def test_a_key_is_delivered_once_and_kinds_are_apart(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    first, sent = put(site)
    again, nothing = put(site, html="<p>other</p>")
    assert (first.repeated, again.repeated, sent, nothing) == (False, True, 8, 0)
    assert Path(first.reference).read_text() == "<p>x</p>"
    message = EmailMessage()
    message["To"] = "a@example.org"
    message.set_content("hi")
    assert not delivery.deliver(Mail(message), site=site, idempotency_key="k", now=0, timeout_s=5)[0].repeated
    assert len(list(site.outbox.iterdir())) == 2


@pytest.mark.parametrize("key", ["../../x", "a/b", ".hidden", "x" * 5000, "ключ", "a\nb", "", "A b?c*d"])
def test_every_key_makes_a_safe_name_and_a_safe_header(tmp_path: Path, key: str) -> None:
    site = site_in(tmp_path)
    assert attempt(site, {"template_id": "thank-you"}, key=key)[0] is Result.OK
    [file] = site.outbox.iterdir()
    assert file.name.startswith("mail-")
    [mail] = mails(site)
    assert mail["Idempotency-Key"]
    assert "\n" not in mail["Idempotency-Key"]


def test_names_of_different_keys_differ() -> None:
    assert delivery.file_name("a b", "mail", "eml") != delivery.file_name("a-b", "mail", "eml")


@pytest.mark.parametrize("nameless", [True, False])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool) -> None:
    if not nameless:
        without_nameless_files(monkeypatch)
    site = site_in(tmp_path)
    put(site, "first")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            put(site, "second", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert len(list(site.outbox.iterdir())) == 1
    assert not put(site, "second", "x" * 5000)[0].repeated


def test_without_nameless_files_nothing_else_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_nameless_files(monkeypatch)
    site = site_in(tmp_path)
    assert [put(site)[0].repeated for _ in range(2)] == [False, True]
    assert len(list(site.outbox.iterdir())) == 1


def without_nameless_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the flag one that a file system refuses, as NFS does with O_TMPFILE."""
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_WRONLY)


def test_an_outbox_that_cannot_be_made_is_an_error_that_is_retried(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file")
    result, _, permanent = attempt(site_in(tmp_path), {"template_id": "thank-you"})
    assert (result, permanent) == (Result.ERROR, False)


def race(site: Site, counts: Any) -> None:
    counts.put(sum(not put(site, str(number))[0].repeated for number in range(50)))


def test_two_processes_deliver_each_key_once(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    spawn = multiprocessing.get_context("spawn")
    counts = spawn.Queue()
    children = [spawn.Process(target=race, args=(site, counts)) for _ in range(2)]
    for child in children:
        child.start()
    made = sum(counts.get(timeout=60) for _ in children)
    for child in children:
        child.join(60)
    assert made == 50 == len(list(site.outbox.iterdir()))


def test_another_partys_message_is_written_whole_and_its_hidden_copies_stay_hidden(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = "Ann <a@b.example>", "c@d.example", "secret@d.example"
    message["Subject"] = "Grüße " * 30
    message.set_content("Grüße\n.\nFrom here\n")
    site = site_in(tmp_path)
    delivery.deliver(Mail(message), site=site, idempotency_key="k", now=1_700_000_000_000_000, timeout_s=5)
    [file] = site.outbox.iterdir()
    raw = file.read_bytes()
    assert b"secret" not in raw
    assert b"\n" not in raw.replace(b"\r\n", b"")
    mail = email.message_from_bytes(raw, policy=STRICT)
    assert mail["Date"].datetime.year == 2023
    assert mail["Subject"].split() == ["Grüße"] * 30


def test_attachments_come_from_their_folder_only(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "größe.pdf").write_bytes(bytes(range(256)))
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    site = site_in(tmp_path, attachments_dir=folder)
    assert attempt(site, {"template_id": "thank-you", "attachments": ["größe.pdf"]})[0] is Result.OK
    [mail] = mails(site)
    [part] = mail.iter_attachments()
    assert isinstance(part, EmailMessage)
    assert (part.get_filename(), part.get_content()) == ("größe.pdf", bytes(range(256)))
    for name in ("link", "../secret", str(tmp_path / "secret"), "none", "."):
        result, _, permanent = attempt(site, {"template_id": "thank-you", "attachments": [name]}, key=name)
        assert (result, permanent) == (Result.ERROR, True)


@pytest.mark.parametrize(
    "address",
    ["", "a", "a@", "@b.c", "a@b@c.d", "a b@c.d", "a@b.c, d@e.f", "a@b.c\r\nBcc: x@y.z", "<a@b.c>", "a@-b.c", "ä@b.c",
     "a..b@c.d", "a@b..c", "x" * 65 + "@b.c", "a@b\u202e.c", 5, None, ["a@b.c"]],
)  # fmt: skip
def test_what_is_no_single_address_is_refused(address: object) -> None:
    assert address_fault(address)


@pytest.mark.parametrize("address", ["a@b.c", "a.b+c@sub.example.org", "o'hara@example.org", "a@bücher.example"])
def test_addresses_are_taken(address: str) -> None:
    assert address_fault(address) is None


@pytest.mark.parametrize(
    "name", ['Zoë "Z" Tom', "a\\b", "x, y <z@q>", "=?utf-8?b?eA==?=", "日本" * 40, "e" * 90, "(c)"]
)
def test_headers_read_back_as_they_were(name: str) -> None:
    message = PreparedMessage()
    message["To"] = mailbox(name, "a@b.example", "To")
    message["Subject"] = unstructured(name, "Subject")
    message.write("x")
    raw = message.as_bytes()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    parsed = email.message_from_bytes(raw, policy=STRICT)
    assert parsed["Subject"] == name
    [address] = parsed["To"].addresses
    assert (address.display_name, address.addr_spec) == (one_line(name, 100), "a@b.example")


def test_a_header_that_begins_another_is_never_stored() -> None:
    message = PreparedMessage()
    for value in ("a\r\nBcc: x", "a\nb", "a\rb", "ä"):
        with pytest.raises(ValueError, match="not prepared"):
            message["Subject"] = value


class Dropping(Server):
    """A server that hangs up at the first mail, and counts the greetings."""

    def __init__(self) -> None:
        super().__init__()
        self.greeted = 0
        self.drop = True

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.greeted += 1
        session.host_name = hostname
        return responses

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.drop and isinstance(server.transport, asyncio.Transport):
            self.drop = False
            server.transport.abort()
        return await super().handle_DATA(server, session, envelope)


def test_a_dropped_connection_is_retried_and_a_kept_one_is_used_again(tmp_path: Path) -> None:
    handler = Dropping()
    with serving(handler) as url:
        site = site_in(tmp_path, smtp_url=url)
        result, error, permanent = attempt(site, {"template_id": "thank-you"})
        assert (result, permanent) == (Result.ERROR, False)
        assert "couple@example.org" not in (error or "")
        for number in range(3):
            assert attempt(site, {"template_id": "thank-you"}, key=str(number))[0] is Result.OK
        assert (len(handler.taken), handler.greeted) == (3, 2)


def test_a_message_refused_for_good_is_final(tmp_path: Path) -> None:
    handler = Server()
    handler.data = ["554 no spam", "250 OK"]
    with serving(handler) as url:
        site = site_in(tmp_path, smtp_url=url)
        assert attempt(site, {"template_id": "thank-you"})[2]
        assert attempt(site, {"template_id": "thank-you"})[0] is Result.OK


@pytest.mark.parametrize(
    ("url", "host", "port", "local"),
    [
        ("smtp://mail.example", "mail.example", 25, False),
        ("smtp://u:p%40@mail.example", "mail.example", 587, False),
        ("smtps://u:p@mail.example", "mail.example", 465, False),
        ("smtp://[::1]:2525", "::1", 2525, True),
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, True),
    ],
)
def test_a_server_is_read_from_its_url(url: str, host: str, port: int, local: bool) -> None:
    found = smtp.server_at(url)
    assert (found.host, found.port, found.is_local) == (host, port, local)
    assert found.password in (None, "p", "p@")


@pytest.mark.parametrize("url", ["smtp://u:sesame@host:x", "http://u:sesame@host", "smtp://", "smtp://[u:sesame"])
def test_a_wrong_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(smtp.DeliveryFailed) as caught:
        smtp.server_at(url)
    assert "sesame" not in str(caught.value)
