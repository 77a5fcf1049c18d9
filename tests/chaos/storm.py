"""A storm: workers under load, and one fault after another, as a seed has it."""

import json
import random
import signal
import subprocess
import time

import psutil

from tests.acceptance.conftest import Home, descendants

WORKERS = 2
LEASE_S = 2.0
_LIMIT = [{"name": "supplier", "concurrent": 2, "per": "supplier"}]


class Storm:
    """Keeps workers at work in a home, queues jobs, and does harm."""

    def __init__(self, home: Home, seed: int) -> None:
        self._home = home
        self._dice = random.Random(seed)
        home.environment |= {"WEDSYNC_OPS_LEASE_S": str(LEASE_S), "WEDSYNC_OPS_LIMITS": json.dumps(_LIMIT)}
        self.children: list[psutil.Process] = []
        self.queued = 0
        self.asked = self.answered = 0
        self._crew = [self._start() for _ in range(WORKERS)]

    def rage(self, faults: int) -> None:
        """Let so many faults happen, with some jobs queued before each."""
        harms = (self._kill_worker, self._kill_slot, self._stop_for_long, self._stop_shortly, self._lock, self._retire)
        for _ in range(faults):
            self.queue(self._dice.randint(5, 40))
            time.sleep(self._dice.uniform(0, 0.2))  # the moment of a fault is chance, as it is out there
            self._dice.choice(harms)()

    def calm(self) -> None:
        """Finish what is queued, and end the workers."""
        for worker in self._crew:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self._crew:
            worker.communicate(timeout=60)
        # A worker that died may have left leases to run out, and places of limits with them.
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

    def _any(self) -> int:
        return self._dice.randrange(len(self._crew))

    def _kill_worker(self) -> None:
        place = self._any()
        worker = self._crew[place]
        self.children += descendants(worker.pid)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        self._crew[place] = self._start()

    def _kill_slot(self) -> None:
        slots = descendants(self._crew[self._any()].pid)
        if slots:
            self._dice.choice(slots).send_signal(signal.SIGKILL)

    def _stop_for_long(self) -> None:
        """Longer than the lease: others take its jobs over, and it wakes up as a dead one."""
        self._pause(LEASE_S + self._dice.uniform(0.3, 1.0))

    def _stop_shortly(self) -> None:
        self._pause(self._dice.uniform(0.05, 0.5))

    def _pause(self, seconds: float) -> None:
        worker = self._crew[self._any()]
        worker.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # a process that is stopped cannot be asked
        worker.send_signal(signal.SIGCONT)

    def _lock(self) -> None:
        with self._home.write_lock():
            time.sleep(self._dice.uniform(0.1, LEASE_S))

    def _retire(self) -> None:
        place = self._any()
        self._crew[place].terminate()
        self._crew[place].communicate(timeout=60)
        self._crew[place] = self._start()
