"""What requests and jobs are judged by: the registry, the season, the site and the settings, at one moment."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from zoneinfo import ZoneInfo

from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.contract import Site
from wedsync_ops.instants import SECOND, zone_named
from wedsync_ops.jobs.model import Expected
from wedsync_ops.modules.registry import Registry
from wedsync_ops.settings import Settings
from wedsync_ops.weddings.model import Calendar


@dataclass(frozen=True, slots=True)
class Rules:
    """What every request is judged by: the registry, the season, the site and the settings."""

    registry: Registry
    calendar: Calendar
    site: Site
    settings: Settings
    expected: Mapping[str, Expected] = field(default_factory=lambda: MappingProxyType({}))
    """What executions take by module type, where a worker judges."""

    def zone(self, name: str | None) -> ZoneInfo:
        """A job's time zone; the platform's for a job that has none, or one that this machine no longer knows."""
        with contextlib.suppress(InvalidInput):
            return self.calendar.zone if name is None else zone_named(name)
        return self.calendar.zone

    @property
    def ageing_us(self) -> int:
        """The wait in microseconds that is worth one priority step."""
        return round(self.settings.ageing_s * SECOND)
