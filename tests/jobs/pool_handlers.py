"""Handlers that behave, and many that do not, for the tests of the pool."""

import ctypes
import math
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wedsync_ops.handlers.contract import NotNow, PermanentError, RetryAfter, Run
from wedsync_ops.jobs.forkserver import MARK

Json = Mapping[str, Any]
_KEPT: list[Any] = []


def nothing(config: Json, context: Json, run: Run) -> Json:
    return {}


def echo(config: Json, context: Json, run: Run) -> Json:
    return {
        "config": dict(config),
        "context": dict(context),
        "job_id": run.job_id,
        "attempt": run.attempt,
        "key": run.idempotency_key,
        "now": run.now,
        "time_left": run.time_left(),
        "outbox": str(run.site.outbox),
        "pid": os.getpid(),
        "leader": os.getsid(0) == os.getpgrp() == os.getpid(),
        "fds": sorted(int(fd.name) for fd in Path("/proc/self/fd").iterdir()),
        "parent": os.getppid(),
    }


def sizes(config: Json, context: Json, run: Run) -> Json:
    return {"config": len(config["text"]), "context": len(context["text"])}


def chatty(config: Json, context: Json, run: Run) -> Json:
    print("printed")  # noqa: T201
    run.log("logged", guests=3)
    print("complained", file=sys.stderr)  # noqa: T201
    sys.stdout.buffer.write(b"raw\x00bytes\xff")
    return {}


def closes_stdout(config: Json, context: Json, run: Run) -> Json:
    sys.stdout.close()
    return {}


def detaches_stdout(config: Json, context: Json, run: Run) -> Json:
    sys.stdout.detach()  # type: ignore[union-attr]
    run.log("detached")
    sys.stdout = sys.stderr = None
    return {}


def floods(config: Json, context: Json, run: Run) -> Json:
    for _ in range(100):
        print("x" * 1_000_000)  # noqa: T201
    return {}


def raises(config: Json, context: Json, run: Run) -> Json:
    raise ValueError("the cake is late\nand so are the flowers\x00")


def raises_at_length(config: Json, context: Json, run: Run) -> Json:
    raise ValueError("x" * 100_000)


def raises_unprintable(config: Json, context: Json, run: Run) -> Json:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    raise Odd


def recurses(config: Json, context: Json, run: Run) -> Json:
    return recurses(config, context, run)


def permanent(config: Json, context: Json, run: Run) -> Json:
    raise PermanentError("no such couple")


def retry_after(config: Json, context: Json, run: Run) -> Json:
    raise RetryAfter(config["seconds"], "the gateway is busy")


def not_now(config: Json, context: Json, run: Run) -> Json:
    raise NotNow(config["seconds"], "held until morning")


def leaves(config: Json, context: Json, run: Run) -> Json:
    sys.exit(3)


def interrupts(config: Json, context: Json, run: Run) -> Json:
    raise KeyboardInterrupt


def exits(config: Json, context: Json, run: Run) -> Json:
    os._exit(7)


def kills_itself(config: Json, context: Json, run: Run) -> Json:
    run.log("last words")
    os.kill(os.getpid(), getattr(signal, config["signal"]))
    time.sleep(60)
    return {}


def segfaults(config: Json, context: Json, run: Run) -> Json:
    ctypes.string_at(0)
    return {}


def returns_none(config: Json, context: Json, run: Run) -> Any:
    return None


def returns_nan(config: Json, context: Json, run: Run) -> Json:
    return {"load": math.nan}


def returns_set(config: Json, context: Json, run: Run) -> Json:
    return {"guests": {1, 2}}


def returns_list(config: Json, context: Json, run: Run) -> Any:
    return [1]


def returns_cycle(config: Json, context: Json, run: Run) -> Json:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def returns_much(config: Json, context: Json, run: Run) -> Json:
    return {"text": config.get("of", "x") * config["size"]}


def changes_config(config: Any, context: Json, run: Run) -> Json:
    config["a"] = 2
    return {}


def loops(config: Json, context: Json, run: Run) -> Json:
    run.log("looping")
    while True:
        pass


def sleeps(config: Json, context: Json, run: Run) -> Json:
    time.sleep(config.get("seconds", 60))
    return {"slept": True}


def swallows(config: Json, context: Json, run: Run) -> Json:
    try:
        time.sleep(60)
    except BaseException:  # noqa: BLE001
        return {"swallowed": True}
    return {}


def deaf(config: Json, context: Json, run: Run) -> Json:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass


def burns(config: Json, context: Json, run: Run) -> Json:
    until = time.process_time() + config["cpu_s"]
    while time.process_time() < until:
        pass
    return {}


def allocates(config: Json, context: Json, run: Run) -> Json:
    block = bytearray(config["mb"] * 1024 * 1024)
    return {"size": len(block)}


def grows(config: Json, context: Json, run: Run) -> Json:
    """Take so many MB a second, as even as a sleep allows."""
    began = time.monotonic()
    taken = 0
    while True:
        due = int((time.monotonic() - began) * config["mb_per_s"])
        _KEPT.append(bytearray(b"x") * ((due - taken) * 1024 * 1024))
        taken = due
        time.sleep(0.001)


def keeps(config: Json, context: Json, run: Run) -> Json:
    _KEPT.append(bytearray(b"x") * (config["mb"] * 1024 * 1024))
    return {"pid": os.getpid()}


def daemon(config: Json, context: Json, run: Run) -> Json:
    """Leave a process in a session of its own behind, whose parent is dead, then do as told."""
    if os.fork() == 0:
        if config.get("own_session", True):
            os.setsid()
        if os.fork() == 0:
            Path(config["pid_file"]).write_text(str(os.getpid()))
            os.execv(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(600)"])  # noqa: S606
        os._exit(0)
    os.wait()
    while not Path(config["pid_file"]).exists() or not Path(config["pid_file"]).read_text():
        time.sleep(0.001)
    if config["then"] == "hang":
        time.sleep(60)
    if config["then"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"pid": os.getpid()}


def daemon_in_disguise(config: Json, context: Json, run: Run) -> Json:
    """Leave a process behind that for a while shows no environment, as any does in the middle of an exec."""
    later = "import os, sys, time; time.sleep(0.2); os.execve('/bin/sleep', ['sleep', '600'], dict([sys.argv[1:]]))"
    mark = (MARK, os.environ[MARK])
    ready, written = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path(config["pid_file"]).write_text(str(os.getpid()))
            os.write(written, b"x")
            os.execve(sys.executable, [sys.executable, "-S", "-c", later, *mark], {})  # noqa: S606
        os._exit(0)
    os.wait()
    os.read(ready, 1)
    stray = int(Path(config["pid_file"]).read_text())
    while Path(f"/proc/{stray}/environ").read_bytes():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def forks_and_returns_twice(config: Json, context: Json, run: Run) -> Json:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return {"child": child == 0}


def terminates_a_program(config: Json, context: Json, run: Run) -> Json:
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as program:
        program.terminate()
        return {"code": program.wait(10)}


def closes_pipe(config: Json, context: Json, run: Run) -> Json:
    os.closerange(3, 100)
    time.sleep(config["seconds"])
    return {}


def _pipe() -> int:
    return next(int(fd.name) for fd in Path("/proc/self/fd").iterdir() if "socket:" in str(fd.readlink()))


def talks_rubbish(config: Json, context: Json, run: Run) -> Json:
    os.write(_pipe(), bytes.fromhex(config["hex"]))
    time.sleep(60)
    return {}


def hears_signals(config: Json, context: Json, run: Run) -> Json:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)
    return {"alive": True}


def queues(config: Json, context: Json, run: Run) -> Json:
    run.enqueue("email", {"template": "thanks"}, delay=5, key="thanks-1")
    run.enqueue("sms", {"text": "hi"}, context={"client_id": "other"})
    if config.get("fail"):
        raise ValueError("after all not")
    return {}


def queues_wrongly(config: Json, context: Json, run: Run) -> Json:
    run.enqueue("email", {}, colour="white")
    return {}


def queues_no_json(config: Json, context: Json, run: Run) -> Json:
    run.enqueue("email", {"guests": {1}})
    return {}


def logs_much(config: Json, context: Json, run: Run) -> Json:
    for _ in range(10_000):
        run.log("a line of some length")
    return {}


def imported(config: Json, context: Json, run: Run) -> Json:
    return {name: name in sys.modules for name in config["names"]}


def heed(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Begin, then work until it is asked to stop, or tell at once whether it was."""
    if config.get("waits"):
        Path(config["folder"], "running").touch()
        while not run.stopping:
            time.sleep(0.002)
    return {"stopping": run.stopping, "time_left": run.time_left()}


def fills_memory_with_children(config: Json, context: Json, run: Run) -> Json:
    """Each child takes so many MB, and all of them stay; what the slot itself may allocate says nothing of that."""
    code = "import sys, time; held = b'x' * (int(sys.argv[1]) << 20); print('full', flush=True); time.sleep(600)"
    command = [sys.executable, "-S", "-c", code, str(config["mb"])]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(config["children"])]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    run.log("full")
    time.sleep(config["seconds"])
    for child in children:
        child.kill()
        child.communicate()
    return {}


def fills_shared_memory(config: Json, context: Json, run: Run) -> Json:
    size = config["mb"] << 20
    with mmap.mmap(-1, size) as shared:
        for at in range(0, size, 1 << 20):
            shared[at : at + (1 << 20)] = b"x" * (1 << 20)
        time.sleep(config["seconds"])
    return {}


def reads_a_mapped_file(config: Json, context: Json, run: Run) -> Json:
    with Path(config["file"]).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        total = sum(mapped[at] for at in range(0, len(mapped), 4096))
        time.sleep(config["seconds"])
    return {"total": total}


def may_use_cores(config: Json, context: Json, run: Run) -> Json:
    """The cores of this process's threads and of a child, once somebody has set them, or the time is over."""
    at_first = sorted(os.sched_getaffinity(0))
    if not config.get("seconds"):
        return {"slot": at_first}
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, daemon=True)
    thread.start()
    with subprocess.Popen(["sleep", "600"]) as child:
        until = time.monotonic() + config["seconds"]
        tasks = [0, thread.native_id or 0, child.pid]
        while time.monotonic() < until and any(len(os.sched_getaffinity(task)) > 1 for task in tasks):
            time.sleep(0.01)
        found = [sorted(os.sched_getaffinity(task)) for task in tasks]
        child.kill()
    ended.set()
    thread.join()
    return {"before": at_first, "slot": found[0], "thread": found[1], "child": found[2]}
