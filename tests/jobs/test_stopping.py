"""How far a stop has come, by time and signals."""

from wedsync_ops.jobs.stopping import Phase, Stopping


def phases(stop: Stopping, *moments: float) -> list[Phase]:
    return [stop.phase(moment) for moment in moments]


def test_without_a_signal_it_works_and_quiet_it_stays() -> None:
    stop = Stopping(60, 15)
    assert phases(stop, 0, 1e9) == [Phase.WORKING] * 2
    stop.quiet()
    assert phases(stop, 0, 1e9) == [Phase.QUIET] * 2
    assert not stop.is_asked


def test_the_phases_follow_each_other_from_the_first_signal_on() -> None:
    stop = Stopping(60, 15)
    stop.ask(100)
    assert phases(stop, 100, 159.9) == [Phase.ENDING] * 2
    assert phases(stop, 160, 174.9) == [Phase.ASKING] * 2
    assert phases(stop, 175, 1e9) == [Phase.BREAKING] * 2


def test_a_second_signal_breaks_off_at_once() -> None:
    stop = Stopping(60, 15)
    stop.ask(100)
    stop.ask(101)
    assert stop.phase(101) is Phase.BREAKING


def test_a_quiet_worker_has_its_whole_grace_when_it_is_stopped() -> None:
    stop = Stopping(60, 15)
    stop.quiet()
    stop.ask(1000)
    assert phases(stop, 1000, 1060, 1075) == [Phase.ENDING, Phase.ASKING, Phase.BREAKING]


def test_without_grace_and_notice_it_breaks_off_at_once() -> None:
    stop = Stopping(0, 0)
    stop.ask(5)
    assert stop.phase(5) is Phase.BREAKING
