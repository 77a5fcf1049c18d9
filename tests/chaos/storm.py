"""A storm: workers under load, and one fault after another, as a seed has it."""

import contextlib
import json
import random
import signal
import subprocess
import time

import psutil

from tests.acceptance.conftest import descendants
from tests.chaos.checker import unfinished
from tests.chaos.scene import Crew, Scene

WORKERS = 2
LEASE_S = 2.0
_LIMIT = [{"name": "supplier", "concurrent": 2, "per": "supplier"}]


class Storm:
    """Keeps workers at work in a home, queues jobs, and does harm."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._home = scene.home
        self._dice = random.Random(seed)
        self._home.environment |= {"WEDSYNC_OPS_LEASE_S": str(LEASE_S), "WEDSYNC_OPS_LIMITS": json.dumps(_LIMIT)}
        self.children: list[psutil.Process] = []
        self.queued = self.fallen = 0
        self.asked = self.answered = 0
        self._crew = [self._start() for _ in range(WORKERS)]
        self.began = time.time()

    def rage(self, faults: int) -> None:
        """Let so many faults happen, with some jobs queued before each."""
        own = (self._kill_worker, self._kill_slot, self._stop_for_long, self._stop_shortly, self._retire)
        harms = (*own, *self._scene.faults)
        for _ in range(faults):
            self.queue(self._dice.randint(5, 40))
            time.sleep(self._dice.uniform(0, 0.2))  # the moment of a fault is chance, as it is out there
            self._dice.choice(harms)(self._dice, self._processes())
            self._replace_the_fallen()

    def calm(self) -> None:
        """Finish what is queued, and end the workers."""
        for worker in self._crew:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self._crew:
            worker.communicate(timeout=60)
        # A worker that died may have left leases to run out, and a clock that was ahead retries that lie there.
        until = time.monotonic() + 60
        while unfinished(self._scene) and time.monotonic() < until:
            self._home.run("run-worker", "--drain", "--concurrency", "4")

    def queue(self, count: int) -> None:
        """Queue some jobs, and count whether that was possible."""
        lines = [json.dumps(self._wish(self.queued + number)) for number in range(1, count + 1)]
        self.asked += 1
        answer = self._home.run("enqueue", "--file", "-", "--quiet", stdin="\n".join(lines), code=None)
        if answer.returncode == 0:
            self.answered += 1
            self.queued += count

    def _wish(self, number: int) -> dict[str, object]:
        couple = {"phone": f"+44770090{number % 10000:04}"}
        context = {"client_id": f"c{number}", "supplier_id": f"s{number % 5}", "journey_instance_id": "j"}
        return {
            "module_type": "sms",
            "key": f"storm-{number}",
            "priority": self._dice.choice(["low", "normal", "high", "critical"]),
            "config": {"message_text": f"text number {number}", "channel": "sms"},
            "context": {**context, "client_data": couple, "timezone": "Europe/London"},
        }

    def _start(self) -> subprocess.Popen[str]:
        return self._home.start("--concurrency", "3")

    def _processes(self) -> Crew:
        found: list[psutil.Process] = []
        for worker in self._crew:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
                found += [psutil.Process(worker.pid), *descendants(worker.pid)]
        return found

    def _replace_the_fallen(self) -> None:
        """As systemd does: a worker that has ended by itself is started anew."""
        for place, worker in enumerate(self._crew):
            if worker.poll() is not None:
                worker.communicate()
                self.fallen += 1
                self._crew[place] = self._start()

    @staticmethod
    def _slots_of(worker: subprocess.Popen[str]) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return descendants(worker.pid)
        return []

    def _any(self) -> int:
        return self._dice.randrange(len(self._crew))

    def _kill_worker(self, *_: object) -> None:
        worker = self._crew[self._any()]
        self.children += self._slots_of(worker)
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    def _kill_slot(self, *_: object) -> None:
        slots = self._slots_of(self._crew[self._any()])
        if slots:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._dice.choice(slots).send_signal(signal.SIGKILL)

    def _stop_for_long(self, *_: object) -> None:
        """Longer than the lease: others take its jobs over, and it wakes up as a dead one."""
        self._pause(LEASE_S + self._dice.uniform(0.3, 1.0))

    def _stop_shortly(self, *_: object) -> None:
        self._pause(self._dice.uniform(0.05, 0.5))

    def _pause(self, seconds: float) -> None:
        worker = self._crew[self._any()]
        worker.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # a process that is stopped cannot be asked
        worker.send_signal(signal.SIGCONT)

    def _retire(self, *_: object) -> None:
        worker = self._crew[self._any()]
        worker.terminate()
        worker.communicate(timeout=60)
