"""All slots of a pool that are processes: who starts, is idle, runs a job, or has to go."""

import contextlib
import math
import os
import select
import socket
from time import monotonic

from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs.forkserver import ForkServer
from wedsync_ops.jobs.model import Order, Result
from wedsync_ops.jobs.overseer import LOOK_S, Overseer
from wedsync_ops.jobs.process_slot import PipeClosed, ProcessSlot, Sentence, kill_group
from wedsync_ops.jobs.roster import Roster
from wedsync_ops.jobs.undertaker import Undertaker, is_dead, reap

_STARTS = 6
_FIRST_DELAY_S = 0.1
_START_AGAIN_S = 30.0
_LAST_WORDS_S = 0.1
_DEATH_S = 5.0
_CLOSE_S = 2.0
_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_ABORTED = Sentence(Result.CANCELLED, "aborted")


class ProcessSlots:
    """The slots that are processes. ``roster`` and ``next_watch`` (a monotonic second) are read by the pool."""

    def __init__(self, size: int, server: ForkServer, epoll: select.epoll) -> None:
        self._size = size
        self._server = server
        self._epoll = epoll
        self._slots: dict[int, ProcessSlot] = {}  # by pipe
        self._living: dict[int, ProcessSlot] = {}  # by process descriptor; those on their way out too
        self._starting: list[ProcessSlot] = []
        self._idle: list[ProcessSlot] = []
        self._retrying: list[ProcessSlot] = []  # their start failed; they hold the order until the next one
        self._overseer = Overseer()
        self._undertaker = Undertaker(epoll, server, self._known)
        self._closed = False
        self.roster = Roster()
        self.next_watch = math.inf

    def __len__(self) -> int:
        return len(self.roster.busy)

    def pids(self) -> list[int]:
        """The process ids of all living slots."""
        return [slot.pid for slot in self._living.values()]

    def warm(self) -> None:
        """Start all slots, without waiting for them."""
        while len(self._slots) < self._size and self._spawn():
            pass

    def start(self, order: Order, now: int) -> None:
        """Run an order in an idle slot, or a new one; ``now`` is the instant."""
        while self._idle or self._starting:
            slot = self._idle.pop() if self._idle else self._starting.pop()
            try:
                sent = slot.give(order, now)
            except PipeClosed:  # it died while it had nothing to do, for which this job is not to blame
                slot.order = None
                continue
            self.roster.take_on(slot, order)
            self._watch_by(slot.began + LOOK_S)
            if not sent:
                self._epoll.modify(slot.fd, _IN | _OUT)
            return
        self._spawn(order, now)

    def take_back(self, longer_than_s: float) -> None:
        """Have what was given ahead returned, from the slots whose running job takes longer than so many seconds."""
        if not self.roster.ahead:
            return
        before = monotonic() - longer_than_s
        for slot in [slot for slot in self.roster.busy if slot.ahead and slot.began < before]:
            self.roster.give_back(slot)

    def cancel(self, job_id: int, reason: str) -> bool:
        """Stop a running job; its outcome follows. Returns whether it was running."""
        slot = self.roster.slot_of(job_id)
        if slot is None:
            return False
        sentence = Sentence(Result.CANCELLED, reason)
        if self.roster.withdraw(slot, job_id, sentence):
            return True
        if slot in self._retrying:
            self._retrying.remove(slot)
            self.roster.end(slot, slot.outcome(sentence))
        elif slot.order is not None and slot.order.job_id == job_id:
            self._condemn(slot, sentence)
        return True

    def ask_to_stop(self, until: float) -> None:
        """Let the handlers that run know until which monotonic second they have."""
        for slot in self.roster.busy:
            slot.ask_to_stop(until)

    def abort(self) -> list[int]:
        """Kill everything now. Returns the jobs that were running; no outcome follows for them."""
        jobs = self._disown()
        self._drop_all(_ABORTED)
        self._settle(monotonic() + _DEATH_S)
        return jobs

    def resize(self, size: int) -> None:
        """Change the number of slots; surplus idle ones end at once, the others with their job.

        Where slots were needed before, new ones start now, so that they are warm when there is something to do.
        """
        self._size = size
        while len(self._slots) > size and self._idle:
            self._retire(self._idle.pop())
        if self._slots and not self._closed:
            self.warm()

    def close(self) -> None:
        """Let the slots end, kill those that have not within 2 s, and reap everything."""
        self._closed = True
        self._disown()
        self._drop_all(None)
        self._settle(monotonic() + _CLOSE_S)
        for slot in self._living.values():
            slot.kill(_ABORTED)
        self._settle(monotonic() + _DEATH_S)

    def on(self, fd: int, mask: int) -> None:
        """Something happened to a descriptor of these."""
        if slot := self._slots.get(fd):
            self._hear(slot, mask)
        elif slot := self._living.get(fd):
            self._bury(slot)
        elif fd in self._undertaker:
            self._undertaker.died(fd)
            self._watch_by(self._undertaker.look_at)

    def look_at_watches(self) -> None:
        """Do what is due by now."""
        now = monotonic()
        for slot in [*self._slots.values(), *self._living.values()]:
            if slot.watch_at <= now:
                self._overdue(slot)
        for slot in [slot for slot in self._retrying if slot.watch_at <= now]:
            self._retrying.remove(slot)
            self.roster.busy.discard(slot)
            self._spawn(slot.order, slot.started_at, slot.starts + 1)
        if self._undertaker.look_at <= now:
            self._undertaker.sweep()
        self._oversee(now)
        everyone = (*self._slots.values(), *self._living.values(), *self._retrying)
        self.next_watch = min((slot.watch_at for slot in everyone), default=math.inf)
        self._watch_by(self._undertaker.look_at)
        if self.roster.busy:
            self._watch_by(max(self._overseer.next_look, now + LOOK_S))

    def _oversee(self, now: float) -> None:
        """See what running jobs take, and end those that take too much."""
        if not self.roster.busy or now < self._overseer.next_look:
            return
        for slot, sentence in self._overseer.look(self.roster.busy):
            order = slot.order
            self._hear(slot, _IN)  # it may have ended meanwhile: then nobody is to blame
            if slot.order is order and slot.sentence is None and not slot.hung_up:
                self._condemn(slot, sentence)

    def _hear(self, slot: ProcessSlot, mask: int) -> None:
        if slot.muted:  # the event is older than that
            return
        try:
            if mask & _OUT and slot.flush():
                self._epoll.modify(slot.fd, _IN)
            if mask & ~_OUT:
                slot.receive()
        except PipeClosed:
            self.roster.collect(slot)
            self._hung_up(slot)
            return
        except WedsyncError as error:
            if not slot.alive:
                self._not_started(slot)
                return
            self.roster.collect(slot)
            self._condemn(slot, Sentence(Result.KILLED, f"{error}, and was killed"))
            return
        if slot.alive and slot.pidfd not in self._living:
            self._greet(slot)
        if slot.outcomes:
            self._finish(slot)

    def _greet(self, slot: ProcessSlot) -> None:
        self._living[slot.pidfd] = slot
        self._epoll.register(slot.pidfd, _IN)
        self._server.proven()
        self._watch_by(slot.watch_at if slot.order is None else slot.began + LOOK_S)
        if slot.sentence is not None:
            self._condemn(slot, slot.sentence)
        elif slot in self._starting:
            self._starting.remove(slot)
            if self._closed or len(self._slots) > self._size:
                self._retire(slot)
            else:
                self._idle.append(slot)

    def _finish(self, slot: ProcessSlot) -> None:
        self.roster.collect(slot)
        if slot.cores is not None:
            self._overseer.rests(slot)
        if slot.last:
            self.roster.give_back(slot)
        if slot.order is None:
            self._rest(slot)
        else:
            self._watch_by(slot.watch_at)

    def _rest(self, slot: ProcessSlot) -> None:
        """A slot has nothing to do: it waits for more, or ends when it is surplus or worn out."""
        if slot.last or len(self._slots) > self._size:
            self._retire(slot)
            self._replace()
        else:
            self._idle.append(slot)

    def _spawn(self, order: Order | None = None, started_at: int = 0, starts: int = 1) -> bool:
        ours, theirs = socket.socketpair()
        slot = ProcessSlot(ours, starts)
        if order is not None:
            slot.give(order, started_at)
            self.roster.take_on(slot, order)
        try:
            with theirs:
                self._server.request(theirs, slot.orders_end)
        except OSError:
            self._not_started(slot)
            return False
        slot.was_sent()
        self._slots[slot.fd] = slot
        self._epoll.register(slot.fd, _IN | _OUT)
        if order is None:
            self._starting.append(slot)
        self._watch_by(slot.watch_at)
        return True

    def _replace(self) -> None:
        if not self._closed and len(self._slots) < self._size:
            self._spawn()

    def _not_started(self, slot: ProcessSlot) -> None:
        """The slot never came to life: try again a little later, and in the end give the job back as lost."""
        self._forget_pipe(slot)
        self._undertaker.sweep()
        self._watch_by(self._undertaker.look_at)
        if slot.order is None:
            return
        if slot.sentence is not None:
            self.roster.end(slot, slot.outcome(slot.sentence))
        elif slot.starts >= _STARTS:
            text = f"no slot could be started for the job, after {slot.starts} tries"
            self.roster.end(slot, slot.outcome(Sentence(Result.LOST, text, _START_AGAIN_S)))
        else:
            slot.watch_at = monotonic() + _FIRST_DELAY_S * 2 ** (slot.starts - 1)
            self._retrying.append(slot)
            self._watch_by(slot.watch_at)

    def _hung_up(self, slot: ProcessSlot) -> None:
        """The pipe is closed. A slot that is dying is about to say so by itself; any other is killed for it."""
        if not slot.alive:
            self._not_started(slot)
            return
        self._mute(slot)
        slot.hung_up = True
        slot.watch_at = monotonic() + _LAST_WORDS_S
        self._watch_by(slot.watch_at)

    def _overdue(self, slot: ProcessSlot) -> None:
        if not slot.alive:
            self._server.close()  # it hangs, perhaps in the import of a handler
            self._not_started(slot)
        elif slot.sentence is not None:  # it is killed, but the kernel cannot end it: the job must not wait for that
            if slot.order is not None:
                self.roster.end(slot, slot.outcome(slot.sentence))
            slot.watch_at = math.inf
        elif slot.hung_up:
            text = "the slot closed its pipe in the middle of the job, and was killed"
            self._condemn(slot, Sentence(Result.KILLED, text))
        else:
            limit_s = 0.0 if slot.order is None else slot.order.timeout_s
            text = f"the attempt did not stop at its limit of {limit_s:g} s, and was killed"
            self._condemn(slot, Sentence(Result.TIMEOUT, text))

    def _condemn(self, slot: ProcessSlot, sentence: Sentence) -> None:
        """Kill a slot; its outcome follows when it is dead."""
        slot.kill(sentence)
        if slot.alive:  # otherwise it is killed as soon as it has said who it is
            self._mute(slot)
            slot.watch_at = monotonic() + _DEATH_S
            self._watch_by(slot.watch_at)

    def _retire(self, slot: ProcessSlot) -> None:
        """End a slot that has no job."""
        self._forget_pipe(slot)
        slot.kill(_ABORTED)
        slot.watch_at = math.inf

    def _bury(self, slot: ProcessSlot) -> None:
        """A slot is dead: see to its remains, and to the job that it had."""
        if not is_dead(slot.pid):
            return
        slot.receive_all()
        self.roster.collect(slot)
        had_job = slot.order is not None
        untouched = self.roster.inherit(slot)
        self._forget_pipe(slot)
        self._epoll.unregister(slot.pidfd)
        kill_group(slot.pid, slot.pidfd)
        self._undertaker.sweep(slot.pid)  # while the slot itself is still among the known
        self._watch_by(self._undertaker.look_at)
        status = reap(slot.pid)
        del self._living[slot.pidfd]
        os.close(slot.pidfd)
        self.roster.end(slot, slot.obituary(status))
        sentence = slot.sentence
        if untouched is not None and sentence is not None and sentence.result is Result.CANCELLED:
            self.roster.outcomes.append(slot.unstarted(untouched, sentence))
            self._replace()
        elif untouched is not None:  # it died idle, for which this job is not to blame
            self.start(untouched, slot.started_at)
        elif had_job:
            self._replace()

    def _forget_pipe(self, slot: ProcessSlot) -> None:
        self._mute(slot)
        self._overseer.forget(slot)
        if self._slots.get(slot.fd) is slot:
            del self._slots[slot.fd]
        for place in (self._starting, self._idle):
            if slot in place:
                place.remove(slot)
        slot.close()

    def _mute(self, slot: ProcessSlot) -> None:
        """Stop listening to a pipe."""
        if not slot.muted:
            slot.muted = True
            with contextlib.suppress(FileNotFoundError):  # it was never listened to
                self._epoll.unregister(slot.fd)

    def _known(self) -> list[int]:
        for slot in list(self._slots.values()):
            if not slot.alive:  # it may just have been forked, and have said so
                self._hear(slot, _IN)
        return self.pids()

    def _disown(self) -> list[int]:
        self._retrying.clear()
        return self.roster.disown()

    def _drop_all(self, sentence: Sentence | None) -> None:
        """Close all pipes, and kill the slots when there is a sentence."""
        self._server.close()
        for slot in list(self._slots.values()):
            if slot.alive:
                self._forget_pipe(slot)
                if sentence is not None:
                    slot.kill(sentence)
            else:
                slot.sentence = _ABORTED

    def _settle(self, until: float) -> None:
        """Wait until every slot and stray is gone."""
        while (self._slots or self._living or self._undertaker) and monotonic() < until:
            for fd, mask in self._epoll.poll(max(0.0, until - monotonic()), 64):
                self.on(fd, mask)

    def _watch_by(self, at: float) -> None:
        self.next_watch = min(self.next_watch, at)
