"""What forecasts are made of and what they say, as frozen values. Pure.

Hours are the instants at which they begin, in microseconds, whole hours of UTC; counts are executions that finish.
"""

from enum import StrEnum
from typing import NamedTuple


class Method(StrEnum):
    """How executions to come are foretold."""

    RIDGE = "log-ridge"
    LAST_WEEK = "last week"
    LAST_YEAR = "last year"
    SEASON = "season"
    BOOKED = "booked"


class Expected(NamedTuple):
    """The executions of a module type that are expected in an hour.

    Eight times in ten they come to between ``low`` and ``high``. ``booked`` of them are queued, or certain to be.
    """

    hour: int
    module_type: str
    expected: float
    low: float
    high: float
    booked: int


class Quality(NamedTuple):
    """By which method a module type is foretold, and how that did on the weeks before; ``None`` where it is not known.

    ``wape`` is the sum of errors over the sum of what came, ``mase`` the error over that of taking each hour for the
    same one a week before, ``inside`` the share of hours that came between low and high. ``duration_us`` is the mean
    length of an execution.
    """

    module_type: str
    method: Method
    history_days: int
    duration_us: int | None
    wape: float | None
    mase: float | None
    inside: float | None
