"""Mail over real SMTP servers: with TLS and logins, slow, refusing and dropping ones; the right outcome each time.

The address 127.1 is this machine, too, but the sender does not know it as such, and wants TLS as from any other.
"""

import asyncio
import email
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.handlers.mailing import STRICT, attempt, order, site_in
from wedsync_ops.handlers import smtp
from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt

CERTS = Path(__file__).with_name("certs")
THANKS = {"template_id": "thank-you"}
USER, PASSWORD = "studio", "open sesame"


class Taking:
    """Takes every mail, and remembers how it came."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.over_tls: list[bool] = []
        self.users: list[Any] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.taken.append(envelope.content)
        self.over_tls.append(session.ssl is not None)
        self.users.append(session.auth_data)
        return "250 OK"


class Slow(Taking):
    """Answers DATA only when the test is over."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.released = asyncio.Event()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.asked.set()
        await self.released.wait()
        return "451 too late"


class SlowAtEveryStep(Slow):
    """Takes its time over MAIL and RCPT, but not more than the sender gives one answer."""

    step_s = 0.6

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self.pause()
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self.pause()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.released.wait(), self.step_s)


class Dropping(SMTP):
    """Cuts the connection in the middle of the first so many mails."""

    cuts = 1

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if Dropping.cuts > 0:
            Dropping.cuts -= 1
            await self.push("354 go on")
            await self._reader.readline()
            transport: Any = self.transport
            transport.abort()
            return
        await super().smtp_DATA(arg)


def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False, auth_data=data.login if good else None)


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / "cert.pem", CERTS / "key.pem")
    return context


@contextmanager
def serving(handler: Any, factory: Callable[..., SMTP] = SMTP, **options: Any) -> Iterator[int]:
    """A server on a free port of this machine."""

    class Serving(Controller):
        def factory(self) -> SMTP:
            return factory(self.handler, **self.SMTP_kwargs)

        def _trigger_server(self) -> None:
            """The port is only known once it listens."""
            server: Any = self.server
            self.port = server.sockets[0].getsockname()[1]
            super()._trigger_server()  # type: ignore[no-untyped-call]

    controller = Serving(handler, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        smtp.close()
        controller.stop()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process trust the tests' certificate, as an operator would let it trust a company's own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTS / "cert.pem"))


def sent(folder: Path, url: str, key: str = "k") -> tuple[Result, str | None, bool]:
    return attempt(site_in(folder, smtp_url=url), THANKS, key=key)


def url_at(port: int, host: str = "127.1", scheme: str = "smtp", password: str | None = PASSWORD) -> str:
    user = "" if password is None else f"{USER}:{password.replace(' ', '%20')}@"
    return f"{scheme}://{user}{host}:{port}"


@pytest.mark.usefixtures("trusted")
class TestTls:
    def test_starttls_is_taken_before_the_login(self, tmp_path: Path) -> None:
        handler = Taking()
        with serving(handler, tls_context=tls(), authenticator=login, auth_required=True) as port:
            assert sent(tmp_path, url_at(port)) == (Result.OK, None, False)
        assert handler.over_tls == [True]
        assert handler.users == [USER.encode()]

    def test_starttls_is_taken_without_a_login_when_it_is_offered(self, tmp_path: Path) -> None:
        handler = Taking()
        with serving(handler, tls_context=tls(), require_starttls=True) as port:
            assert sent(tmp_path, url_at(port, password=None))[0] is Result.OK
        assert handler.over_tls == [True]

    def test_smtps_is_tls_from_the_first_byte(self, tmp_path: Path) -> None:
        handler = Taking()
        options: dict[str, Any] = {"authenticator": login, "auth_require_tls": False}
        with serving(handler, ssl_context=tls(), **options) as port:
            assert sent(tmp_path, url_at(port, "localhost", "smtps")) == (Result.OK, None, False)
        assert handler.users == [USER.encode()]

    def test_a_wrong_password_is_retried_and_not_told(self, tmp_path: Path) -> None:
        handler = Taking()
        with serving(handler, tls_context=tls(), authenticator=login, auth_required=True) as port:
            result, error, permanent = sent(tmp_path, url_at(port, password="shut-sesame"))
        assert (result, permanent) == (Result.ERROR, False)
        assert "refused the login (535)" in (error or "")
        assert "sesame" not in (error or "")
        assert handler.taken == []


class TestDistrust:
    @pytest.mark.parametrize("scheme", ["smtp", "smtps"])
    def test_an_unknown_certificate_stops_the_mail_and_the_password(self, tmp_path: Path, scheme: str) -> None:
        handler = Taking()
        logins: list[Any] = []

        def asked(*arguments: Any) -> AuthResult:
            logins.append(arguments)
            return AuthResult(success=True)

        options: dict[str, Any] = {"tls_context": tls()}
        if scheme == "smtps":
            options = {"ssl_context": tls(), "auth_require_tls": False}
        with serving(handler, authenticator=asked, **options) as port:
            result, error, permanent = sent(tmp_path, url_at(port, "127.1", scheme))
        assert (result, permanent) == (Result.ERROR, False)
        assert "TLS failed" in (error or "")
        assert (handler.taken, logins) == ([], [])

    def test_a_password_is_not_sent_in_the_clear(self, tmp_path: Path) -> None:
        handler = Taking()
        with serving(handler, authenticator=login, auth_require_tls=False) as port:
            result, error, permanent = sent(tmp_path, url_at(port))
        assert (result, permanent) == (Result.ERROR, False)
        assert "offers no TLS" in (error or "")
        assert handler.taken == []

    def test_a_server_on_this_machine_may_take_a_login_without_tls(self, tmp_path: Path) -> None:
        handler = Taking()
        with serving(handler, authenticator=login, auth_require_tls=False) as port:
            assert sent(tmp_path, url_at(port, "127.0.0.1"))[0] is Result.OK
        assert handler.over_tls == [False]
        assert handler.users == [USER.encode()]


def brief(site: Site, timeout_s: float) -> tuple[Result, str | None, bool]:
    """An attempt that has only so many seconds."""
    wanted = order(THANKS)._replace(timeout_s=timeout_s)
    verdict = Attempt(wanted, site, 1_700_000_000_000_000, lambda _: None).perform()
    return verdict.result, verdict.error, verdict.permanent


class TestTrouble:
    def test_a_slow_server_is_waited_for_no_longer_than_the_attempt_has(self, tmp_path: Path) -> None:
        handler = Slow()
        with serving(handler) as port:
            result, error, permanent = brief(site_in(tmp_path, smtp_url=f"smtp://127.0.0.1:{port}"), 0.5)
            assert handler.asked.wait(10)
            handler.released.set()
        assert (result, permanent) == (Result.ERROR, False)
        assert "cannot be used" in (error or "")

    @pytest.mark.parametrize("kind", [Slow, SlowAtEveryStep])
    def test_what_is_left_of_the_time_suffices_to_tell(self, tmp_path: Path, kind: type[Slow]) -> None:
        handler = kind()
        with serving(handler) as port:
            started = time.monotonic()
            result, _, permanent = brief(site_in(tmp_path, smtp_url=f"smtp://127.0.0.1:{port}"), 1.5)
            took = time.monotonic() - started
            handler.released.set()
        assert (result, permanent) == (Result.ERROR, False)
        assert took < 1.5

    def test_a_connection_dropped_in_the_middle_is_retried_with_the_same_mail(self, tmp_path: Path) -> None:
        handler = Taking()
        Dropping.cuts = 1
        with serving(handler, Dropping) as port:
            url = f"smtp://127.0.0.1:{port}"
            assert sent(tmp_path, url)[::2] == (Result.ERROR, False)
            assert handler.taken == []
            assert sent(tmp_path, url)[0] is Result.OK
        assert len(handler.taken) == 1

    @pytest.mark.parametrize("answer", ["451 later", "421 closing", "452 full"])
    def test_4xx_then_2xx_sends_one_mail(self, tmp_path: Path, answer: str) -> None:
        handler = Taking()
        answers = [answer]

        async def refuse(server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
            if answers:
                return answers.pop()
            envelope.rcpt_tos.append(address)
            return "250 OK"

        handler.handle_RCPT = refuse  # type: ignore[attr-defined]
        with serving(handler) as port:
            url = f"smtp://127.0.0.1:{port}"
            assert sent(tmp_path, url)[::2] == (Result.ERROR, False)
            assert sent(tmp_path, url)[0] is Result.OK
        assert len(handler.taken) == 1

    @pytest.mark.parametrize(
        ("step", "answer", "permanent", "said"),
        [
            ("RCPT", "530 5.7.0 Authentication required", False, "wants a login"),
            ("RCPT", "530 Authentication required", False, "(530)"),
            ("RCPT", "535 5.7.8 credentials invalid", False, "(535)"),
            ("RCPT", "538 5.7.11 Encryption required", False, "(538)"),
            ("RCPT", "554 5.7.1 <a@b.c>: Relay access denied", False, "by policy (554 5.7.1)"),
            ("RCPT", "550 5.7.1 Unable to relay", False, "(550 5.7.1)"),
            ("RCPT", "550 5.1.1 no such user", True, "refused the recipient for good (550)"),
            ("RCPT", "550 no such user (not 5.7.1)", True, "refused the recipient for good (550)"),
            ("RCPT", "553 5.70.1 odd", True, "for good (553)"),
            ("DATA", "550 5.7.26 not authenticated", False, "the message was refused by policy (550 5.7.26)"),
            ("DATA", "554 5.6.0 bad content", True, "refused the message for good (554)"),
            ("MAIL", "552 5.3.4 Message too big", True, "the message as too large for good (552)"),
            ("MAIL", "530 5.7.0 Must issue STARTTLS first", False, "wants a login for the sender"),
            ("MAIL", "550 5.1.8 bad sender", False, "see the setting mail_from"),
            ("MAIL", "452 4.3.1 full", False, "the sender was refused for now (452)"),
        ],
    )
    def test_what_a_rule_or_a_login_refuses_is_tried_again(
        self, tmp_path: Path, step: str, answer: str, permanent: bool, said: str
    ) -> None:
        handler = Taking()

        async def refuse(*_: Any) -> str:
            return answer

        setattr(handler, f"handle_{step}", refuse)
        with serving(handler) as port:
            result, error, is_permanent = sent(tmp_path, f"smtp://127.0.0.1:{port}")
        assert (result, is_permanent) == (Result.ERROR, permanent)
        assert said in (error or "")
        assert handler.taken == []

    def test_what_arrives_twice_can_be_told_by_its_message_id(self, tmp_path: Path) -> None:
        handler = Taking()
        with serving(handler) as port:
            for key in ("one", "one", "other"):
                assert sent(tmp_path, f"smtp://127.0.0.1:{port}", key)[0] is Result.OK
        parsed = [email.message_from_bytes(raw, policy=STRICT) for raw in handler.taken]
        ids = [(mail["Message-ID"], mail["Idempotency-Key"]) for mail in parsed]
        assert ids[0] == ids[1]
        assert ids[0] != ids[2]
        assert not (tmp_path / "outbox").exists()
