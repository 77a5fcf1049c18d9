"""The holidays of a journey: the dates that it names, and those of its country (extra ``forecast``)."""

from wedsync_ops.planning.definitions import Journey, holiday_dates
from wedsync_ops.planning.journeys import IsHoliday
from wedsync_ops.weddings.holidays import public_holidays


def holidays_of(journey: Journey) -> IsHoliday:
    """What tells a holiday of this journey. Raises InvalidInput for a country that nobody knows, ExtraMissing."""
    own, country = holiday_dates(journey), journey.holiday_country
    if country is None:
        return own.__contains__
    check_country(country)
    return lambda day: day in own or day in public_holidays(country, day.year)


def check_country(country: str) -> None:
    """Raises InvalidInput for a country, or a part of one, that nobody knows, ExtraMissing without the package."""
    public_holidays(country, 2027)
