"""Jobs as tests look at them, and what is said when the one that was expected is not among them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from wedsync_ops.instants import from_datetime, to_datetime
from wedsync_ops.jobs.model import WAITING, Result, State
from wedsync_ops.jobs.store.view import JobDetail
from wedsync_ops.testing.clock import Moment, Span, instant_of, length_shown, microseconds, shown

_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Execution:
    """One attempt at a job."""

    job_id: int
    module_type: str
    attempt: int
    outcome: Result
    at: datetime
    error: str | None
    traceback: str | None
    log: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the database has it; ``priority`` is the one it has now, ``result`` what its handler returned."""

    job_id: int
    module_type: str
    module_version: int
    state: State
    priority: str
    due_at: datetime
    attempt: int
    max_attempts: int
    client_id: str
    supplier_id: str | None
    key: str | None
    config: Mapping[str, Any]
    context: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    priority_reasons: Sequence[str]
    due_reasons: Sequence[str]
    executions: Sequence[Execution]

    @property
    def is_waiting(self) -> bool:
        """Whether it has yet to run: scheduled, available or retryable."""
        return self.state in WAITING


class Expected(TypedDict, total=False):
    """What a queued job must be like. ``config`` and ``context`` name only what counts, at any depth.

    ``within`` is the longest time from now until it is due, ``at`` the very moment.
    """

    supplier_id: str
    client_id: str
    key: str
    priority: str
    config: Mapping[str, Any]
    context: Mapping[str, Any]
    within: Span
    at: Moment


def job_of(detail: JobDetail) -> Job:
    """A job of the database."""
    one = detail.job
    return Job(
        job_id=one.job_id,
        module_type=one.module_type,
        module_version=one.module_version,
        state=one.state,
        priority=one.priority_applied.word,
        due_at=to_datetime(one.due_at),
        attempt=one.attempt,
        max_attempts=one.max_attempts,
        client_id=detail.client_id,
        supplier_id=detail.supplier_id,
        key=detail.key,
        config=detail.config or {},
        context=detail.context or {},
        result=detail.result_data,
        error=one.error,
        priority_reasons=tuple(detail.priority_reasons),
        due_reasons=tuple(detail.due_reasons),
        executions=tuple(
            Execution(
                one.job_id,
                one.module_type,
                seen.attempt,
                Result(seen.outcome),
                to_datetime(seen.started_at),
                seen.error,
                seen.traceback,
                seen.log,
            )
            for seen in detail.executions
        ),
    )


def faults(job: Job, module_type: str | None, expected: Expected, now: int) -> list[str]:
    """What keeps a job from being the expected one, in words; nothing when it is."""
    if module_type is not None and job.module_type != module_type:
        return [f"it is {_a(job.module_type)}"]
    found = [
        f"{name} is {getattr(job, name)!r}, not {value!r}"
        for name, value in expected.items()
        if name in ("supplier_id", "client_id", "key", "priority") and getattr(job, name) != value
    ]
    for name in ("config", "context"):
        found += _differences(name, getattr(job, name), expected.get(name, {}))
    due_at = from_datetime(job.due_at)
    if "within" in expected and due_at > now + microseconds(expected["within"]):
        found.append(f"it is due only in {length_shown(due_at - now)}")
    if "at" in expected and due_at != instant_of(expected["at"]):
        found.append(f"it is due at {shown(due_at)}")
    return found


def _differences(path: str, value: Any, wanted: Any) -> Iterator[str]:
    """Where a value is not what is wanted; of an object only what is wanted counts."""
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        for key, item in wanted.items():
            if key in value:
                yield from _differences(f"{path}.{key}", value[key], item)
            else:
                yield f"{path}.{key} is missing"
    elif not value == wanted:  # noqa: SIM201 - whoever is wanted may decide by itself what equals it
        yield f"{path} is {value!r}, not {wanted!r}"


def described(module_type: str | None, expected: Expected) -> str:
    """The expected job in words."""
    words = [f"job of {module_type}" if module_type is not None else "job"]
    for name, value in expected.items():
        if name == "within":
            words.append(f"due within {value}")
        elif name == "at":
            words.append(f"due at {shown(instant_of(expected['at']))}")
        else:
            words.append(f"with {name} {value!r}")
    return " ".join(words)


def listed(jobs: Sequence[Job], now: int, remark: Callable[[Job], str]) -> str:
    """Jobs on a line each, with a remark on each: those of most use first, as many as one reads."""
    lines = [
        f"  {job.job_id} {job.module_type}, {job.state}, due {shown(from_datetime(job.due_at))}"
        f" (in {length_shown(from_datetime(job.due_at) - now)}), supplier {job.supplier_id}: {remark(job)}"
        for job in jobs[:_MOST_SHOWN]
    ]
    if len(jobs) > _MOST_SHOWN:
        lines.append(f"  and {len(jobs) - _MOST_SHOWN} more")
    return "\n".join(lines)


def _a(module_type: str) -> str:
    return f"{'an' if module_type[0] in 'aeiou' else 'a'} {module_type}"
