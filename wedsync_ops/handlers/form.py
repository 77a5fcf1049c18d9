"""The form module: a signed link to a form for one couple, mailed to them, and reminders until they have answered."""

import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from wedsync_ops import codec
from wedsync_ops.errors import InvalidTime
from wedsync_ops.handlers import carrying, links
from wedsync_ops.handlers.checks import couple_address, recipient_fault
from wedsync_ops.handlers.contract import Mail, PermanentError, Run, Site, addressed_by, checked_by, ends_by
from wedsync_ops.handlers.fields import part
from wedsync_ops.instants import from_datetime, iso, local_midnight, parse_date, to_datetime, zone_named
from wedsync_ops.weddings.context import zone_from

LINK_DAYS = 90
"""Days that the link of a form without a deadline is valid."""
MOST_REMINDERS = 100
"""The most reminders of a form with a deadline."""
OPEN_END_REMINDERS = 5
"""The most reminders of a form without a deadline."""
FOLLOW_UP = "form-received"
"""The template of the mail that thanks for the answers."""
_MARK = "form_invitation"
_FREQUENCY_DAYS = 3
_ROOM = 512 * 1024  # bytes that the reminders of one form should take together
_MOST_BYTES = 1_000_000  # bytes that they may take when what a mail needs of the context is longer
_AROUND = 300  # bytes of a row around its config and its context: module type, key and times


class _Times(NamedTuple):
    """Instants that a form runs by: the end of its link, which is that of the deadline's day, and its reminders'."""

    expires_at: int
    reminders: tuple[int, ...]


def check(config: Mapping[str, Any], context: Mapping[str, Any], _site: Site) -> Iterator[str]:
    """What keeps this form from ever being sent, each in one line that begins with where it is."""
    fault = recipient_fault(context)
    if fault:
        yield fault
    deadline, redirect = config.get("deadline"), config.get("completion_redirect")
    if deadline is not None:
        try:
            parse_date(deadline)
        except InvalidTime as error:
            yield f"config.deadline: {error.message}"
    if redirect is not None:
        fault = links.web_address_fault(redirect)
        if fault:
            yield f"config.completion_redirect: {fault}"


def ends_at(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> int | None:
    """The end of the deadline's day where the couple is, from which on nobody can answer; ``None`` without a deadline.

    Raises InvalidTime for a deadline that is no date.
    """
    deadline = config.get("deadline")
    if deadline is None:
        return None
    return local_midnight(parse_date(deadline) + timedelta(days=1), zone_from(context, zone_named(site.timezone)))


@addressed_by(couple_address)
@ends_by(ends_at, "config.deadline")
@checked_by(check)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Mail the invitation with the signed link, and queue the reminders.

    Raises PermanentError when the deadline has passed, and when the platform has no secret to sign links with.
    """
    # What renders takes a tenth of a second to import, which queueing should not wait for.
    from wedsync_ops.handlers import compose, render

    if run.suppressed is not None:
        return {**_result(config, None, None), "suppressed": run.suppressed}
    times = _times(config, context, run)
    invitation_id = invitation_id_for(run.site, run.job_id)
    url = links.signed(run.site, f"/forms/{invitation_id}", _params(config), times.expires_at)
    own = {"form_url": url, **({"deadline": config["deadline"]} if config.get("deadline") else {})}
    values = render.values_for(context, run.site) | own
    letter = compose.to_couple(render.mail("form-invitation", values, run.site), config, context, values)
    mail = Mail(compose.message_from(letter, site=run.site, key=run.idempotency_key, now=run.now))
    reminders = _remind(config, context, run, invitation_id, own, times)  # first: what is refused leaves no mail behind
    receipt = run.deliver(mail)
    return {
        **_result(config, invitation_id, url),
        "reminder_scheduled": reminders > 0,
        "reminders": reminders,
        "expires_at": iso(times.expires_at),
        "message_id": receipt.delivery_id,
    }


def invitation_id_for(site: Site, job_id: int) -> str:
    """The id of the invitation that a form's job makes: the job's id, and 128 bits by which nobody can guess it.

    It is the same for every attempt. Raises PermanentError when there is no secret.
    """
    return f"form-{job_id}-{links.digest(site, 'form-invitation', str(job_id)).hex()}"


def job_of(site: Site, invitation_id: str) -> int | None:
    """The id of the job that made an invitation, ``None`` when the id was not made here."""
    _, _, rest = invitation_id.partition("-")
    number = rest.partition("-")[0]
    if not (site.link_secret and number.isascii() and number.isdigit() and len(number) < 20):
        return None
    expected = invitation_id_for(site, int(number))
    return int(number) if hmac.compare_digest(invitation_id.encode("utf-8", "replace"), expected.encode()) else None


def reminder_keys(invitation_id: str) -> list[str]:
    """The idempotency keys that an invitation's reminders can have."""
    return [f"{invitation_id}:reminder:{number}" for number in range(1, MOST_REMINDERS + 1)]


def follow_up_key(invitation_id: str) -> str:
    """The idempotency key of the mail that thanks for the answers."""
    return f"{invitation_id}:received"


def is_followed_up(context: Mapping[str, Any]) -> bool:
    """Whether the context of a reminder says that its form wants ``auto_follow_up``."""
    return part(context, _MARK).get("auto_follow_up") is True


def _times(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> _Times:
    zone = zone_from(context, zone_named(run.site.timezone))
    expires_at, most = ends_at(config, context, run.site), MOST_REMINDERS
    if expires_at is None:
        expires_at, most = _days_on(run.now, LINK_DAYS, zone), OPEN_END_REMINDERS
    if expires_at <= run.now:
        raise PermanentError(f"deadline: {config['deadline']} is over; nobody could fill in the form in time")
    reminders = []
    if config.get("reminder_enabled"):
        every = config.get("reminder_frequency", _FREQUENCY_DAYS)
        due = (_days_on(run.now, every * number, zone) for number in range(1, most + 1))
        reminders = [at for at in due if at < expires_at]
    return _Times(expires_at, tuple(reminders))


def _days_on(instant: int, days: int, zone: ZoneInfo) -> int:
    """The instant so many calendar days later at the same time of day in the zone."""
    local = to_datetime(instant, zone)
    naive = datetime.combine(local.date() + timedelta(days=days), local.time())
    return from_datetime(naive.replace(tzinfo=zone))


def _remind(
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    run: Run,
    invitation_id: str,
    own: Mapping[str, Any],
    times: _Times,
) -> int:
    """Queue the reminders; how many."""
    if not times.reminders:
        return 0
    mark = {_MARK: {"id": invitation_id, "auto_follow_up": bool(config.get("auto_follow_up"))}}
    # The time is decided here: what a supplier's e-mails usually wait for must not carry one past the link's end.
    at_once = {"send_time": "immediate", "send_delay": 0}
    reminder = {"template_id": "form-reminder", "personalization": dict(own), **at_once}
    around = len(codec.canonical([reminder, mark])) + _AROUND
    carried = carrying.within(context, _ROOM // len(times.reminders) - around) | mark
    fitting = times.reminders[: _MOST_BYTES // (len(codec.canonical(carried)) + around)]
    if len(fitting) < len(times.reminders):
        run.log(
            "the last reminders are left out: they would be too large", left_out=len(times.reminders) - len(fitting)
        )
    for key, at in zip(reminder_keys(invitation_id), fitting, strict=False):
        run.enqueue("email", reminder, context=carried, key=key, at=iso(at), expires=iso(times.expires_at))
    return len(fitting)


def _params(config: Mapping[str, Any]) -> dict[str, str]:
    redirect = config.get("completion_redirect")
    return {"form": config["form_id"], **({"redirect": redirect} if redirect else {})}


def _result(config: Mapping[str, Any], invitation_id: str | None, url: str | None) -> dict[str, Any]:
    return {
        "form_sent": invitation_id is not None,
        "form_invitation_id": invitation_id,
        "form_url": url,
        "deadline": config.get("deadline"),
        "reminder_scheduled": False,
    }
