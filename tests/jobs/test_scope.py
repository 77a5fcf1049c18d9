"""What a pause or a drain holds for."""

import pytest

from wedsync_ops.jobs.scope import covers


@pytest.mark.parametrize(
    ("scope", "name", "expected"),
    [
        ("all", "", True),
        ("module", "email", True),
        ("module", "s1", False),
        ("supplier", "s1", True),
        ("supplier", "email", False),
    ],
)
def test_covers_the_jobs_of_its_name(scope: str, name: str, *, expected: bool) -> None:
    assert covers(scope, name, "email", "s1") is expected


def test_of_a_supplier_does_not_cover_a_job_without_one() -> None:
    assert not covers("supplier", "s1", "email", None)
