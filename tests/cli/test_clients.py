"""``clients import``, from the command line."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Answer, Cli, child, environment_for

HEADER = "client_id,couple_name,email,wedding_date,location,supplier_id,vendor_type"
GOOD = [
    "c1,Ann & Bo,ann@example.com,2027-06-19,Chicago,s1,photographers",
    'c2,Cy & Di,cy@example.com,2027-06-20,"Austin, TX",s1,venue',
]
BAD = ["c3,Ed & Flo,ed@example.com,03/04/2027,,s1,venue", "c4,Gil & Hal,gil,2027-02-29,,s1,venue"]


def sheet(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def imported(cli: Cli, content: bytes, *options: str) -> Answer:
    return cli("clients", "import", "-", "--json", *options, stdin=content)


def known(cli: Cli) -> list[str]:
    found = cli("weddings", "list", "--from", "1970-01-01", "--json").document["weddings"]
    return [one["client_id"] for one in found]


def test_couples_are_imported_and_the_answer_counts_them(cli: Cli) -> None:
    assert imported(cli, sheet(*GOOD)).document == {
        "schema": "wedsync-ops/clients-import@1",
        "imported": 2,
        "updated": 0,
        "unchanged": 0,
        "refused": 0,
        "wedding_dates_moved": 0,
        "dry_run": False,
        "errors": [],
        "errors_not_listed": 0,
        "plans_to_move": 0,
    }
    again = imported(cli, sheet(*GOOD))
    assert (again.code, again.document["unchanged"]) == (0, 2)


def test_good_rows_are_kept_and_bad_ones_named_by_row(cli: Cli) -> None:
    answer = imported(cli, sheet(GOOD[0], *BAD, GOOD[1]))
    assert (answer.code, answer.error["code"]) == (6, "partly_done")
    assert answer.document["errors"] == [
        {
            "row": 3,
            "line": 3,
            "message": "wedding_date: '03/04/2027' is not a date (write it as YYYY-MM-DD, such as 2027-06-19)",
        },
        {
            "row": 4,
            "line": 4,
            "message": "email: 'gil' is not an e-mail address; wedding_date: the calendar has no 2027-02-29",
        },
    ]
    assert known(cli) == ["c1", "c2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (sheet(), "the file holds no couple"),
        (sheet(*BAD), "nothing was imported: all 2 rows were refused"),
        (sheet(*GOOD).replace(b",", b";"), "its fields are divided by semicolons"),
    ],
)
def test_nothing_done_is_exit_code_3(cli: Cli, content: bytes, message: str) -> None:
    answer = imported(cli, content)
    assert answer.code == 3
    assert message in answer.error["message"]


def test_a_file_that_is_missing_is_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    answer = cli("clients", "import", str(tmp_path / "none.csv"), "--json")
    assert (answer.code, answer.error["code"]) == (2, "file")


def test_atomic_takes_all_or_none(cli: Cli) -> None:
    answer = imported(cli, sheet(*GOOD, BAD[0]), "--atomic")
    assert (answer.code, answer.error["message"]) == (
        3,
        "nothing was imported: 1 rows were refused (each is named above)",
    )
    assert (answer.document["imported"], answer.document["refused"]) == (0, 1)
    assert known(cli) == []
    assert imported(cli, sheet(*GOOD), "--atomic").document["imported"] == 2


def test_a_dry_run_claims_nothing_of_the_good_rows(cli: Cli) -> None:
    answer = imported(cli, sheet(*GOOD, "c3,,,,,,"), "--dry-run")
    assert (answer.code, known(cli)) == (6, [])
    assert answer.error["message"].endswith("rows were refused (a dry run; nothing was changed)")


def test_the_difference_is_told(cli: Cli) -> None:
    imported(cli, sheet(*GOOD))
    moved = sheet(GOOD[0].replace("06-19", "06-26"), GOOD[1])
    dry = imported(cli, moved, "--diff", "--dry-run").document
    assert (dry["updated"], dry["wedding_dates_moved"], dry["dry_run"]) == (1, 1, True)
    document = imported(cli, moved, "--diff").document
    assert document["changes"] == [
        {"row": 2, "client_id": "c1", "fields": {"wedding_date": {"from": "2027-06-19", "to": "2027-06-26"}}}
    ]
    assert (document["changed_fields"], document["changes_not_listed"]) == ({"wedding_date": 1}, 0)
    told = cli("clients", "import", "-", "--diff", stdin=sheet(*GOOD)).out.splitlines()
    assert told == [
        "c1: wedding_date 2027-06-26 -> 2027-06-19",
        "0 imported, 1 updated (1 with another wedding date), 1 unchanged, 0 refused",
    ]


def test_quiet_leaves_the_errors_out(cli: Cli) -> None:
    assert "errors" not in imported(cli, sheet(GOOD[0], *BAD), "--quiet").document
    answer = cli("clients", "import", "-", "--quiet", stdin=sheet(GOOD[0], *BAD))
    assert answer.out == "0 imported, 0 updated, 1 unchanged, 2 refused\n"


def test_for_people_the_line_is_named_where_it_is_not_the_row(cli: Cli) -> None:
    content = sheet(GOOD[0].replace("Ann & Bo", '"Ann\n& Bo"'), BAD[0])
    assert cli("clients", "import", "-", stdin=content).out.startswith("row 3 (line 4): wedding_date: '03/04/2027'")


def test_json_lines_are_read_by_name_or_when_asked(cli: Cli, tmp_path: Path) -> None:
    record: dict[str, Any] = dict(zip(HEADER.split(","), GOOD[0].split(","), strict=True))
    lines = [json.dumps(record), json.dumps({**record, "client_id": 7, "phone": None}), "[]", '{"clientid": 1}']
    file = tmp_path / "couples.ndjson"
    file.write_text("\n".join(lines))
    answer = cli("clients", "import", str(file), "--json")
    assert answer.code == 6
    assert answer.document["imported"] == 2
    assert [(error["row"], error["message"]) for error in answer.document["errors"]] == [
        (3, "the line must be a JSON object, not a list"),
        (4, "there is no key 'clientid'; did you mean 'client_id'?"),
    ]
    again = imported(cli, file.read_bytes(), "--format", "ndjson", "--ignore-unknown")
    assert again.document["unchanged"] == 2
    assert "client_id is empty" in again.document["errors"][1]["message"]


def test_a_long_import_that_is_interrupted_keeps_whole_batches_and_can_be_repeated(cli: Cli, home: Path) -> None:
    cli("db", "migrate")
    reading = subprocess.Popen(
        [sys.executable, "-m", "wedsync_ops", "clients", "import", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment_for(home),
    )
    assert reading.stdin is not None
    rows = [f"c{number:04d},A,a@example.com,2027-06-19,,s1,venue" for number in range(750)]
    reading.stdin.write(sheet(*rows))
    reading.stdin.flush()  # and not closed: it waits for the rest of the second batch
    while not known(cli):
        assert reading.poll() is None
    reading.send_signal(signal.SIGINT)
    out, err = reading.communicate(timeout=30)
    assert reading.returncode == 130
    assert err.decode() == (
        "error: interrupted after row 501; 500 were imported and 0 updated (import the file again: what was taken in"
        " is not taken twice)\n"
    )
    assert out.decode() == "500 imported, 0 updated, 0 unchanged, 0 refused\n"
    again = imported(cli, sheet(*rows)).document
    assert (again["imported"], again["unchanged"]) == (250, 500)


def test_progress_is_for_terminals_only(home: Path) -> None:
    answer = child(home, "clients", "import", "-", stdin=sheet(*GOOD))
    assert (answer.code, answer.err) == (0, "")
