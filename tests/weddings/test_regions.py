"""Which region a place lies in."""

import pytest

from wedsync_ops.errors import SettingError
from wedsync_ops.weddings.context import region_from
from wedsync_ops.weddings.model import Region
from wedsync_ops.weddings.regions import region_named, region_of


@pytest.mark.parametrize(
    ("place", "region"),
    [
        ("Chicago", Region.MIDWEST),
        ("CHICAGO", Region.MIDWEST),
        ("Chicago, IL", Region.MIDWEST),
        ("Chicago Botanic Garden, Glencoe", Region.MIDWEST),
        ("Napa Valley, California", Region.WEST_COAST),
        ("San Francisco, CA 94110, USA", Region.WEST_COAST),
        ("napa, ca", Region.WEST_COAST),
        ("Ontario, CA", Region.WEST_COAST),
        ("Ontario, Canada", Region.OTHER),
        ("Portland, OR", Region.WEST_COAST),
        ("Portland, Maine", Region.NORTHEAST),
        ("Washington", Region.WEST_COAST),
        ("Washington, D.C.", Region.SOUTH),
        ("Washington DC 20001", Region.SOUTH),
        ("Harpers Ferry, West Virginia", Region.SOUTH),
        ("Brooklyn", Region.NORTHEAST),
        ("New York, NY, United States of America", Region.NORTHEAST),
        ("Kansas City", Region.MIDWEST),
        ("Paris, TX", Region.SOUTH),
        ("Paris, France", Region.OTHER),
        ("Indiana, PA", Region.NORTHEAST),
        ("Delaware, Ohio", Region.MIDWEST),
        ("Santa Fe, New Mexico", Region.OTHER),
        ("Birmingham, England", Region.OTHER),
        ("Tbilisi", Region.OTHER),
        ("meet me in the old barn or garden", Region.OTHER),
        ("The Old Barn (Austin)", Region.SOUTH),
        ("St. Louis", Region.MIDWEST),
        ("Scandinavia", Region.OTHER),
        ("12345", Region.OTHER),
        ("USA", Region.OTHER),
        ("", Region.UNKNOWN),
        (" , ", Region.UNKNOWN),
    ],
)
def test_a_place_lies_in_a_region(place: str, region: Region) -> None:
    assert region_of(place) is region


def test_it_is_told_from_the_context_or_its_client_data() -> None:
    assert region_from({"location": "Chicago", "client_data": {"location": "Boston"}}) is Region.MIDWEST
    assert region_from({"client_data": {"location": "Boston"}}) is Region.NORTHEAST
    assert region_from({"location": {"city": "Boston"}}) is Region.UNKNOWN
    assert region_from({"location": None}) is Region.UNKNOWN
    assert region_from({}) is Region.UNKNOWN


def test_regions_have_names() -> None:
    assert region_named(" West-Coast ") is Region.WEST_COAST
    with pytest.raises(SettingError, match="no region 'eu'"):
        region_named("eu")
