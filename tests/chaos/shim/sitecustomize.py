"""Lets a storm move the clock of the processes it starts: the instant is what the machine says, plus the file's number.

Python runs this module at its start when the folder is on the path. The file of eight bytes is named by WEATHER_CLOCK.
"""

import mmap
import os
import struct
import time

_real = time.time_ns
with open(os.environ["WEATHER_CLOCK"], "rb") as _file:  # noqa: PTH123 - in every process's start
    _offset = mmap.mmap(_file.fileno(), 8, prot=mmap.PROT_READ)


def _time_ns() -> int:
    (ahead,) = struct.unpack_from("<q", _offset)
    return _real() + int(ahead)


def _time() -> float:
    return _time_ns() / 1e9


time.time_ns = _time_ns
time.time = _time
