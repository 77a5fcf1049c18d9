"""The referral module: offers a couple a reward for a recommendation, under a code that is theirs alone."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from wedsync_ops.handlers import expiry, links
from wedsync_ops.handlers.checks import couple_address, recipient_fault
from wedsync_ops.handlers.contract import Mail, PermanentError, Run, Site, addressed_by, checked_by, claims, ends_by
from wedsync_ops.handlers.fields import part

_SIGNS = "0123456789BCDFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32 (no I, L, O, U) without A and E, so that a code spells no word and is read one way only."""
_LENGTH = 10
_CURRENCY = re.compile(r"[A-Z]{3}")
_WORDS = {"discount": "a discount", "credit": "a credit", "gift": "a gift"}


def check(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What keeps this offer from ever being sent, each in one line that begins with where it is."""
    if config["reward_type"] == "discount" and config.get("reward_amount", 0) > 100:
        yield "config.reward_amount: a discount is in percent, at most 100; use credit for an amount of money"
    for fault in (recipient_fault(context), expiry.fault(config, context, site)):
        if fault:
            yield fault


def code_of(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> str:
    """The code that a job claims: as given (its case does not count), else made of supplier, couple and secret."""
    given = config.get("tracking_code")
    return str(given).upper() if given else _made(context, site)


@addressed_by(couple_address)
@claims(code_of, into="tracking_code")
@ends_by(expiry.ends_at, expiry.PLACE)
@checked_by(check)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Send the offer with its link and the link's QR code. Raises PermanentError when the offer has ended."""
    from wedsync_ops.handlers import compose, qr, render

    expires_on = _last_day(config, context, run)
    code = config.get("tracking_code") or _made(context, run.site)  # a queued job names the code that it claimed
    url = links.public(run.site, f"/r/{code}")
    result = {
        "referral_sent": run.suppressed is None,
        "tracking_code": code,
        "referral_url": url,
        "reward": _reward(config, context),
    }
    if run.suppressed is not None:
        return result | {"suppressed": run.suppressed}
    values = render.values_for(context, run.site) | {
        "reward": result["reward"],
        "reward_type": config["reward_type"],
        "tracking_code": code,
        "referral_url": url,
        "expires_on": expires_on,
    }
    rendered = render.mail("referral-offer", values, run.site)
    files = qr.pictures(url, "referral-qr-code")
    letter = compose.to_couple(rendered, config, context, values, attachments=files)
    run.deliver(Mail(compose.message_from(letter, site=run.site, key=run.idempotency_key, now=run.now)))
    return result


def _made(context: Mapping[str, Any], site: Site) -> str:
    """Ten signs (49 bits): the same for a couple of a supplier every time, and for nobody else to work out."""
    raw = links.digest(site, "referral", str(context["supplier_id"]), str(context["client_id"]))
    number, code = int.from_bytes(raw, "big"), ""
    for _ in range(_LENGTH):
        number, place = divmod(number, len(_SIGNS))
        code += _SIGNS[place]
    return code


def _reward(config: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """The reward in words, such as ``a discount of 10%``, ``a credit of 50 EUR``, ``a gift worth 25.50 EUR``."""
    kind, amount = config["reward_type"], config.get("reward_amount") or 0
    if not amount:
        return _WORDS[kind]
    number = _number(amount)
    if kind == "discount":
        return f"a discount of {number}%"
    currency = part(context, "supplier_data").get("currency")
    money = f"{number} {currency}" if isinstance(currency, str) and _CURRENCY.fullmatch(currency) else number
    return f"a gift worth {money}" if kind == "gift" else f"a credit of {money}"


def _number(amount: float) -> str:
    """An amount with all the decimals that were given, two at least where there are any: no promise is rounded up."""
    if float(amount).is_integer():
        return f"{amount:,.0f}"
    exact = Decimal(str(amount))
    return f"{exact:,.{max(2, -int(exact.as_tuple().exponent))}f}"


def _last_day(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> str:
    """The last day of the offer in the couple's zone, empty when it has none. Raises PermanentError when it is over."""
    ends_at = expiry.ends_at(config, context, run.site)
    if ends_at is None:
        return ""
    if ends_at <= run.now:
        raise PermanentError(f"the offer ended at {config['expires_at']}, before it could be sent")
    return expiry.last_day(ends_at, context, run.site).isoformat()
