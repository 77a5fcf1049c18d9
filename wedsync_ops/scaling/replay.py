"""What other settings would have made of what was seen: the decisions made again, one after the other. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from wedsync_ops.scaling.decide import decide, remember
from wedsync_ops.scaling.model import Decision, Past, Policy, Situation


class Moment(NamedTuple):
    """A situation at an instant, and how many slots were wanted then (``None``: nobody decided)."""

    at: int
    situation: Situation
    wanted: int | None = None


class Replayed(NamedTuple):
    """A moment as it would have been: the slots before, and the decision on them."""

    at: int
    slots: int
    decision: Decision
    recorded: int | None


def replay(
    moments: Iterable[Moment], policy: Policy, least: int | None = None, most: int | None = None
) -> Iterator[Replayed]:
    """Decide again by a policy; each decision begins with the slots that the one before has left.

    The work stays what it was: jobs that had to wait are not taken to have ended sooner. ``least`` and ``most``
    replace the bounds that were recorded.
    """
    slots: int | None = None
    past = Past()
    for at, situation, recorded in moments:
        low = situation.least if least is None else least
        high = max(low, situation.most if most is None else most)
        before = situation.slots if slots is None else slots
        seen = replace(situation, slots=before, least=low, most=high, past=past)
        decision = decide(at, seen, policy)
        past = remember(decision, at, seen, policy)
        yield Replayed(at, before, decision, recorded)
        slots = decision.wanted
