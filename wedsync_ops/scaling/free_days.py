"""Public holidays of a country, on which suppliers write less than on other days (extra ``forecast``)."""

from datetime import date

from wedsync_ops.errors import ExtraMissing, SettingError, quoted


def public_holidays(country: str | None, first: date, last: date) -> frozenset[date]:
    """The holidays between two days of a country such as ``US``, or of a part of one such as ``US-CA``.

    Raises ExtraMissing without the package that knows them, SettingError for a country that it does not know.
    """
    if country is None:
        return frozenset()
    try:
        import holidays
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            "the setting holidays needs a package that is not installed", hint="pip install 'wedsync-ops[forecast]'"
        ) from error
    name, _, part = country.partition("-")
    try:
        found = holidays.country_holidays(name, subdiv=part or None, years=range(first.year, last.year + 1))
    except NotImplementedError as error:
        raise SettingError(
            f"the setting holidays names {quoted(country)}, of which none are known", hint="write it as GB or US-CA"
        ) from error
    return frozenset(day for day in found if first <= day <= last)
