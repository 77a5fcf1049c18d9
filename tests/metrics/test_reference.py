import re
from pathlib import Path
from typing import Any

from wedsync_ops.metrics import aggregate
from wedsync_ops.metrics.actions import to_document
from wedsync_ops.metrics.exposition import PREFIX, families
from wedsync_ops.metrics.model import HostLoad, Metrics, Range, Tally
from wedsync_ops.scaling import actions as scaling

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
HOUR = Range(0, 3_600_000_000)
EMPTY = Metrics(
    HOUR,
    aggregate.platform_metrics(
        [], HOUR, 0, aggregate.utilization(HostLoad(None, None, None), 0, seconds=60, network_capacity_mbps=1)
    ),
    (aggregate.module_metrics("email", Tally(), HOUR, 0),),
)


def keys(document: dict[str, Any]) -> set[str]:
    nested = [keys(value) for value in document.values() if isinstance(value, dict)]
    return set(document).union(*nested)


def test_the_reference_explains_every_key_of_the_document() -> None:
    document = to_document(EMPTY)
    written = keys(document["platform"]) | keys(document["modules"][0])
    assert {key for key in written if f"`{key}`" not in REFERENCE} == {"module_type"}


def test_the_reference_lists_exactly_the_prometheus_names_there_are() -> None:
    listed = re.findall(rf"^\| `({PREFIX}\w+)` \|", REFERENCE, re.MULTILINE)
    there = (*families(EMPTY, {}), *scaling.families(scaling.Status(0, (), ())))
    assert sorted(listed) == sorted(PREFIX + family.name for family in there)
