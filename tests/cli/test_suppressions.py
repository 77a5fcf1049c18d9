"""The suppression list and answers to forms from the command line: the answers and the exit codes of the contract."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from wedsync_ops.handlers.contract import recipient_digest

ADDRESS = "couple@example.org"
DIGEST = recipient_digest(f"mailto:{ADDRESS}")
COUPLE = json.dumps(
    {
        "client_id": "c1",
        "supplier_id": "s1",
        "journey_instance_id": "j1",
        "client_data": {"email": ADDRESS, "couple_name": "Ada & Grace"},
        "wedding_date": "2031-06-19",
    }
)
THANKS = '{"template_id": "thank-you"}'


@pytest.fixture
def shipped(cli: Cli) -> Cli:
    """The command line with the shipped module types."""
    assert cli("register").code == 0
    return cli


def drain(cli: Cli) -> None:
    assert cli("run-worker", "--drain", "--concurrency", "1").code == 0


def listed(cli: Cli) -> list[tuple[str, str]]:
    rows = cli("suppressions", "list", "--json").document["suppressions"]
    return [(row["recipient"], row["reason"]) for row in rows]


def test_add_list_and_remove(cli: Cli) -> None:
    added = cli("suppressions", "add", ADDRESS.upper(), "--reason", "bounce", "--note", "550", "--json").document
    assert added == {
        "schema": "wedsync-ops/suppressions-add@1",
        "recipient": DIGEST,
        "reason": "bounce",
        "changed": True,
    }
    assert cli("suppressions", "add", ADDRESS, "--json").document["changed"] is False
    document = cli("suppressions", "list", "--json").document
    assert document["schema"] == "wedsync-ops/suppressions-list@1"
    [entry] = document["suppressions"]
    assert (entry["recipient"], entry["reason"], entry["note"]) == (DIGEST, "bounce", "550")
    assert entry["since"].endswith("Z")
    assert ADDRESS not in cli("suppressions", "list").out
    assert cli("suppressions", "remove", DIGEST, "--json").document["recipient"] == DIGEST
    again = cli("suppressions", "remove", ADDRESS, "--json")
    assert (again.code, again.error["code"]) == (4, "not_found")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "nobody"), 3),
        (("add", "+1"), 3),
        (("add", ADDRESS, "--reason", "boredom"), 2),
        (("add",), 2),
        (("remove", "nobody"), 3),
        (("unsubscribe", "nonsense"), 3),
        (("import", "/nowhere/at/all"), 2),
        (("list", "--limit", "-1"), 2),
    ],
)
def test_what_is_wrong_has_the_exit_code_of_the_contract(cli: Cli, arguments: tuple[str, ...], code: int) -> None:
    answer = cli("suppressions", *arguments)
    assert answer.code == code
    assert "Traceback" not in answer.err


NDJSON = (
    b'{"address": "a@b.co", "reason": "bounce"}\n\n{"address": "+441632960001", "reason": "complaint", "note": "x"}\n'
)
CSV = b'\xef\xbb\xbfReason,Address,Note\r\nbounce,a@b.co,\r\ncomplaint,+44 1632 960001,"x, y"\r\n'


@pytest.mark.parametrize("content", [NDJSON, CSV])
def test_import_takes_ndjson_and_csv(cli: Cli, content: bytes) -> None:
    answer = cli("suppressions", "import", "-", "--json", stdin=content)
    assert answer.code == 0
    document = answer.document
    assert (document["added"], document["unchanged"], document["refused"]) == (2, 0, 0)
    assert sorted(reason for _, reason in listed(cli)) == ["bounce", "complaint"]
    assert cli("suppressions", "import", "-", "--json", stdin=content).document["unchanged"] == 2


@pytest.mark.parametrize(
    ("content", "code", "added", "lines"),
    [
        (b'{"address": "a@b.co", "reason": "bounce"}\n{"address": "x", "reason": "bounce"}\n', 6, 1, [2]),
        (b'{"address": "a@b.co", "reason": "tired"}\n{\n', 3, 0, [1, 2]),
        (b"address,reason\na@b.co,bounce\nb@b.co,\nc@b.co,bounce,note,more\n", 6, 1, [3, 4]),
        (b"a@b.co,bounce\n", 3, 0, [1]),
        (b"address,reason\n\xff\xfe,bounce\n", 3, 0, [2]),
        (b'address,reason\n"a@b.co"x,bounce\n', 3, 0, [2]),
        (
            b'{"address": "' + b"a" * 70_000 + b'", "reason": "bounce"}\n{"address": "a@b.co", "reason": "bounce"}',
            6,
            1,
            [1],
        ),
        (b"", 3, 0, []),
    ],
)
def test_import_reports_each_line_that_is_wrong(
    cli: Cli, content: bytes, code: int, added: int, lines: list[int]
) -> None:
    answer = cli("suppressions", "import", "-", "--json", stdin=content)
    assert answer.code == code
    assert answer.document["added"] == added
    assert [error["line"] for error in answer.document["errors"]] == lines


@pytest.mark.slow
def test_who_unsubscribes_by_the_link_of_a_mail_gets_no_other(shipped: Cli, home: Path) -> None:
    assert shipped("enqueue", "email", "--config", THANKS, "--context", COUPLE).code == 0
    drain(shipped)
    [mail] = (home / "outbox").glob("*.eml")
    link = mail.read_text().partition("List-Unsubscribe: <")[2].partition(">")[0]
    document = shipped("suppressions", "unsubscribe", link, "--json").document
    assert document == {
        "schema": "wedsync-ops/suppressions-unsubscribe@1",
        "recipient": DIGEST,
        "reason": "unsubscribed",
        "changed": True,
    }
    queued = shipped("enqueue", "email", "--config", THANKS, "--context", COUPLE, "--json").document
    drain(shipped)
    result = shipped("jobs", "show", str(queued["job_id"]), "--json").document["job"]["result_data"]
    assert (result["email_sent"], result["suppressed"]) == (False, "unsubscribed")
    assert len(list((home / "outbox").glob("*.eml"))) == 1


@pytest.mark.slow
def test_an_answered_form_is_reminded_of_no_more(shipped: Cli) -> None:
    config = '{"form_id": "guests", "reminder_enabled": true, "auto_follow_up": true}'
    queued = shipped("enqueue", "form", "--config", config, "--context", COUPLE, "--json").document
    drain(shipped)
    result = shipped("jobs", "show", str(queued["job_id"]), "--json").document["job"]["result_data"]
    assert result["reminder_scheduled"] is True
    done = shipped("forms", "responded", result["form_invitation_id"], "--json").document
    assert done["schema"] == "wedsync-ops/forms-responded@1"
    assert (len(done["cancelled"]), done["follow_up"]) == (5, "queued")
    drain(shipped)
    assert shipped("jobs", "show", str(done["follow_up_job_id"]), "--json").document["job"]["state"] == "completed"


def test_an_unknown_invitation_is_4(shipped: Cli) -> None:
    answer = shipped("forms", "responded", "form-1-" + "0" * 32, "--json")
    assert (answer.code, answer.error["code"]) == (4, "not_found")
    assert shipped("forms", "responded", "x", "--context", "{").code == 3


@pytest.mark.parametrize(
    ("module", "config", "shown"),
    [
        ("email", THANKS, "Ada &amp; Grace"),
        ("form", '{"form_id": "guests"}', "Fill in the form"),
        ("info", '{"title": "Parking", "content": "Behind the barn."}', "Behind the barn."),
    ],
)
def test_a_preview_is_written_as_html(shipped: Cli, tmp_path: Path, module: str, config: str, shown: str) -> None:
    file = tmp_path / "preview.html"
    answer = shipped(
        "modules", "preview", module, "--config", config, "--context", COUPLE, "--html", str(file), "--json"
    )
    assert answer.code == 0
    assert answer.document["html_file"] == str(file)
    assert shown in file.read_text()
    assert file.read_text().startswith("<!doctype html>")
    there = shipped("modules", "preview", module, "--config", config, "--context", COUPLE, "--html", str(tmp_path))
    assert there.code == 2


def test_a_preview_without_html_cannot_be_written_as_html(registered: Cli, tmp_path: Path) -> None:
    file = tmp_path / "preview.html"
    arguments = ("modules", "preview", "note", "--config", '{"text": "x"}', "--context", COUPLE, "--html", str(file))
    assert registered(*arguments).code == 2
    assert not file.exists()
