"""A platform in numbers: work comes in, slots take it on, and the decisions of the package size it."""

from dataclasses import dataclass, field

from wedsync_ops.instants import SECOND
from wedsync_ops.scaling.decide import decide, remember
from wedsync_ops.scaling.model import Decision, Past, Policy, Situation, Waiting

EVERY_US = 5 * SECOND
START = 1_718_452_800 * SECOND


@dataclass
class Fleet:
    """Slots under a load that is given in slots of work; what they cannot do waits, in jobs of one second."""

    slots: int
    least: int = 2
    most: int = 50
    policy: Policy = field(default_factory=Policy)
    now: int = START
    backlog_s: float = 0.0
    past: Past = field(default_factory=Past)
    sizes: list[int] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def pass_by(self, load: float, ticks: int = 1) -> list[int]:
        """So many decisions under a load; the slots after each of them."""
        for _ in range(ticks):
            self.now += EVERY_US
            seconds = EVERY_US / SECOND
            done_s = min(self.slots * seconds, self.backlog_s + load * seconds)
            self.backlog_s += load * seconds - done_s
            situation = Situation(
                slots=self.slots,
                least=self.least,
                most=self.most,
                busy=done_s / seconds,
                offered=load,
                waiting=(Waiting(1, int(self.backlog_s), self.backlog_s),) if self.backlog_s >= 1 else (),
                past=self.past,
            )
            decision = decide(self.now, situation, self.policy)
            self.past = remember(decision, self.now, situation, self.policy)
            self.slots = decision.wanted
            self.sizes.append(self.slots)
            self.decisions.append(decision)
        return self.sizes[-ticks:]
