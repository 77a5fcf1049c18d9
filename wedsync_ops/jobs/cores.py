"""Which cores a job may use. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable
from math import ceil


def spread(cores: Collection[int], taken: Iterable[Collection[int]], limit: float) -> frozenset[int] | None:
    """The cores for a job that may use ``limit`` of them: those that the fewest others were given.

    A part of a core is a whole one here; CPU seconds see to the rest. ``None`` when the job may use all there are.
    """
    if limit > len(cores) - 1:
        return None
    count = ceil(limit)
    used = Counter(core for others in taken for core in others)
    return frozenset(sorted(cores, key=lambda core: (used[core], core))[:count])
