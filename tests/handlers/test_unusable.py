"""Files that cannot be read and names beyond all measure: found when a job is queued, or made usable."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.handlers.mailing import CONTEXT, attempt, mails, site_in
from wedsync_ops.handlers import attachments
from wedsync_ops.handlers.contract import PermanentError, problems
from wedsync_ops.handlers.email import handle
from wedsync_ops.jobs.model import Result

NOBODY = 65_534


@pytest.fixture
def unreadable() -> Iterator[Path]:
    """A file of mode 000. Root may read everything: as root the test goes on as a user who may not."""
    with TemporaryDirectory() as name:
        file = Path(name) / "secret.pdf"
        file.write_bytes(b"x")
        file.chmod(0)
        file.parent.chmod(0o755)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield file
        finally:
            if is_root:
                os.seteuid(0)


def test_a_file_that_cannot_be_read_is_refused_and_its_folder_not_told(unreadable: Path) -> None:
    found = list(attachments.faults([unreadable.name], unreadable.parent))
    assert found == ["attachments[0]: 'secret.pdf' cannot be read"]
    with pytest.raises(PermanentError) as caught:
        attachments.read([unreadable.name], unreadable.parent)
    assert str(caught.value) == "attachments: 'secret.pdf' cannot be read: Permission denied"


@pytest.mark.parametrize("name", ["subject.txt", "body.html", "body.txt"])
@pytest.mark.parametrize(
    ("content", "said"), [(b"caf\xe9", "it is not UTF-8"), (b"{{ nothing", "line 1"), (b"{{ self }}", "not allowed")]
)
def test_a_template_that_cannot_be_used_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    folder = tmp_path / "templates" / "own"
    folder.mkdir(parents=True)
    for file in ("subject.txt", "body.html", "body.txt"):
        (folder / file).write_bytes(b"fine")
    site = site_in(tmp_path, templates_dir=folder.parent)
    assert problems(handle, {"template_id": "own"}, CONTEXT, site) == ()
    (folder / name).write_bytes(content)
    (found,) = problems(handle, {"template_id": "own"}, CONTEXT, site)
    assert found.startswith(f"config.template_id: the template own/{name} cannot be used: ")
    assert said in found
    assert str(tmp_path) not in found


def test_names_beyond_measure_are_cut(tmp_path: Path) -> None:
    site, long = site_in(tmp_path), "x" * 300_000
    about = {
        **CONTEXT,
        "client_data": {"email": "a@example.org", "couple_name": long, "venue_name": long},
        "supplier_data": {"name": long},
    }
    result, error, _ = attempt(site, {"template_id": "thank-you"}, about)
    assert result is Result.OK, error
    body = mails(site)[0].get_body(("plain",))
    assert body is not None
    assert "x" * 256 not in body.get_content().replace("\n", "")
    apart = {**about, "client_data": {"email": "a@example.org", "first_name": long, "partner_name": long}}
    assert attempt(site, {"template_id": "thank-you"}, apart, key="other")[0] is Result.OK
