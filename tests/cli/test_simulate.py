"""``simulate``, from the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_clients import sheet

DAY = ("--day", "2027-06-19", "--jobs", "600")
LINE = {"at": "2027-01-12T10:00:00Z", "module_type": "info", "supplier_id": "s1", "duration_ms": 50}


def trace(*lines: object) -> bytes:
    return b"\n".join(json.dumps(line).encode() for line in lines)


def test_a_saturday_without_any_platform(cli: Cli, home: Path) -> None:
    answer = cli("simulate", *DAY, "--json")
    assert answer.code == 0
    assert answer.out.startswith('{"schema":"wedsync-ops/simulate@1"')
    found = answer.document
    assert found["from"] == "2027-06-19T00:00:00.000000Z"
    assert found["jobs"]["arrived"] == pytest.approx(600, rel=0.1)
    assert found["jobs"]["completed"] == found["jobs"]["arrived"]
    assert found["missed_deadlines"] == {"all": 0, "wedding_week": 0}
    assert [one["priority"] for one in found["waits"]] == ["critical", "high", "normal", "low"]
    assert len(found["series"]) == 24 * 60
    assert found["slots"]["at_start"] == 10
    assert not home.exists()


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(cli: Cli) -> None:
    first, second = cli("simulate", *DAY, "--json"), cli("simulate", *DAY, "--json")
    other = cli("simulate", *DAY, "--seed", "2", "--json")
    assert first.out == second.out
    assert other.document["jobs"] != first.document["jobs"] or other.document["series"] != first.document["series"]


def test_growth_multiplies_the_jobs(cli: Cli) -> None:
    answer = cli("simulate", *DAY, "--growth", "3", "--json")
    assert answer.document["jobs"]["arrived"] == pytest.approx(1800, rel=0.1)


def test_a_season_and_days_from_to(cli: Cli) -> None:
    season = cli("simulate", "--season", "2027", "--jobs", "500", "--json").document
    assert season["from"] == "2027-05-01T00:00:00.000000Z"
    assert season["to"] >= "2027-10-01"
    days = cli("simulate", "--from", "2027-06-18", "--to", "2027-06-19", "--jobs", "100", "--json").document
    assert (days["from"][:10], days["to"][:10]) == ("2027-06-18", "2027-06-20")


def test_what_is_registered_and_measured_is_simulated(registered: Cli) -> None:
    line = {**LINE, "module_type": "note"}
    answer = registered("simulate", "--trace", "-", "--json", stdin=trace(line))
    assert (answer.code, answer.document["jobs"]["completed"]) == (0, 1)
    refused = registered("simulate", *DAY, "--json")
    assert (refused.code, refused.error["code"]) == (3, "invalid")
    assert "module types that there are not: email" in refused.error["message"]


def test_the_couples_that_were_imported(cli: Cli, tmp_path: Path) -> None:
    assert cli("register", "--json").code == 0
    file = tmp_path / "couples.csv"
    file.write_bytes(sheet("c1,Ada & Ben,ada@example.org,2027-06-19,Bath,s1,photographer"))
    assert cli("clients", "import", str(file), "--json").code == 0
    answer = cli("simulate", "--clients", "--from", "2027-06-12", "--to", "2027-06-19", "--starts", "--json")
    assert answer.code == 0, answer.err
    assert answer.document["jobs"]["arrived"] == 12
    assert answer.document["starts"][0]["at"][:16] == "2027-06-12T09:30"


def test_couples_without_a_database(cli: Cli) -> None:
    answer = cli("simulate", "--clients")
    assert (answer.code, answer.out) == (2, "")
    assert "no couples are known" in answer.err


def test_breakers_are_told_of_and_can_be_left_out(cli: Cli) -> None:
    day = ("--day", "2027-06-19", "--jobs", "20000", "--outage", "smtp@09:00+20")
    found = cli("simulate", *day, "--json").document
    assert [one["state"] for one in found["breakers"][:1]] == ["open"]
    assert found["breakers"][-1]["state"] == "closed"
    bare = cli("simulate", *day, "--no-breakers", "--json").document
    assert bare["breakers"] == []
    assert found["jobs"]["discarded"] < bare["jobs"]["discarded"] / 4
    shown = cli("simulate", *day)
    assert "Circuit breakers" in shown.out
    assert "Of these, what no breaker held" in shown.out


class TestTrace:
    def test_jobs_and_their_starts(self, cli: Cli) -> None:
        lines = [{**LINE, "label": "a"}, {**LINE, "label": "b", "priority": "critical"}, {**LINE, "fails": True}]
        answer = cli("simulate", "--trace", "-", "--slots", "1", "--starts", "--json", stdin=trace(*lines))
        assert [one["label"] for one in answer.document["starts"]][:2] == ["b", "a"]
        assert answer.document["jobs"]["discarded"] == 1
        assert answer.document["starts"][1]["wait_ms"] == 52

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ({**LINE, "module_type": "fax"}, "line 2: there is no module type 'fax'"),
            ({**LINE, "at": "soon"}, "line 2: 'soon' is not a time"),
            ({**LINE, "duration_ms": -1}, "line 2: duration_ms"),
            ({**LINE, "wedding_date": "29 February"}, "line 2: '29 February' is not a date"),
            ({**LINE, "colour": "red"}, "line 2: colour"),
            ([], "line 2: the line must be"),
        ],
    )
    def test_a_line_that_is_wrong(self, cli: Cli, line: object, said: str) -> None:
        answer = cli("simulate", "--trace", "-", "--json", stdin=trace(LINE, line))
        assert (answer.code, answer.out) == (3, "")
        assert said in answer.error["message"]
        assert answer.error["details"][0]["line"] == 2

    def test_an_empty_one(self, cli: Cli) -> None:
        assert cli("simulate", "--trace", "-", stdin=b"").code == 3

    def test_one_that_is_missing(self, cli: Cli) -> None:
        assert cli("simulate", "--trace", "nowhere.ndjson").code == 2


def test_two_settings_side_by_side(cli: Cli) -> None:
    answer = cli("simulate", *DAY, "--slots", "2", "--compare", "slots=4..8,retry-attempts=5", "--json")
    found = answer.document
    assert found["slots"]["highest"] == 2
    assert found["compared"]["with"] == "slots=4..8,retry-attempts=5"
    assert found["compared"]["slots"]["lowest"] == 4
    assert found["compared"]["jobs"] == found["jobs"]
    shown = cli("simulate", *DAY, "--slots", "2", "--compare", "slots=4..8")
    assert "as asked" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


class TestGates:
    OUTAGE = ("--outage", "smtp@09:30+20", "--outage", "sms-gateway@08:00+60")

    def test_kept_to(self, cli: Cli) -> None:
        gates = ("--fail-if-late", "wedding_week=0", "--max-critical-wait", "1s", "--max-flaps", "0")
        answer = cli("simulate", *DAY, *gates, "--json")
        assert answer.code == 0
        assert [one["passed"] for one in answer.document["gates"]] == [True] * 3

    def test_not_kept_to(self, cli: Cli) -> None:
        answer = cli("simulate", *DAY, *self.OUTAGE, "--fail-if-late", "wedding_week=0", "--json")
        assert (answer.code, answer.error["code"]) == (1, "gate_failed")
        (gate,) = answer.document["gates"]
        assert (gate["gate"], gate["limit"], gate["passed"]) == ("wedding_week", 0, False)
        assert answer.error["details"] == [gate]

    def test_more_attempts_carry_it_through(self, cli: Cli) -> None:
        more = ("--retry-attempts", "13", "--fail-if-late", "all=0")
        assert cli("simulate", *DAY, *self.OUTAGE, *more).code == 0

    def test_critical_jobs_that_wait(self, cli: Cli) -> None:
        slow = ("--slow", "sms@08:00+120x40", "--slots", "1", "--max-critical-wait", "500ms")
        answer = cli("simulate", *DAY, *slow)
        assert answer.code == 1
        assert answer.err.startswith("error: the gate critical_wait_ms is not kept to: ")
        assert "FAILED" in answer.out


def test_a_worker_that_is_lost(cli: Cli) -> None:
    line = {**LINE, "duration_ms": 5000}
    lost = ("--lose-worker", "@2027-01-12T10:00:01Z", "--slots", "2")
    answer = cli("simulate", "--trace", "-", *lost, "--json", stdin=trace(line))
    assert answer.document["executions"] == {"total": 1, "failed": 0, "lost": 1}


def test_for_people(cli: Cli) -> None:
    answer = cli("simulate", *DAY, *TestGates.OUTAGE, "--lose-worker", "12:00+5")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    for words in ("missed deadlines", "Waits from due to start", "slots", "Changes of the slots", "high_error_rate"):
        assert words in answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--day", "soon"), "--day: 'soon' is not a date"),
        (("--day", "1960-01-01"), "--day"),
        (("--season", "2027", "--day", "2027-06-19"), "give one of --season, --day"),
        (("--from", "2027-06-19"), "--from and --to"),
        (("--from", "2027-06-19", "--to", "2027-06-18"), "--to must be"),
        (("--slots", "many"), "--slots 'many' is no number of slots"),
        (("--slots", "9..3"), "--slots '9..3'"),
        (("--slots", "0"), "--slots '0'"),
        (("--growth", "nan"), "finite"),
        (("--jobs", "5", "--weddings", "5"), "give one of"),
        (("--trace", "-", "--jobs", "5"), "--trace has its own"),
        (("--trace", "-", "--growth", "5"), "--growth has nothing to multiply"),
        (("--outage", "smtp"), "--outage 'smtp' is not NAME@START+MINUTES"),
        (("--outage", "smtp@soon+20"), "--outage: 'soon' is not a time"),
        (("--outage", "fax@14:00+20"), "no module type and no provider 'fax'"),
        (("--outage", "email@14:00+20x5"), "has no factor"),
        (("--slow", "email@14:00+20"), "names no factor"),
        (("--lose-worker", "@25:00"), "--lose-worker"),
        (("--compare", "colour=red"), "--compare 'colour=red'"),
        (("--compare", "workers=0"), "--compare workers='0'"),
        (("--compare", "growth=inf"), "--compare growth=inf"),
        (("--fail-if-late", "never"), "--fail-if-late 'never' is no gate"),
        (("--max-critical-wait", "soon"), "--max-critical-wait 'soon' is no length"),
    ],
)
def test_wrong_usage_says_what_to_write(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    stdin = trace(LINE) if "--trace" in arguments else None
    answer = cli(
        "simulate", *arguments, *(() if {"--trace", "--jobs"} & set(arguments) else ("--jobs", "10")), stdin=stdin
    )
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1
