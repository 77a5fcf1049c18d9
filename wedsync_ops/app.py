"""The composition root: puts settings, database, clock and rules together for an edge."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wedsync_ops import db, migrate
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.emergencies.freezing import Freeze
from wedsync_ops.errors import (
    DatabaseError,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseUnreachable,
    HomeUnusable,
    WedsyncError,
)
from wedsync_ops.handlers.contract import Site
from wedsync_ops.handlers.site import check_settings
from wedsync_ops.instants import SECOND, zone_named
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.modules import store as modules
from wedsync_ops.modules.registry import Registry
from wedsync_ops.security import secrets
from wedsync_ops.settings import Loaded, Settings
from wedsync_ops.weddings.model import Calendar

if TYPE_CHECKING:
    from wedsync_ops.emergencies.actions import Desk
    from wedsync_ops.emergencies.rehearsal import Rehearsal


@dataclass(frozen=True, slots=True)
class App:
    """Everything that an edge needs, opened and ready."""

    settings: Settings
    sources: Mapping[str, str]
    database: Database
    clock: Clock
    calendar: Calendar
    site: Site

    def registry(self) -> Registry:
        """The module types as they are registered now."""
        with self.database.reading() as connection:
            return modules.load(connection)

    def rules(self) -> Rules:
        """What requests are judged by now."""
        return Rules(self.registry(), self.calendar, self.site, self.settings)

    def queue(self) -> Queue:
        """The queue, with the module types as they are registered now."""
        rules = self.rules()
        return Queue(self.database, self.clock, rules, self.freeze(rules))

    def freeze(self, rules: Rules | None = None) -> Freeze:
        """What forbids changes while weddings are near."""
        return Freeze(self.database, self.clock, self.settings, (rules or self.rules()).zone)

    def desk(self) -> "Desk":
        """Where emergencies are dealt with. Raises SettingError for protocols that cannot be used."""
        from wedsync_ops.emergencies.actions import Desk, protocols_of  # with pydantic's checks; few commands need it

        return Desk(self.database, self.clock, self.rules, protocols_of(self.settings))

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def rehearsal_of(settings: Settings, providers: Mapping[str, str | None]) -> "Rehearsal | None":
    """The configured circuit breakers, for a simulation; ``None``: none opens by rule. Raises SettingError."""
    from wedsync_ops.emergencies.actions import protocols_of
    from wedsync_ops.emergencies.conditions import opens_by_itself
    from wedsync_ops.emergencies.place import breaker_policy
    from wedsync_ops.emergencies.rehearsal import Rehearsal

    if not opens_by_itself(settings.emergency_auto):
        return None
    every_us = max(1, round(settings.emergencies_every_s * SECOND))
    return Rehearsal(providers, breaker_policy(protocols_of(settings)), every_us)


def open_app(loaded: Loaded, clock: Clock | None = None) -> App:
    """Make the home, open the database and bring it to this version's schema.

    Raises SettingError, HomeUnusable, DatabaseError and what lies below them.
    """
    settings = loaded.settings
    check_settings(settings, loaded.sources)
    database = db.connect(settings)
    try:
        _make(settings.home, HomeUnusable)
        if database.file is not None:
            _make(database.file.parent, DatabaseUnreachable)
        migrate.ensure(database)
        time = clock or database.server_clock()
        site = site_of(settings, settings.link_secret or _link_secret(database, time.now()))
    except BaseException:
        database.close()
        raise
    return App(settings, loaded.sources, database, time, calendar_of(settings), site)


def observe(loaded: Loaded, clock: Clock | None = None) -> App:
    """Open a platform only to look at it: nothing is made, nothing is written, and the schema stays what it is.

    Links can't be signed by it. Raises DatabaseMissing when there is no database, DatabaseError when its schema is
    of an older version, and what lies below them.
    """
    settings = loaded.settings
    database = db.connect(settings)
    try:
        revision = migrate.revision(database, moved=False)
        if revision is None:
            raise DatabaseMissing(f"{database.where}: there is no database")
        if revision != migrate.HEAD:
            raise DatabaseError(
                f"{database.where}: its schema is {revision}, and this version works with {migrate.HEAD}",
                hint="run 'wedsync-ops db migrate'",
            )
        time = clock or database.server_clock()
    except BaseException:
        database.close()
        raise
    return App(settings, loaded.sources, database, time, calendar_of(settings), site_of(settings))


def calendar_of(settings: Settings) -> Calendar:
    """The season's calendar as configured."""
    return Calendar(
        peak_months=frozenset(settings.peak_months),
        mid_months=frozenset(settings.mid_months),
        peak_multiplier=settings.peak_multiplier,
        mid_multiplier=settings.mid_multiplier,
        off_multiplier=settings.off_multiplier,
        weekend_multiplier=settings.weekend_multiplier,
        zone=zone_named(settings.timezone),
    )


def _link_secret(database: Database, now: int) -> str:
    with database.reading() as connection:
        known = secrets.read(connection, secrets.LINKS)
    if known is not None:
        return known
    try:
        with database.transaction() as connection:
            return secrets.make(connection, secrets.LINKS, now)
    except DatabaseReadOnly:  # whoever cannot write cannot queue or run anything that would sign a link
        return ""


def site_of(settings: Settings, link_secret: str | None = None) -> Site:
    """The part of the settings that handlers may know."""
    return Site(
        link_secret=link_secret or "",
        outbox=settings.outbox,
        timezone=settings.timezone,
        public_url=settings.public_url,
        mail_from=settings.mail_from,
        templates_dir=settings.templates_dir,
        attachments_dir=settings.attachments_dir,
        smtp_url=settings.smtp_url,
        sms_url=settings.sms_url,
        sms_token=settings.sms_token,
        smtp_url_backup=settings.smtp_url_backup,
        sms_url_backup=settings.sms_url_backup,
        sms_token_backup=settings.sms_token_backup,
        quiet_hours=settings.quiet_hours,
    )


def _make(folder: Path, failure: type[WedsyncError]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise failure(f"the folder {folder} cannot be made: {error.strerror}") from error
