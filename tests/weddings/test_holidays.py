"""The public holidays of a country, which journeys and forecasts both ask for."""

import sys
from datetime import date

import pytest

from wedsync_ops.errors import ExtraMissing, InvalidInput
from wedsync_ops.weddings.holidays import public_holidays


def test_a_year_of_a_country_and_of_a_part_of_it() -> None:
    pytest.importorskip("holidays")
    assert date(2027, 7, 4) in public_holidays("US", 2027)
    assert date(2027, 3, 31) in public_holidays("US-CA", 2027) - public_holidays("US", 2027)
    assert {day.year for day in public_holidays("US", 2027)} == {2027}


@pytest.mark.parametrize("country", ["Atlantis", "US-ZZ", "", "-"])
def test_one_that_nobody_knows(country: str) -> None:
    pytest.importorskip("holidays")
    with pytest.raises(InvalidInput, match="no holidays are known"):
        public_holidays(country, 2027)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ExtraMissing, match="the package holidays"):
        public_holidays("GB", 1987)
