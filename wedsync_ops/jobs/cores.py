"""Which cores a job may use. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable
from math import ceil


def spread(cores: Collection[int], taken: Iterable[tuple[Collection[int], int]], limit: float) -> frozenset[int] | None:
    """The cores for a job that may use ``limit`` of them: those of which the smallest shares were given to others.

    ``taken`` is what others were given, each with its share: 2 is usual, more keeps others off, less lets them in.
    A part of a core is a whole one here; CPU seconds see to the rest. ``None`` when the job may use all there are.
    """
    if limit > len(cores) - 1:
        return None
    count = ceil(limit)
    used: Counter[int] = Counter()
    for others, share in taken:
        used.update(dict.fromkeys(others, share))
    return frozenset(sorted(cores, key=lambda core: (used[core], core))[:count])
