"""Vendor types as data: what is shipped, what is configured, what is expected of an hour."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.errors import SettingError
from wedsync_ops.settings import load
from wedsync_ops.vendors import PROFILES, SHIPPED, VendorType, expected_factor, known, profile_of, vendor_types_from


def test_photographers_and_venues_are_as_they_were_agreed() -> None:
    assert SHIPPED["photographer"] == VendorType(
        "photographer", (9, 17), 1.5, "cpu_optimized", ("email", "form", "review")
    )
    assert SHIPPED["venue"] == VendorType("venue", (8, 16), 1.5, "memory_optimized", ("meeting", "form", "info"))
    assert {*SHIPPED} == {"photographer", "venue", "florist", "caterer", "planner"}


def test_what_is_configured_takes_the_place_of_what_is_shipped_or_is_added() -> None:
    configured = vendor_types_from(
        {"Photographers": {"peak_hours": [20, 6, 6]}, "dj": {"resource_profile": "network_optimized", "peak_factor": 3}}
    )
    types = known(configured)
    assert types["photographer"] == VendorType(
        "photographer", (6, 20), 1.5, "cpu_optimized", ("email", "form", "review")
    )
    assert types["dj"] == VendorType("dj", (), 3.0, "network_optimized")
    assert types["venue"] is SHIPPED["venue"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be a mapping of at most 100 vendor types"),
        ({"dj": []}, "dj must be a mapping with some of peak_hours, peak_factor, resource_profile, first_modules"),
        ({"dj": {"hours": [1]}}, "dj has no key 'hours'; known: peak_hours"),
        ({"d j": {}}, "'d j' is no name of a vendor type"),
        ({7: {}}, "7 is no name of a vendor type"),
        ({"dj": {"peak_hours": [24]}}, "dj.peak_hours must be a list of hours from 0 to 23"),
        ({"dj": {"peak_hours": ["09:00"]}}, "dj.peak_hours must be a list of hours from 0 to 23"),
        ({"dj": {"peak_hours": 9}}, "dj.peak_hours must be a list of at most 24 hours from 0 to 23"),
        ({"dj": {"peak_factor": 0.5}}, "dj.peak_factor must be a number from 1 to 20"),
        ({"dj": {"peak_factor": True}}, "dj.peak_factor must be a number from 1 to 20"),
        ({"dj": {"resource_profile": "fast"}}, "dj.resource_profile must be one of balanced, cpu_optimized"),
        ({"dj": {"first_modules": [1]}}, "dj.first_modules must be a list of module types"),
        ({"venue": {}, "venues": {}}, "the vendor type 'venue' stands there twice"),
    ],
)
def test_what_cannot_be_used_names_the_place(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        vendor_types_from(value)
    assert str(caught.value).startswith(message)


def test_it_is_a_setting_in_yaml() -> None:
    text = "dj: {peak_hours: [22]}"
    settings = load({}, {"WEDSYNC_OPS_VENDOR_TYPES": text, "WEDSYNC_OPS_HOME": "home"}).settings
    assert settings.vendors["dj"].peak_hours == (22,)
    assert settings.vendors["venue"].peak_hours == (8, 16)
    with pytest.raises(SettingError, match="the setting vendor_types cannot be used: dj has no key 'x'"):
        load({}, {"WEDSYNC_OPS_VENDOR_TYPES": "dj: {x: 1}", "WEDSYNC_OPS_HOME": "home"})


def test_the_profile_of_whom_nobody_knows_is_the_balanced_one() -> None:
    assert profile_of("photographer", SHIPPED) == PROFILES["cpu_optimized"]
    assert profile_of(None, SHIPPED) == profile_of("dj", SHIPPED) == PROFILES["balanced"]


def test_peak_hours_raise_the_load_that_is_expected_by_whose_jobs_there_are() -> None:
    assert expected_factor({"photographers": 1}, 9, SHIPPED) == 1.5
    assert expected_factor({"photographer": 1}, 10, SHIPPED) == 1.0
    assert expected_factor({"photographer": 3, "venue": 1}, 9, SHIPPED) == 1.375
    assert expected_factor({"photographer": 3, "dj": 1}, 9, SHIPPED) == 1.375
    assert expected_factor({}, 9, SHIPPED) == 1.0
    assert expected_factor({"venue": 0}, 8, SHIPPED) == 1.0


@given(st.dictionaries(st.sampled_from([*SHIPPED, "dj"]), st.floats(0, 1e6)), st.integers(0, 23))
def test_no_hour_is_expected_to_bring_less_than_usual(mix: dict[str, float], hour: int) -> None:
    assert 1 <= expected_factor(mix, hour, SHIPPED) <= 1.5 + 1e-9
