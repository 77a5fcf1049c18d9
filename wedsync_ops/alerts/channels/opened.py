"""From what is configured to channels that can send: secrets are read here, and all that are missing are named."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from wedsync_ops.alerts.channels.contract import Sender
from wedsync_ops.alerts.channels.lines import Console, Json
from wedsync_ops.alerts.channels.mail import Mail
from wedsync_ops.alerts.channels.others import Apprise
from wedsync_ops.alerts.channels.pagerduty import Pagerduty
from wedsync_ops.alerts.channels.slack import Slack
from wedsync_ops.alerts.channels.webhook import Webhook
from wedsync_ops.alerts.notify_model import Channel, Plan, Secret
from wedsync_ops.clock import Clock
from wedsync_ops.errors import SettingError, WedsyncError
from wedsync_ops.handlers import smtp
from wedsync_ops.handlers.addresses import named_address
from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.events import signing_key
from wedsync_ops.settings import variable

_SHORTEST_SECRET = 16
_LONGEST_FILE = 64 * 1024


def senders(plan: Plan, site: Site, clock: Clock) -> dict[str, Sender]:
    """Every channel by name. Raises SettingError that names all that is wrong."""
    made: dict[str, Sender] = {}
    wrong = []
    for channel in plan.channels:
        try:
            made[channel.name] = sender(channel, plan, site, clock)
        except WedsyncError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingError("; ".join(wrong), details=wrong)
    return made


def sender(channel: Channel, plan: Plan, site: Site, clock: Clock) -> Sender:
    """One channel, ready to send. Raises SettingError for a secret that is missing or none."""
    return _MAKERS[channel.kind](channel, plan, site, clock)


def revealed(secret: Secret | None, whose: str) -> str:
    """What a secret's place holds, without the white space around it. Raises SettingError, which names the place."""
    if secret is None:
        raise SettingError(f"{whose} is missing")
    if secret.plain is not None:
        return secret.plain
    if secret.env is not None:
        found = (variable(secret.env) or "").strip()
        if not found:
            raise SettingError(f"{whose} is to be in the environment as {secret.env}, which is not set")
        return found
    return _from_file(Path(secret.file or ""), whose)


def address(secret: Secret | None, whose: str) -> str:
    """An http address, wherever it is found. Raises SettingError, without the address."""
    found = revealed(secret, whose)
    try:
        parts = urlsplit(found)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise SettingError(f"{whose} must be such as https://host/path")
    return found


def _from_file(file: Path, whose: str) -> str:
    try:
        with file.open("rb") as stream:
            found = stream.read(_LONGEST_FILE).decode().strip()
    except OSError as error:
        raise SettingError(f"{whose} is to be in the file {file}, which cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{whose} is to be in the file {file}, which is no text") from error
    if not found:
        raise SettingError(f"{whose} is to be in the file {file}, which is empty")
    return found


def _console(_channel: Channel, _plan: Plan, _site: Site, _clock: Clock) -> Sender:
    return Console()


def _json(channel: Channel, _plan: Plan, _site: Site, _clock: Clock) -> Sender:
    return Json(channel.file)


def _webhook(channel: Channel, _plan: Plan, _site: Site, clock: Clock) -> Sender:
    secret = revealed(channel.secret, f"the secret of the channel {channel.name!r}")
    try:
        is_short = len(signing_key(secret)) < _SHORTEST_SECRET
    except ValueError as error:
        raise SettingError(f"the secret of the channel {channel.name!r} is no base64 after whsec_") from error
    if is_short:
        raise SettingError(
            f"the secret of the channel {channel.name!r} must have {_SHORTEST_SECRET} characters or more"
        )
    return Webhook(_url(channel), secret, channel.timeout_s, clock)


def _smtp(channel: Channel, _plan: Plan, site: Site, _clock: Clock) -> Sender:
    whose = f"the server of the channel {channel.name!r}"
    url = site.smtp_url if channel.url is None else revealed(channel.url, whose)
    if url is None:
        raise SettingError(f"{whose} is missing", hint="give it as server, or set smtp_url")
    try:
        smtp.server_at(url)
    except smtp.DeliveryFailed as error:
        raise SettingError(f"{whose} must be smtp://host or smtps://host") from error
    sender = channel.sender or named_address(site.mail_from)[1]
    return Mail(url, sender, channel.to, site, channel.timeout_s)


def _slack(channel: Channel, plan: Plan, _site: Site, _clock: Clock) -> Sender:
    return Slack(_url(channel), plan.zone, channel.timeout_s)


def _pagerduty(channel: Channel, _plan: Plan, site: Site, _clock: Clock) -> Sender:
    key = revealed(channel.secret, f"the routing_key of the channel {channel.name!r}")
    return Pagerduty(_url(channel), key, urlsplit(site.public_url).hostname or "wedsync-ops", channel.timeout_s)


def _apprise(channel: Channel, plan: Plan, _site: Site, _clock: Clock) -> Sender:
    return Apprise(channel.name, revealed(channel.url, f"the URL of the channel {channel.name!r}"), plan.zone)


def _url(channel: Channel) -> str:
    return address(channel.url, f"the URL of the channel {channel.name!r}")


_MAKERS: Mapping[str, Callable[[Channel, Plan, Site, Clock], Sender]] = {
    "console": _console,
    "json": _json,
    "webhook": _webhook,
    "smtp": _smtp,
    "slack": _slack,
    "pagerduty": _pagerduty,
    "apprise": _apprise,
}
