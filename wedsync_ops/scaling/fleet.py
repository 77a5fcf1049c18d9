"""The workers that are sized together: those that take the same jobs. Nothing is read or written here."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.scaling.model import ALL
from wedsync_ops.scaling.share import Member


@dataclass(frozen=True, slots=True)
class Fleet:
    """The living workers of a scope: those that are ``sized``, and those that keep their size."""

    scope: str
    region: str | None
    modules: frozenset[str] | None
    sized: tuple[Worker, ...] = ()
    fixed: tuple[Worker, ...] = ()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """All of them."""
        return (*self.sized, *self.fixed)

    @property
    def slots(self) -> int:
        """The slots that the sized ones have, or will have within a second because they were told so.

        A decision on what they still have would take back the one before it.
        """
        return sum(one.slots if one.wanted_slots is None else one.wanted_slots for one in self.sized)

    def takes(self, module_type: str) -> bool:
        """Whether its workers take jobs of a module type."""
        return self.modules is None or module_type in self.modules


def scope_of(worker: Worker) -> str:
    """The name of the scope of a worker: ``all``, or what it is limited to."""
    limits = (("modules", worker.modules), ("region", worker.region))
    return " ".join(f"{name}={value}" for name, value in limits if value is not None) or ALL


def fleets(workers: Iterable[Worker], now: int, lease_us: int) -> list[Fleet]:
    """The living workers that start jobs, by scope; without any there is still the scope of all."""
    found: dict[str, list[Worker]] = defaultdict(list)
    for worker in sorted(workers, key=lambda one: (one.started_at, one.id)):
        if worker.phase == "working" and now - worker.heartbeat_at < lease_us:
            found[scope_of(worker)].append(worker)
    if not found:
        return [Fleet(ALL, None, None)]
    return [_fleet(scope, several) for scope, several in sorted(found.items())]


def _fleet(scope: str, workers: Sequence[Worker]) -> Fleet:
    modules = workers[0].modules
    return Fleet(
        scope,
        workers[0].region,
        None if modules is None else frozenset(modules.split(",")),
        tuple(worker for worker in workers if worker.is_sized),
        tuple(worker for worker in workers if not worker.is_sized),
    )


def members(fleet: Fleet, everybody: Iterable[Worker], need_kb: float | None, *, is_own_memory: bool) -> list[Member]:
    """The sized workers with their bounds; ``need_kb`` is what a job is expected to take.

    The memory of a host is shared by its workers, unless each was given memory of its own.
    """
    on_host: Mapping[str, int] = Counter(worker.host for worker in everybody)
    found = []
    for worker in fleet.sized:
        sharing = 1 if is_own_memory else max(1, on_host[worker.host])
        fits = int(worker.memory_kb / sharing / need_kb) if worker.memory_kb and need_kb else None
        found.append(Member(worker.id, worker.min_slots or 1, worker.max_slots or 1, fits))
    return found
