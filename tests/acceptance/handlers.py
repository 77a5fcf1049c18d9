"""Handlers of module types that only these tests register."""

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from wedsync_ops.handlers.contract import Mail, NotNow, PermanentError, Run


def letter(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Deliver a mail slowly enough to be caught in the middle of it."""
    message = EmailMessage()
    message["Subject"] = config["subject"]
    message["From"] = "sender@example.org"
    message["To"] = "couple@example.org"
    message.set_content("hello")
    time.sleep(0.004)
    receipt = run.deliver(Mail(message))
    time.sleep(0.002)
    return {"delivery_id": receipt.delivery_id, "pid": os.getpid()}


def until_told(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Say that it runs, then wait until a file appears."""
    folder = Path(config["folder"])
    (folder / f"starting-{config['name']}").write_text(str(os.getpid()))
    (folder / f"starting-{config['name']}").rename(folder / f"running-{config['name']}")
    while not (folder / f"go-{config['name']}").exists():
        time.sleep(0.005)
    return {"name": config["name"]}


def version_one(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Tell which version of the definition ran."""
    return {"ran": 1}


def version_two(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Tell which version of the definition ran."""
    return {"ran": 2}


def chained(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Queue one further job."""
    if config["left"] > 0:
        run.enqueue("chained", {"left": config["left"] - 1})
    return {"left": config["left"]}


def stuck(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Never return by itself."""
    while True:
        time.sleep(1)


def heeding(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Say that it runs, then work until it is asked to stop: tell how long it had, and put the job off."""
    folder = Path(config["folder"])
    (folder / "running").touch()
    while not run.stopping:
        time.sleep(0.005)
    (folder / "time-left").write_text(str(run.time_left()))
    if config["then"] == "put off":
        raise NotNow(60, "the worker stops")
    return {"heeded": True}


def stubborn(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Do all that keeps a process alive: deaf to every signal that can be, with children in sessions of their own."""
    folder = Path(config["folder"])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
        (folder / f"pid-{os.getpid()}").touch()
        while True:
            time.sleep(1)
    (folder / f"pid-{os.getpid()}").touch()
    if config["closes"]:
        while len(list(folder.glob("pid-*"))) < 3:
            time.sleep(0.005)
        (folder / "running").touch()
        os.closerange(3, 256)
    (folder / "running").touch()
    while True:
        time.sleep(1)


def hostile(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Tell what it was given by every way there is, or fail with it."""
    said = str(context)
    match config["how"]:
        case "raise":
            raise ValueError(said)
        case "chain":
            try:
                raise KeyError(said)
            except KeyError as error:
                raise RuntimeError(said) from error
        case "print":
            print(said)  # noqa: T201
            print(said, file=sys.stderr)  # noqa: T201
        case "log":
            logging.getLogger("wedsync_ops.hostile").error(said)
            logging.getLogger().error(said)
            run.log(said)
        case "stderr":
            os.write(2, said.encode())
        case "die":
            os.write(2, said.encode())
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(60)
        case _:
            return {"it": {said}}
    return {}


def refused(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Fail for good, at once."""
    raise PermanentError("nobody wants it")


def failing(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Never comes to anything."""
    raise ValueError("it fails")


def fails_while_told(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Fail as long as a file is there."""
    if (Path(config["folder"]) / "fault").exists():
        raise ConnectionError("the provider refuses")
    return {}


def who_am_i(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Say which process runs this."""
    return {"pid": os.getpid()}


def sleeping(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Take as long as the config says."""
    time.sleep(config["ms"] / 1000)
    return {}
