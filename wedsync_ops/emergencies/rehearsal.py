"""Circuit breakers without a database: what the watcher would do of executions that are told one by one. Pure."""

from collections import deque
from collections.abc import Mapping

from wedsync_ops.emergencies.breaker import Breaker, Key, Policy, Ran, advance, covered, failing, look_back, opened
from wedsync_ops.planning.simulate.model import Turn


class Rehearsal:
    """The breakers of a platform whose module types deliver over ``providers``; one look every ``every_us``."""

    def __init__(self, providers: Mapping[str, str | None], policy: Policy, every_us: int) -> None:
        self.every_us = every_us
        self._providers, self._policy = providers, policy
        many = max(policy.latest, policy.probes)
        self._ran: dict[str, deque[Ran]] = {name: deque(maxlen=many) for name in providers}
        self._known: list[Breaker] = []
        self._resolved: dict[Key, int] = {}

    def ended(self, module_type: str, started_at: int, finished_at: int, *, ok: bool) -> None:
        """An execution has ended by itself."""
        self._ran[module_type].appendleft(Ran(started_at, finished_at, ok))

    def look(self, now: int) -> list[Turn]:
        """Move the breakers, and tell which did."""
        turns: list[Turn] = []
        since = look_back(now, self._providers, self._known, self._resolved, self._policy)
        ran = {name: [one for one in ran if one.finished_at >= since[name]] for name, ran in self._ran.items()}
        known = self._known
        self._known = []
        for breaker in known:
            names = covered(breaker.key, self._providers)
            moved, said = advance(breaker, now, [one for name in names for one in ran[name]], self._policy)
            if moved is None:
                self._resolved[breaker.key] = now
                turns.append(Turn(now, breaker.key.words, "closed", tuple(names), said))
                continue
            self._known.append(moved)
            if moved != breaker:
                turns.append(Turn(now, moved.key.words, moved.state.value, tuple(names), said))
        for key, why in failing(now, ran, self._providers, known, self._policy).items():
            breaker = opened(key, 0, why, now, self._policy)
            self._known.append(breaker)
            names = covered(key, self._providers)
            turns.append(Turn(now, key.words, breaker.state.value, tuple(names), why))
        return turns
