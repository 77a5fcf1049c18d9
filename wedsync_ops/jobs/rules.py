"""What requests and jobs are judged by: the registry, the season, the site and the settings, at one moment."""

from dataclasses import dataclass

from wedsync_ops.handlers.contract import Site
from wedsync_ops.instants import SECOND
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

    @property
    def ageing_us(self) -> int:
        """The wait in microseconds that is worth one priority step."""
        return round(self.settings.ageing_s * SECOND)
