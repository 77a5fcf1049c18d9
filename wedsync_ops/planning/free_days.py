"""The holidays of a journey: the dates that it names, and those of its country (extra ``forecast``)."""

from datetime import date
from functools import lru_cache

from wedsync_ops.errors import ExtraMissing, InvalidInput, quoted
from wedsync_ops.planning.definitions import Journey, holiday_dates
from wedsync_ops.planning.journeys import IsHoliday

_YEARS_KEPT = 512


def holidays_of(journey: Journey) -> IsHoliday:
    """What tells a holiday of this journey. Raises InvalidInput for a country that nobody knows, ExtraMissing."""
    own, country = holiday_dates(journey), journey.holiday_country
    if country is None:
        return own.__contains__
    check_country(country)
    return lambda day: day in own or day in _of_country(country, day.year)


def check_country(country: str) -> None:
    """Raises InvalidInput for a country, or a part of one, that nobody knows, ExtraMissing without the package."""
    _of_country(country, 2027)


@lru_cache(maxsize=_YEARS_KEPT)
def _of_country(country: str, year: int) -> frozenset[date]:
    try:
        import holidays
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"the holidays of {country} are not known without the package holidays",
            hint="pip install 'wedsync-ops[forecast]', or list the dates under holidays:",
        ) from error
    name, _, part = country.partition("-")
    try:
        return frozenset(holidays.country_holidays(name, subdiv=part or None, years=year))
    except NotImplementedError as error:
        raise InvalidInput(
            f"no holidays are known of {quoted(country)}", hint="write it as GB, or with its part as US-CA"
        ) from error
