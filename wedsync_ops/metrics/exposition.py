"""The figures in Prometheus's text format 0.0.4. Pure.

Everything here is a gauge, because it describes a range that slides on, or a moment: it falls as well as it rises.
Counting all executions on record would be no counter either: retention deletes old rows, and a scraper would take the
fall for a restart. Base units only: seconds, bytes, ratios of 1. What is not known has no sample. Platform-wide counts
are left to the reader (``sum``); only what can't be added up over module types has a platform series.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from wedsync_ops.instants import SECOND
from wedsync_ops.metrics.model import Counts, Metrics, ModuleMetrics, PlatformMetrics, Times

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "wedsync_ops_"
_PERCENT = 0.01
_MS = 0.001
_PER_MINUTE = 1 / 60
_KB = 1024
_MB = 1024 * 1024

Sample = tuple[Mapping[str, str], float | None]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples; ``name`` goes without the prefix."""

    name: str
    about: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class _Gauge[Subject]:
    """One figure per subject: where it is found, and what turns it into base units."""

    name: str
    about: str
    figure: Callable[[Subject], float | None]
    factor: float = 1
