"""The public holidays of a country, or of a part of one, by a package that knows them (extra ``forecast``)."""

from datetime import date
from functools import lru_cache

from wedsync_ops.errors import ExtraMissing, InvalidInput, quoted

_YEARS_KEPT = 512


@lru_cache(maxsize=_YEARS_KEPT)
def public_holidays(country: str, year: int) -> frozenset[date]:
    """The holidays of a year in a country such as ``US``, or in a part of one such as ``US-CA``.

    Raises ExtraMissing without the package, InvalidInput for a country that it does not know.
    """
    try:
        import holidays
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"the holidays of {quoted(country)} are not known without the package holidays",
            hint="pip install 'wedsync-ops[forecast]', or list the days of a journey under holidays:",
        ) from error
    name, _, part = country.partition("-")
    try:
        return frozenset(holidays.country_holidays(name, subdiv=part or None, years=year))
    except NotImplementedError as error:
        raise InvalidInput(
            f"no holidays are known of {quoted(country)}", hint="write it as GB, or with its part as US-CA"
        ) from error
