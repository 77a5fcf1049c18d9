"""Assertions on queued jobs, with messages that say what is queued instead."""

from collections.abc import Sequence

from wedsync_ops.modules.reading import near
from wedsync_ops.testing.jobs import Expected, Job, described, faults, listed


def fitting(jobs: Sequence[Job], module_type: str | None, expected: Expected, now: int) -> list[Job]:
    """The waiting jobs that are as expected. Raises TypeError for an expectation that there is not."""
    known = tuple(Expected.__annotations__)
    for name in expected.keys() - set(known):
        raise TypeError(f"there is no expectation {name!r}{near(name, known)}")
    return [job for job in jobs if job.is_waiting and not faults(job, module_type, expected, now)]


def expect(
    jobs: Sequence[Job], module_type: str | None, expected: Expected, *, count: int | None, now: int
) -> list[Job]:
    """The waiting jobs that are as expected: at least one, or exactly ``count``. Raises AssertionError."""
    __tracebackhide__ = True
    found = fitting(jobs, module_type, expected, now)
    if len(found) == count or (count is None and found):
        return found
    waiting = [job for job in jobs if job.is_waiting]
    wrong = {job.job_id: faults(job, module_type, expected, now) for job in jobs}
    wanted = described(module_type, expected)
    said = [_headline(wanted, len(found), count)]
    nearest = sorted(waiting, key=lambda job: (job.module_type != module_type, len(wrong[job.job_id]), job.job_id))
    if waiting:
        said.append(f"{_number(len(waiting))} waiting:")
        said.append(listed(nearest, now, lambda job: "; ".join(wrong[job.job_id]) or "fits"))
    else:
        said.append("no job is waiting")
    gone = [job for job in jobs if not job.is_waiting and not wrong[job.job_id]]
    if gone:
        said.append("not waiting any more:")
        said.append(listed(gone, now, lambda job: job.error or "fits"))
    raise AssertionError("\n".join(said))


def refute(jobs: Sequence[Job], module_type: str | None, expected: Expected, *, now: int) -> None:
    """Hold that no waiting job is like that. Raises AssertionError."""
    __tracebackhide__ = True
    found = fitting(jobs, module_type, expected, now)
    if found:
        wanted = described(module_type, expected)
        raise AssertionError(
            f"expected no {wanted}, but {_number(len(found))} waiting:\n"
            + listed(found, now, lambda job: f"config {dict(job.config)!r}")
        )


def _headline(wanted: str, found: int, count: int | None) -> str:
    if count is None:
        return f"no {wanted} is queued"
    return f"expected {count} × {wanted}, but {found or 'none'} {'is' if found == 1 else 'are'} queued"


def _number(jobs: int) -> str:
    return "1 job is" if jobs == 1 else f"{jobs} jobs are"
