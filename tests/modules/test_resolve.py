"""Handler names: what they stand for, and one line when they stand for nothing."""

import sys
from pathlib import Path

import pytest

from tests.modules import sample
from wedsync_ops.errors import InvalidInput
from wedsync_ops.modules.resolve import resolve


def test_a_dotted_name() -> None:
    assert resolve("tests.modules.sample:handle") is sample.handle
    assert resolve("tests.modules.sample:Handlers.inner") is sample.handle


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("tests.modules.nowhere:handle", "no Python module 'tests.modules.nowhere'"),
        ("nowhere_at_all:handle", "no Python module 'nowhere_at_all'"),
        ("tests.modules.sample:nothing", "has no 'nothing'"),
        ("tests.modules.sample:not_callable", "not callable"),
        ("tests.modules.sample:takes_too_little", "cannot be called with (config, context, run)"),
        ("os:system", "cannot be called"),
        ("tests.modules.broken:handle", "cannot be imported: SystemExit: no handler here"),
        ("unheard-of", "no installed package offers it"),
        (":handle", "is no name"),
        ("tests.modules.sample:", "is no name"),
        ("..sample:handle", "is no name"),
        ("a b:c", "is no name"),
        ("a:b:c", "is no name"),
        ("", "no installed package"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused_in_one_line(name: str, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(name)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def _offer(folder: Path, package: str, name: str, target: str) -> None:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[wedsync_ops.handlers]\n{name} = {target}\n")


def test_an_entry_point_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(tmp_path, "third_party", "my-greeting", sample.NAME)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert resolve("my-greeting") is sample.handle


def test_an_entry_point_that_two_packages_offer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(tmp_path, "one", "contested", sample.NAME)
    _offer(tmp_path, "two", "contested", "tests.modules.sample:Handlers.inner")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(InvalidInput, match="offered more than once"):
        resolve("contested")
