"""What is remembered of the latest executions is what a reader who remembers nothing finds, on a real database."""

import random

from tests.alerts.conftest import Watch
from wedsync_ops.alerts.recent import LATE_US, SPAN_US, Recent
from wedsync_ops.alerts.store import points
from wedsync_ops.alerts.watching import Watching
from wedsync_ops.instants import MINUTE, SECOND

TYPES = ("email", "sms")


def test_executions_that_come_late_or_go_by_another_clock_are_found(watch: Watch) -> None:
    rand = random.Random(7)
    recent = Recent()
    for step in range(30):
        for name in TYPES:
            ago = rand.choice((0.5, 2.0, 9.0, 25.0, 80.0))  # the last two are seen long after their end
            outcomes = rand.choices(("ok", "error", "lost", "cancelled"), k=rand.randint(0, 3))
            watch.run(*outcomes, seconds_ago=ago, module_type=name, wedding_days=rand.choice((None, 3, 40)))
        watch.clock.advance(f"{rand.choice((1, 7, 30))}s")
        if step == 20:
            watch.clock.set(watch.clock.now() - 45 * SECOND)
        now = watch.clock.now()
        mark = (now - MINUTE) // MINUTE * MINUTE
        with watch.database.reading() as connection:
            found = recent.read(connection, TYPES, mark, now)
            recent.remember(TYPES, found, mark, now)
            assert sorted(found) == sorted(points.executed(connection, TYPES, SPAN_US, mark, now))


def test_what_is_remembered_is_not_read_again(watch: Watch) -> None:
    watch.run("ok", "error", seconds_ago=30)
    recent, now = Recent(), watch.clock.now()
    mark = (now - MINUTE) // MINUTE * MINUTE
    with watch.database.transaction() as connection:
        found = recent.read(connection, ["email"], mark, now)
        recent.remember(["email"], found, mark, now)
        # Nothing changes an execution; only so it shows that the row is not looked at again.
        connection.exec_driver_sql("UPDATE executions SET outcome = 'error'")
        assert recent.read(connection, ["email"], mark, now) == found
        assert Recent().read(connection, ["email"], mark, now) != found


def test_the_youngest_are_not_remembered(watch: Watch) -> None:
    now = watch.clock.now()
    watch.run("ok", seconds_ago=LATE_US / SECOND / 2)
    recent = Recent()
    with watch.database.transaction() as connection:
        found = recent.read(connection, ["email"], now - MINUTE, now)
        recent.remember(["email"], found, now - MINUTE, now)
        connection.exec_driver_sql("UPDATE executions SET outcome = 'error'")
        assert recent.read(connection, ["email"], now - MINUTE, now)[0].sums.failed == 1


def test_lost_and_cancelled_executions_alone_make_no_window(watch: Watch) -> None:
    watch.run("lost", "cancelled", module_type="free")
    watching = Watching(watch.database, watch.database.transaction)
    watching.catch_up(watch.clock.now())
    with watch.database.reading() as connection:
        assert watching.windows(connection, watch.clock.now(), [5 * MINUTE]) == {5 * MINUTE: {}}
