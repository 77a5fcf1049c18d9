"""An incident of thirty minutes: everybody is told exactly what they should be, when they should be.

The clock is set; the mail server and the HTTP receivers are real. A receiver is down for ten minutes, the sender dies
in the middle, somebody acknowledges, silences, unsilences, and it is all over.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.alerts.notify.telling import Incident, Mailbox, configured, hooked, pages, site
from tests.jobs.receivers import Receiver
from wedsync_ops.alerts.model import AlertType, EventKind
from wedsync_ops.alerts.notifier import Notifier
from wedsync_ops.alerts.notifying import holder, load
from wedsync_ops.alerts.store import alerts
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.testing.clock import FakeClock

ROUTES = """\
  - name: critical
    match: {severity: critical}
    channels: [pager, hook]
    escalate: [{after_min: 5, channels: [mail]}]
    repeat_min: 10
  - name: rest
    channels: mail
    group_window_s: 30
    repeat_min: 0
"""
STEP_S = 5
Told = tuple[int, str, str, tuple[int, ...]]
Heard = tuple[int, str, tuple[int, ...]]


class Scene:
    """Thirty minutes in steps, and what was heard at each: the second, the channel, what, of which alerts."""

    def __init__(
        self, database: Database, clock: FakeClock, file: Path, pager: Receiver, hook: Receiver, mailbox: Mailbox
    ) -> None:
        self._database, self._clock, self._file = database, clock, file
        self._pager, self._hook, self._mailbox = pager, hook, mailbox
        self._script: dict[int, list[Callable[[], object]]] = defaultdict(list)
        self._start = clock.now()
        self.heard: list[Told] = []
        self.begin()

    def begin(self) -> None:
        """A sender starts; one that was there before has died without a word."""
        setup = load(self._file, site(self._file.parent), self._clock)
        self._notifier = Notifier(self._database, self._clock, setup.plan, setup.senders, holder(), random.Random(1))

    def at(self, minute: float, *actions: Callable[[], object]) -> None:
        self._script[round(minute * 60)] += actions

    def play(self, minutes: int) -> None:
        for second in range(0, minutes * 60 + 1, STEP_S):
            self._clock.set(self._start + second * SECOND)
            for action in self._script.pop(second, ()):
                action()
            while self._notifier.round(10).more:
                pass
            self._listen(second)
        assert not self._script
        self._notifier.close()

    def over(self, channel: str) -> list[Heard]:
        return [(second, what, about) for second, name, what, about in self.heard if name == channel]

    def _listen(self, second: int) -> None:
        known = {name: sum(one[1] == name for one in self.heard) for name in ("pager", "hook", "mail")}
        for action, key in pages(self._pager.taken)[known["pager"] :]:
            self.heard.append((second, "pager", action, (int(key.rpartition("-")[2]),)))
        for kind, about in hooked(self._hook)[known["hook"] :]:
            self.heard.append((second, "hook", kind, tuple(about)))
        for mail in self._mailbox.mails[known["mail"] :]:
            body = mail.get_content()
            ids = tuple(int(line.rpartition(" ")[2]) for line in body.splitlines() if line.startswith("Acknowledge:"))
            self.heard.append((second, "mail", str(mail["Subject"]), ids))


def script(scene: Scene, incident: Incident, pager: Receiver) -> dict[str, int]:
    """What happens, minute by minute; the ids that the alerts get."""
    ids: dict[str, int] = {}

    def opens(name: str, type_: AlertType, module: str) -> Callable[[], object]:
        return lambda: ids.__setitem__(name, incident.open(type_, module))

    scene.at(0, opens("errors", AlertType.WEDDING_WEEK_ERRORS, "sms"))
    scene.at(1, opens("queue", AlertType.QUEUE_LENGTH, "email"))
    scene.at(1.25, opens("rate", AlertType.HIGH_ERROR_RATE, "form"))
    scene.at(6, lambda: incident.acknowledge(ids["errors"]))
    scene.at(8, lambda: pager.answers.extend(["503"] * 10_000))  # it is down for ten minutes
    scene.at(8.5, opens("capacity", AlertType.CAPACITY, "email"))
    scene.at(12, opens("brief", AlertType.ANOMALY, "info"))
    scene.at(12.25, lambda: incident.resolve(ids["brief"]))
    scene.at(14, scene.begin)
    scene.at(18, pager.answers.clear)
    scene.at(20, lambda: incident.silence(ids["capacity"]))
    scene.at(22, lambda: incident.resolve(ids["errors"]))
    scene.at(24, lambda: incident.unsilence(ids["capacity"]))
    scene.at(26, lambda: incident.resolve(ids["capacity"]))
    scene.at(27, lambda: incident.resolve(ids["queue"]), lambda: incident.resolve(ids["rate"]))
    return ids


def test_everybody_is_told_what_they_should_be(
    database: Database,
    clock: FakeClock,
    incident: Incident,
    pager: Receiver,
    hook: Receiver,
    mailbox: tuple[Mailbox, int],
    tmp_path: Path,
) -> None:
    box, port = mailbox
    file = configured(tmp_path, ROUTES, pager.url, hook.url, port)
    scene = Scene(database, clock, file, pager, hook, box)
    ids = script(scene, incident, pager)
    scene.play(30)
    check_mails(scene.over("mail"), ids)
    check_hook(scene.over("hook"), ids)
    check_pager(scene.over("pager"), ids)
    refused = [post for post in pager.posts if post.answer == "503"]
    assert 10 <= len(refused) <= 30
    assert {post.document["dedup_key"] for post in refused} == {f"ops.example-alert-{ids['capacity']}"}
    with database.reading() as connection:
        kinds = [event.kind for event in alerts.events_of(connection, ids["capacity"])]
    assert kinds.count(EventKind.ESCALATED) == 1


def check_mails(mails: list[Heard], ids: dict[str, int]) -> None:
    assert [(second, about) for second, _, about in mails] == [
        (90, (ids["queue"], ids["rate"])),  # one mail for both, half a minute after the first
        (300, (ids["errors"],)),  # nobody has acknowledged
        (810, (ids["capacity"],)),
        (1320, ()),
        (1560, ()),
        (1650, ()),
    ]
    words = [what.partition("]")[0].removeprefix("[") for _, what, _ in mails]
    assert words == ["WARNING", "CRITICAL", "CRITICAL", "RESOLVED", "RESOLVED", "RESOLVED"]
    assert "nobody has acknowledged" in mails[1][1]
    assert "2 alerts" in mails[5][1]


def check_hook(heard: list[Heard], ids: dict[str, int]) -> None:
    errors, capacity = (ids["errors"],), (ids["capacity"],)
    assert heard == [
        (0, "opened", errors),
        (360, "acknowledged", errors),
        (510, "opened", capacity),
        (1110, "repeated", capacity),
        (1320, "resolved", errors),
        (1440, "repeated", capacity),
        (1560, "resolved", capacity),
    ]


def check_pager(heard: list[Heard], ids: dict[str, int]) -> None:
    errors, capacity = (ids["errors"],), (ids["capacity"],)
    back = heard[2][0]
    assert 1080 <= back <= 1080 + 60 + STEP_S  # at the latest a minute after it is up again
    assert heard == [
        (0, "trigger", errors),
        (360, "acknowledge", errors),
        (back, "trigger", capacity),
        (1320, "resolve", errors),
        (1440, "trigger", capacity),
        (1560, "resolve", capacity),
    ]
