"""What settings must be beyond their types: bounds, choices, and what goes together."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wedsync_ops.errors import SettingError, WedsyncError
from wedsync_ops.instants import parse_span, zone_named

if TYPE_CHECKING:
    from wedsync_ops.settings import Settings

_SECRETS = ("link_secret", "sms_callback_secret", "webhook_secret")
_SHORTEST_SECRET = 16
_LEAST_MB = 32
_LEAST_LOAD = 0.05
_CHOICES = {
    "durability": ("full", "normal"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("text", "json"),
}
_POSITIVE = (
    "webhook_timeout_s",
    "lease_s",
    "min_slots",
    "max_slots",
    "busy_timeout_s",
    "peak_multiplier",
    "mid_multiplier",
    "off_multiplier",
    "weekend_multiplier",
    "ageing_s",
    "capacity",
    "peak_capacity_factor",
    "recycle_jobs",
    "recycle_mb",
    "loss_limit",
    "kill_limit",
    "network_capacity_mbps",
    "scale_down_load",
    "scale_drain_s",
    "scale_urgent_drain_s",
    "scale_wait_s",
)
_NOT_NEGATIVE = {
    "keep_completed": 10_000_000,
    "keep_failed": 10_000_000,
    "keep_reports": 100_000,
    "retention_days": 36_500,
    "dead_letter_days": 36_500,
    "minute_rollup_days": 36_500,
    "hour_rollup_days": 36_500,
    "day_rollup_days": 36_500,
    "wedding_week_delay_min": 525_600,
    "alerts_every_s": 60,
    "forecast_every_s": 86_400,
    "scale_up_window_s": 3_600,
    "scale_down_window_s": 86_400,
    "scale_down_pause_s": 86_400,
    "scale_cpu_percent": 100,
    "scale_lead_s": 86_400,
    "stop_grace_s": 86_400,
    "stop_notice_s": 86_400,
}
_SCHEMES = {
    "smtp_url": ("smtp", "smtps"),
    "sms_url": ("https", "http"),
    "public_url": ("https", "http"),
    "webhook_url": ("https", "http"),
}


def _wrong(sources: Mapping[str, str], name: str, why: str, hint: str | None = None) -> SettingError:
    return SettingError(f"the setting {name} ({sources[name]}) {why}", hint=hint)


def check(settings: Settings, sources: Mapping[str, str]) -> None:
    """Raise SettingError for the first setting that cannot be, naming the place that it came from."""
    _check_read(sources, "timezone", zone_named, settings.timezone)
    if settings.quiet_hours is not None:
        _check_read(sources, "quiet_hours", parse_span, settings.quiet_hours)
    for name, choices in _CHOICES.items():
        if getattr(settings, name) not in choices:
            raise _wrong(sources, name, f"must be one of {', '.join(choices)}")
    for name in _POSITIVE:
        if getattr(settings, name) <= 0:
            raise _wrong(sources, name, "must be more than 0")
    for name, most in _NOT_NEGATIVE.items():
        if not 0 <= getattr(settings, name) <= most:
            raise _wrong(sources, name, f"must be 0 to {most:,}")
    for name, schemes in _SCHEMES.items():
        value = getattr(settings, name)
        if value is not None and not _is_url(value, schemes):
            raise _wrong(sources, name, f"must be a URL such as {schemes[0]}://host")
    _check_secrets(settings, sources)
    _check_together(settings, sources)


def _check_read(sources: Mapping[str, str], name: str, read: Callable[[str], Any], text: str) -> None:
    try:
        read(text)
    except WedsyncError as error:
        raise _wrong(sources, name, f"cannot be used: {error.message}", error.advice) from error


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket left open, a port that is no number or too large
        return False


def _check_together(settings: Settings, sources: Mapping[str, str]) -> None:
    if settings.heartbeat_s is not None and not 0 < settings.heartbeat_s <= settings.lease_s / 2:
        raise _wrong(sources, "heartbeat_s", "must be more than 0 and at most half of lease_s")
    if not _LEAST_LOAD <= settings.forecast_load <= 1:
        raise _wrong(sources, "forecast_load", f"must be {_LEAST_LOAD} to 1")
    if settings.memory_mb is not None and settings.memory_mb < _LEAST_MB:
        raise _wrong(sources, "memory_mb", f"must be at least {_LEAST_MB}")
    if settings.min_slots > settings.max_slots:
        why = f"is {settings.min_slots}, and max_slots ({sources['max_slots']}) only {settings.max_slots}"
        raise _wrong(sources, "min_slots", why, "change one of them")
    _check_scaling(settings, sources)
    if settings.webhook_url is not None and settings.webhook_secret is None:
        raise SettingError(f"webhook_url needs the setting webhook_secret, of at least {_SHORTEST_SECRET} characters")
    overlap = set(settings.peak_months) & set(settings.mid_months)
    if overlap:
        raise SettingError(f"month {min(overlap)} stands in both peak_months and mid_months")


def _check_scaling(settings: Settings, sources: Mapping[str, str]) -> None:
    if not 0.1 <= settings.autoscale_every_s <= 60:
        raise _wrong(sources, "autoscale_every_s", "must be 0.1 to 60")
    loads = ("scale_down_load", "scale_target_load", "scale_up_load")
    for lower, higher in pairwise(loads):
        if getattr(settings, lower) >= getattr(settings, higher):
            raise _wrong(sources, lower, f"must be less than {higher}, which is {getattr(settings, higher):g}")
    if settings.scale_up_load > 1:
        raise _wrong(sources, "scale_up_load", "must be at most 1: it is a share of the slots")


def _check_secrets(settings: Settings, sources: Mapping[str, str]) -> None:
    for name in _SECRETS:
        secret = getattr(settings, name)
        if secret is not None and len(secret) < _SHORTEST_SECRET:
            raise _wrong(sources, name, f"must have at least {_SHORTEST_SECRET} characters")
    if (settings.webhook_secret or "").startswith("whsec_"):
        try:
            base64.b64decode((settings.webhook_secret or "").removeprefix("whsec_"), validate=True)
        except ValueError as error:
            raise SettingError("the setting webhook_secret is no base64 after whsec_") from error
