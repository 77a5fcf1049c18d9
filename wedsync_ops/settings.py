"""Settings: one frozen object, read once, each value with the place it came from.

Defaults < the config file (YAML) < the environment (``WEDSYNC_OPS_<SETTING>``) < command-line options. This is the only
module that reads the environment.
"""

import difflib
import getpass
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from wedsync_ops import codec, yamldoc
from wedsync_ops.bounds import check
from wedsync_ops.errors import InputFileError, SettingError, WedsyncError, quoted
from wedsync_ops.limits import Limit, limits_from
from wedsync_ops.vendors import VendorType, known, vendor_types_from

ENVIRONMENT_PREFIX = "WEDSYNC_OPS_"


def _setting(default: Any, about: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"about": about, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting. Fields named ``_s`` are seconds; the metadata of each says what it is for."""

    home: Path = _setting(Path(), "folder for the database, the outbox and the sockets")
    db: str = _setting("", "database URL; SQLite file wedsync-ops.db in the home unless given")
    timezone: str = _setting("UTC", "the platform's time zone (IANA name): season, weekends")
    templates_dir: Path | None = _setting(None, "folder of own e-mail templates, looked at before the shipped ones")
    outbox_dir: Path | None = _setting(None, "folder that receives artefacts when no server is configured")
    attachments_dir: Path | None = _setting(None, "the only folder from which files may be attached")
    public_url: str = _setting("http://localhost:8080", "address under which links to pages are made")
    smtp_url: str | None = _setting(None, "smtp://user:pass@host:port or smtps://…; unset: outbox", secret=True)
    sms_url: str | None = _setting(None, "HTTP gateway for SMS and WhatsApp; unset: outbox", secret=True)
    sms_token: str | None = _setting(None, "bearer token for the gateway", secret=True)
    sms_callback_secret: str | None = _setting(
        None, "verifies the gateway's callbacks: 16 characters or more", secret=True
    )
    quiet_hours: str | None = _setting(None, "hours without texts in the recipient's time zone, as 21:00-08:00")
    link_secret: str | None = _setting(
        None,
        "signs the links in mails and pages, 16 characters or more; one of its own is made and kept in the database",
        secret=True,
    )
    mail_from: str = _setting("WedSync <no-reply@wedsync.example>", "sender when the supplier has no address")
    webhook_url: str | None = _setting(None, "where every finished job is posted to; unset: nowhere", secret=True)
    webhook_secret: str | None = _setting(
        None, "signs what is posted to webhook_url: 16 characters or more, or whsec_ and base64", secret=True
    )
    webhook_timeout_s: float = _setting(10.0, "seconds within which the webhook's receiver must have answered")
    durability: str = _setting(
        "full", "full: every commit reaches the disk; normal: the last ones may be lost with power"
    )
    lease_s: float = _setting(30.0, "seconds without a heartbeat after which a worker's jobs are taken up again")
    heartbeat_s: float | None = _setting(None, "seconds between heartbeats; a third of the lease unless given")
    stop_grace_s: float = _setting(55.0, "seconds that running jobs may go on after a worker was told to stop")
    stop_notice_s: float = _setting(15.0, "seconds that a handler then has, once it was asked to stop")
    min_slots: int = _setting(2, "fewest slots of a worker")
    max_slots: int = _setting(50, "most slots of a worker")
    autoscale: bool = _setting(
        default=True, about="whether workers started without --concurrency take on as many slots as are needed"
    )
    autoscale_every_s: float = _setting(5.0, "seconds between two decisions on the number of slots, at most 60")
    scale_up_load: float = _setting(0.8, "load, as a share of the slots, above which slots are added")
    scale_down_load: float = _setting(0.2, "load below which slots are given back")
    scale_target_load: float = _setting(0.6, "load that a change of the number of slots aims at")
    scale_drain_s: float = _setting(30.0, "seconds within which jobs that wait should have started")
    scale_urgent_drain_s: float = _setting(5.0, "the same for jobs of high and critical priority")
    scale_wait_s: float = _setting(60.0, "seconds that no job should wait while every slot is busy")
    scale_up_window_s: float = _setting(10.0, "seconds for which slots must have been called for before they are added")
    scale_down_window_s: float = _setting(300.0, "seconds for which slots must not have been needed before they go")
    scale_down_pause_s: float = _setting(30.0, "seconds between a change and the next step down")
    scale_cpu_percent: float = _setting(95.0, "percent of the hosts' cores in use above which no slots are added")
    scale_lead_s: float = _setting(900.0, "seconds before expected load for which slots are added already")
    region: str | None = _setting(None, "the region whose jobs workers started here take, beside those without one")
    log_level: str = _setting("info", "debug, info, warning or error")
    log_format: str = _setting("text", "text or json")
    busy_timeout_s: float = _setting(10.0, "seconds to wait for another process's write before giving up")
    peak_months: tuple[int, ...] = _setting((5, 6, 7, 8, 9), "months of the peak season")
    mid_months: tuple[int, ...] = _setting((4, 10), "months of the mid season")
    peak_multiplier: float = _setting(5.0, "expected load in the peak season, against the off season")
    mid_multiplier: float = _setting(2.0, "expected load in the mid season")
    off_multiplier: float = _setting(1.0, "expected load in the off season")
    weekend_multiplier: float = _setting(3.0, "factor on Saturdays and Sundays")
    ageing_s: float = _setting(900.0, "seconds of waiting that raise a job one priority step, up to high")
    wedding_week_delay_min: float = _setting(30.0, "longest delay in minutes 2 to 7 days before the wedding")
    capacity: int = _setting(2_000_000, "most waiting jobs per module type")
    peak_capacity_factor: float = _setting(10.0, "factor on the capacity in the peak season")
    recycle_jobs: int = _setting(5_000, "jobs after which a slot's process is replaced")
    recycle_mb: int = _setting(512, "resident MB over which a slot's process is replaced")
    loss_limit: int = _setting(20, "executions lost with their worker after which a job is discarded")
    kill_limit: int = _setting(3, "executions that killed their slot after which a job is discarded")
    keep_completed: int = _setting(100, "latest completed jobs per module type that keep config, context and result")
    keep_failed: int = _setting(
        50, "latest failed executions per module type that keep traceback and log; as many others"
    )
    retention_days: int = _setting(90, "days that rows of finished jobs and executions stay")
    minute_rollup_days: int = _setting(2, "days that measurements are kept minute by minute")
    hour_rollup_days: int = _setting(90, "days that measurements are kept hour by hour")
    day_rollup_days: int = _setting(1_095, "days that measurements are kept day by day")
    dead_letter_days: int = _setting(90, "days that a discarded job keeps what a retry needs")
    reports_dir: Path | None = _setting(None, "folder that reports are kept in; reports in the home unless given")
    keep_reports: int = _setting(100, "hourly reports that are kept, and as many daily ones; 0: none is made")
    limits: tuple[Limit, ...] = _setting(
        (), "what may start, how many at once or how often: see how-to/limit-what-runs.md"
    )
    vendor_types: tuple[VendorType, ...] = _setting(
        (), "what is different about vendor types: peak hours, resources; see explanation/vendor-types.md"
    )
    memory_mb: float | None = _setting(
        None,
        "MB that the jobs of one worker may expect together; what the machine or its control group has unless given",
    )
    notify: Path | None = _setting(None, "YAML file of who is told of alerts, over which channels; unset: nobody")
    alerts_every_s: float = _setting(30.0, "seconds between two evaluations by a worker, at most 60; 0: left to cron")
    forecast_every_s: float = _setting(3600.0, "seconds between two forecasts by a worker; 0: left to cron")
    forecast_load: float = _setting(0.8, "share of the time that slots are planned to be busy, in forecasts")
    holidays: str | None = _setting(
        None, "country whose public holidays forecasts allow for, as US or US-CA; needs the extra forecast"
    )
    network_capacity_mbps: float = _setting(1000.0, "the host's network capacity, for network_usage")

    @property
    def vendors(self) -> Mapping[str, VendorType]:
        """Every vendor type by name, those shipped included."""
        return known(self.vendor_types)

    @property
    def heartbeat(self) -> float:
        """Seconds between two heartbeats of a worker."""
        return self.heartbeat_s if self.heartbeat_s is not None else self.lease_s / 3

    @property
    def outbox(self) -> Path:
        """The folder that receives artefacts."""
        return self.outbox_dir or self.home / "outbox"

    @property
    def database_url(self) -> str:
        """The database's URL, the default included."""
        return self.db or f"sqlite:///{self.home / 'wedsync-ops.db'}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings together with the place that each came from: default, file, environment or option."""

    settings: Settings
    sources: Mapping[str, str]


def load(
    options: Mapping[str, Any], environment: Mapping[str, str] | None = None, config_file: Path | None = None
) -> Loaded:
    """Read the settings. ``options`` holds what the command line gave (``None`` values are skipped).

    Raises SettingError for an unknown key (naming the nearest) or a value that does not fit, InputFileError for a
    config file that cannot be read.
    """
    given: dict[str, Any] = {}
    sources = {item.name: "default" for item in fields(Settings)}
    layers = (
        (f"file {config_file}", _from_file(config_file) if config_file else {}),
        ("environment", _from_environment(os.environ if environment is None else environment)),
        ("option", {name: value for name, value in options.items() if value is not None}),
    )
    for source, layer in layers:
        for name, value in layer.items():
            given[name] = _convert(name, value, source)
            sources[name] = source
    if "home" not in given:
        given["home"] = _default_home()
    settings = Settings(**given)
    check(settings, sources)
    return Loaded(settings, sources)


def operator() -> str:
    """Who acts: the user of this process by name, or by number where it has none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def variable(name: str) -> str | None:
    """A variable of the environment that a configuration names as the place of a secret."""
    return os.environ.get(name)


def names() -> tuple[str, ...]:
    """The name of every setting."""
    return tuple(item.name for item in fields(Settings))


def shown(settings: Settings, name: str) -> str:
    """A setting as ``doctor`` prints it: secrets masked, of a URL that may hold one all but scheme and host."""
    value = settings.database_url if name == "db" else getattr(settings, name)
    meta = next(item.metadata for item in fields(Settings) if item.name == name)
    if value is None:
        return "-"
    if name == "db" or (meta["secret"] and name.endswith("_url")):
        return _masked(str(value), to_the_end=meta["secret"])
    return "***" if meta["secret"] else str(value)


def _masked(url: str, *, to_the_end: bool) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    if "@" in parts.netloc:
        parts = parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2])
    if to_the_end:  # those who offer hooks put their secret into the path
        rest = "/***" if parts.path.strip("/") or parts.query or parts.fragment else ""
        return f"{parts.scheme}://{parts.netloc}{rest}"
    if "password" in parts.query.lower():
        parts = parts._replace(query="***")
    # A SQLite URL has an empty host, which urlunsplit would leave out with its slashes.
    return urlunsplit(parts) if parts.netloc else url


def _default_home() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("wedsync-ops"))


def _from_file(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputFileError(f"the config file {path} cannot be read: {error.strerror}") from error
    try:
        value = yamldoc.read(raw).value
    except WedsyncError as error:
        raise SettingError(f"{path}: {error.message}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingError(f"{path}: the file must be a mapping of settings")
    for name in value:
        if name not in names():
            raise SettingError(f"{path}: there is no setting {quoted(name)}{_nearest(name[:60])}")
    return value


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = {ENVIRONMENT_PREFIX + name.upper(): name for name in names()}
    return {name: environment[key] for key, name in known.items() if environment.get(key)}


def strangers(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that look like settings and are none, each with a hint at the nearest one."""
    given = os.environ if environment is None else environment
    looks = (key.removeprefix(ENVIRONMENT_PREFIX) for key in given if key.startswith(ENVIRONMENT_PREFIX))
    return {ENVIRONMENT_PREFIX + key: _nearest(key.lower()) for key in looks if key.lower() not in names()}


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _months(value: Any) -> tuple[int, ...]:
    items = value.replace(",", " ").split() if isinstance(value, str) else list(value)
    months = tuple(map(_whole, items))
    if any(not 1 <= month <= 12 for month in months):
        raise ValueError
    return months


def _whole(value: Any) -> int:
    if isinstance(value, bool | float):
        raise TypeError
    return int(value)


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        return {"true": True, "false": False}[value.strip().lower()]
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number) or abs(number) > 1e12:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError
    return value


def _path(value: Any) -> Path:
    return Path(value if isinstance(value, Path) else _text(value)).expanduser().absolute()


def _limits(value: Any) -> tuple[Limit, ...]:
    try:
        return limits_from(yamldoc.read(value.encode()).value if isinstance(value, str) else value)
    except (ValueError, WedsyncError) as error:
        raise SettingError(f"the setting limits cannot be used: {error}") from error


def _vendor_types(value: Any) -> tuple[VendorType, ...]:
    try:
        return vendor_types_from(yamldoc.read(value.encode()).value if isinstance(value, str) else value)
    except (ValueError, WedsyncError) as error:
        raise SettingError(f"the setting vendor_types cannot be used: {error}") from error


_A_NUMBER = "a number of at most 1e12"
_CONVERTERS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    Path: (_path, "a path"),
    Path | None: (_path, "a path"),
    str: (_text, "text"),
    str | None: (_text, "text"),
    bool: (_flag, "true or false"),
    int: (_whole, "a whole number"),
    float: (_number, _A_NUMBER),
    float | None: (_number, _A_NUMBER),
    tuple[int, ...]: (_months, "months from 1 to 12, such as 5, 6, 7"),
    tuple[Limit, ...]: (_limits, "a list of limits"),
    tuple[VendorType, ...]: (_vendor_types, "a mapping of vendor types"),
}
"""How the fields of each type are read, and what a value must be for that."""


def _convert(name: str, value: Any, source: str) -> Any:
    item = next(item for item in fields(Settings) if item.name == name)
    convert, needed = _CONVERTERS[item.type]
    if name == "db" and value == "":
        raise SettingError(f"the setting db ({source}) is empty", hint="leave it out for the file in the home")
    try:
        return convert(value)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        is_shown = isinstance(value, str | int | float) and not isinstance(value, bool) and not item.metadata["secret"]
        given = quoted(value) if is_shown else codec.kind_of(value)
        raise SettingError(f"the setting {name} ({source}) must be {needed}, not {given}") from error
