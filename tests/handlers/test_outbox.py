"""The outbox folder: files whole or not at all, read-only until they are durable, each once."""

import os
import stat
from pathlib import Path

import pytest

from wedsync_ops.handlers import outbox


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_file_is_read_only_until_it_is_settled(tmp_path: Path) -> None:
    receipt, size = outbox.put(tmp_path / "outbox", "a.eml", b"hello", "id")
    file = tmp_path / "outbox" / "a.eml"
    assert (receipt.reference, receipt.repeated, receipt.file_name, size) == (str(file), False, "a.eml", 5)
    assert (file.read_bytes(), mode(file)) == (b"hello", 0o400)
    outbox.settle(tmp_path / "outbox", ["a.eml"])
    assert (file.read_bytes(), mode(file)) == (b"hello", 0o600)


@pytest.mark.parametrize("settled", [False, True])
def test_what_was_delivered_is_not_delivered_again(tmp_path: Path, settled: bool) -> None:
    outbox.put(tmp_path, "a.eml", b"Date: 1", "id")
    if settled:
        outbox.settle(tmp_path, ["a.eml"])
    receipt, size = outbox.put(tmp_path, "a.eml", b"Date: 2", "id")
    assert (receipt.repeated, size, (tmp_path / "a.eml").read_bytes()) == (True, 0, b"Date: 1")


def test_a_settled_file_stays_whatever_comes(tmp_path: Path) -> None:
    outbox.put(tmp_path, "a.eml", b"short", "id")
    outbox.settle(tmp_path, ["a.eml"])
    assert outbox.put(tmp_path, "a.eml", b"much longer", "id")[0].repeated
    assert (tmp_path / "a.eml").read_bytes() == b"short"


def test_what_the_power_cut_short_is_written_whole(tmp_path: Path) -> None:
    outbox.put(tmp_path, "a.eml", b"", "id")  # a name that reached the disk before its content did
    receipt, size = outbox.put(tmp_path, "a.eml", b"hello", "id")
    assert (receipt.repeated, size, (tmp_path / "a.eml").read_bytes()) == (False, 5, b"hello")
    assert os.listdir(tmp_path) == ["a.eml"]  # noqa: PTH208 - dotfiles included


def test_settling_leaves_alone_what_is_not_there_or_no_file_of_ours(tmp_path: Path) -> None:
    outbox.settle(tmp_path / "none", ["a.eml"])
    other = tmp_path / "other"
    other.write_text("x")
    other.chmod(0o400)
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "link").symlink_to(other)
    outbox.settle(tmp_path / "outbox", ["gone"])
    with pytest.raises(OSError, match="symbolic links"):
        outbox.settle(tmp_path / "outbox", ["link"])
    assert mode(other) == 0o400
