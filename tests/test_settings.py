"""Settings: where each comes from, and one clear line for everything that does not fit."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from wedsync_ops import settings
from wedsync_ops.errors import InputFileError, SettingError
from wedsync_ops.settings import Settings


def load(environment: dict[str, str] | None = None, file: Path | None = None, **options: Any) -> settings.Loaded:
    return settings.load({"home": "/somewhere", **options}, environment or {}, file)


def refused(environment: dict[str, str] | None = None, file: Path | None = None, **options: Any) -> str:
    with pytest.raises(SettingError) as caught:
        load(environment, file, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "config.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


class TestSources:
    def test_later_ones_win(self, tmp_path: Path) -> None:
        file = written(tmp_path, "lease_s: 40\nmax_slots: 7\ncapacity: 5\n")
        environment = {"WEDSYNC_OPS_MAX_SLOTS": "8", "WEDSYNC_OPS_CAPACITY": "6"}
        loaded = load(environment, file, capacity=9)
        found = loaded.settings
        assert (found.min_slots, found.lease_s, found.max_slots, found.capacity) == (2, 40.0, 8, 9)
        assert [loaded.sources[name] for name in ("min_slots", "lease_s", "max_slots", "capacity", "home")] == [
            "default",
            f"file {file}",
            "environment",
            "option",
            "option",
        ]
        assert set(loaded.sources) == set(settings.names()) == {item.name for item in fields(Settings)}

    def test_every_default_is_acceptable(self) -> None:
        assert load().settings == Settings(home=Path("/somewhere"))

    def test_options_that_were_not_given_are_left_out(self) -> None:
        loaded = load(lease_s=None)
        assert (loaded.settings.lease_s, loaded.sources["lease_s"]) == (30.0, "default")

    def test_empty_and_foreign_variables_are_left_out(self) -> None:
        loaded = load({"WEDSYNC_OPS_LEASE_S": "", "LEASE_S": "1", "WEDSYNC_OPS_TEST_POSTGRES": "x"})
        assert loaded.settings.lease_s == 30.0

    def test_the_process_s_environment_counts_unless_one_is_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEDSYNC_OPS_HOME", "/elsewhere")
        loaded = settings.load({})
        assert (loaded.settings.home, loaded.sources["home"]) == (Path("/elsewhere"), "environment")

    def test_without_a_home_it_is_the_user_s(self) -> None:
        loaded = settings.load({}, {})
        assert loaded.settings.home.is_absolute()
        assert loaded.settings.home.name == "wedsync-ops"
        assert loaded.sources["home"] == "default"

    @pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
    def test_a_file_may_be_empty(self, tmp_path: Path, text: str) -> None:
        assert load(file=written(tmp_path, text)).settings == Settings(home=Path("/somewhere"))

    def test_each_kind_of_value_is_read_from_each_source(self, tmp_path: Path) -> None:
        text = (
            "peak_months: [6, 7]\nmid_months: 4 5\nheartbeat_s: 5\nregion: eu\noutbox_dir: ~/out\nretention_days: 3\n"
        )
        found = load(
            {"WEDSYNC_OPS_PEAK_MONTHS": "6,7 8", "WEDSYNC_OPS_LEASE_S": "2.5e1"}, written(tmp_path, text)
        ).settings
        assert (found.peak_months, found.mid_months, found.heartbeat_s, found.region) == ((6, 7, 8), (4, 5), 5.0, "eu")
        assert (found.lease_s, found.retention_days, found.outbox_dir) == (25.0, 3, Path.home() / "out")


class TestRefused:
    def test_an_unknown_name_names_the_nearest(self, tmp_path: Path) -> None:
        assert "did you mean 'max_slots'?" in refused(file=written(tmp_path, "max_slot: 3"))
        assert "there is no setting '5'" in refused(file=written(tmp_path, "5: 3"))
        message = refused(file=written(tmp_path, f"{'x' * 1000}: 3"))
        assert "did you mean" not in message

    @pytest.mark.parametrize(
        "text", ["- a\n", "5\n", "a: [\n", "a: 1\na: 2\n", "!!python/none x", "\x00", b"\xff\xfe\x00"]
    )
    def test_a_file_that_is_no_mapping(self, tmp_path: Path, text: str | bytes) -> None:
        assert "config.yaml" in refused(file=written(tmp_path, text))

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "none" / "x.yaml"):
            with pytest.raises(InputFileError, match=str(path)):
                load(file=path)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *((name, value) for name in ("lease_s", "ageing_s", "peak_multiplier") for value in ("soon", "nan", "inf")),
            *(
                (name, value)
                for name in (
                    "lease_s",
                    "min_slots",
                    "max_slots",
                    "busy_timeout_s",
                    "peak_multiplier",
                    "mid_multiplier",
                    "off_multiplier",
                    "weekend_multiplier",
                    "ageing_s",
                    "capacity",
                    "peak_capacity_factor",
                    "recycle_jobs",
                    "recycle_mb",
                    "loss_limit",
                    "kill_limit",
                    "network_capacity_mbps",
                )
                for value in ("0", "-1")
            ),
            *(
                (name, "-1")
                for name in (
                    "keep_completed",
                    "keep_failed",
                    "retention_days",
                    "dead_letter_days",
                    "wedding_week_delay_min",
                )
            ),
            ("retention_days", "99999999999"),
            ("dead_letter_days", "99999999999"),
            ("lease_s", "1e300"),
            ("max_slots", "2.5"),
            ("max_slots", "many"),
            ("max_slots", "1" * 5000),
            ("timezone", "Mars/Base"),
            ("timezone", "../etc"),
            ("durability", "maybe"),
            ("log_level", "loud"),
            ("log_format", "xml"),
            ("peak_months", "0"),
            ("peak_months", "13"),
            ("peak_months", "june"),
            ("heartbeat_s", "0"),
            ("heartbeat_s", "16"),
            ("smtp_url", "mail.example.org"),
            ("smtp_url", "http://mail.example.org"),
            ("smtp_url", "smtp://"),
            ("smtp_url", "smtp://[::1"),
            ("smtp_url", "smtp://host:port"),
            ("smtp_url", "smtp://host:99999"),
            ("sms_url", "ftp://x"),
            ("quiet_hours", "21:00"),
            ("quiet_hours", "21:00-24:00"),
            ("quiet_hours", "8:00-08:00"),
            ("quiet_hours", "night"),
            ("webhook_url", "hooks.example.org"),
            ("webhook_timeout_s", "0"),
            ("public_url", "localhost:8080"),
            ("public_url", "javascript:alert(1)"),
        ],
    )
    def test_a_value_that_does_not_fit(self, name: str, value: str) -> None:
        message = refused({f"WEDSYNC_OPS_{name.upper()}": value})
        assert f"the setting {name} (environment) " in message
        assert not [word for word in ("literal", "convert", "limit for") if word in message]

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("lease_s", "soon", "must be a number of at most 1e12, not 'soon'"),
            ("max_slots", "2.5", "must be a whole number, not '2.5'"),
            ("peak_months", "6, june", "must be months from 1 to 12, such as 5, 6, 7, not '6, june'"),
            ("lease_s", [3], "must be a number of at most 1e12, not a list"),
            ("sms_token", 53_724, "must be text, not a number"),
            ("db", "", "is empty (leave it out"),
        ],
    )
    def test_what_a_value_must_be_is_said(self, name: str, value: Any, words: str) -> None:
        assert f"the setting {name} (option) {words}" in refused(**{name: value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("max_slots", True),
            ("max_slots", 2.0),
            ("max_slots", [1]),
            ("max_slots", None),
            ("max_slots", {"a": 1}),
            ("lease_s", False),
            ("lease_s", [3]),
            ("lease_s", None),
            ("region", 5),
            ("timezone", None),
            ("home", 7),
            ("db", ["x"]),
            ("peak_months", 6),
            ("peak_months", {"a": 6}),
            ("peak_months", [6.5]),
            ("peak_months", [True]),
            ("peak_months", [None]),
            ("peak_months", None),
        ],
    )
    def test_a_value_of_another_kind_in_a_file(self, tmp_path: Path, name: str, value: Any) -> None:
        words = {None: "null", True: "true", False: "false"}
        text = (
            words[value] if isinstance(value, bool | None) else str(value).replace("True", "true").replace("None", "~")
        )
        assert f"the setting {name}" in refused(file=written(tmp_path, f"{name}: {text}"))

    def test_values_that_do_not_go_together(self) -> None:
        assert "heartbeat_s" in refused(heartbeat_s=20, lease_s=30)
        slots = refused({"WEDSYNC_OPS_MAX_SLOTS": "8"}, min_slots=9)
        assert "min_slots (option) is 9, and max_slots (environment) only 8" in slots
        assert "month 5 stands in both" in refused(mid_months="4,5")
        loads = refused({"WEDSYNC_OPS_SCALE_TARGET_LOAD": "0.9"})
        assert "scale_target_load (environment) must be less than scale_up_load, which is 0.8" in loads
        assert "scale_down_load (option) must be less than scale_target_load" in refused(scale_down_load=0.6)
        assert "scale_up_load (option) must be at most 1" in refused(scale_up_load=1.1)

    @pytest.mark.parametrize("value", [0, 0.05, 61, -1])
    def test_the_pause_between_decisions_is_bounded(self, value: float) -> None:
        assert "autoscale_every_s (option) must be 0.1 to 60" in refused(autoscale_every_s=value)

    @pytest.mark.parametrize("value", ["yes", "1", "on", 0, 1.0])
    def test_a_flag_is_true_or_false(self, value: object) -> None:
        assert "autoscale (option) must be true or false" in refused(autoscale=value)

    @pytest.mark.parametrize(("value", "means"), [("false", False), ("True", True), (False, False), (True, True)])
    def test_a_flag_is_read(self, value: object, *, means: bool) -> None:
        assert load(autoscale=value).settings.autoscale is means

    def test_a_nul_in_a_path(self) -> None:
        assert "home" in refused(home="/x\x00y")


class TestDerived:
    def test_the_heartbeat_is_a_third_of_the_lease(self) -> None:
        assert load(lease_s=60).settings.heartbeat == 20.0
        assert load(lease_s=60, heartbeat_s=7).settings.heartbeat == 7.0

    @pytest.mark.parametrize("secret", [None, "too short", "whsec_not base64 at all"])
    def test_a_webhook_needs_a_secret(self, secret: str | None) -> None:
        with pytest.raises(SettingError, match="webhook_secret"):
            load(webhook_url="https://hooks.example.org", webhook_secret=secret)

    @pytest.mark.parametrize("name", ["link_secret", "sms_callback_secret", "webhook_secret"])
    def test_a_secret_has_16_characters(self, name: str) -> None:
        with pytest.raises(SettingError, match=f"{name} .* at least 16 characters"):
            settings.load({name: "fifteen letters"}, {})
        assert getattr(settings.load({name: "sixteen letters."}, {}).settings, name) == "sixteen letters."

    @pytest.mark.parametrize("secret", ["sixteen letters.", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    def test_a_webhook_with_a_secret(self, secret: str) -> None:
        found = load(webhook_url="https://hooks.example.org/?token=s3cret", webhook_secret=secret).settings
        assert settings.shown(found, "webhook_url") == "https://hooks.example.org/***"
        assert settings.shown(found, "webhook_secret") == "***"

    def test_places_are_below_the_home(self) -> None:
        found = load().settings
        assert found.database_url == "sqlite:////somewhere/wedsync-ops.db"
        assert found.outbox == Path("/somewhere/outbox")
        assert load(db="sqlite:////x.db", outbox_dir="/o").settings.database_url == "sqlite:////x.db"
        assert load(outbox_dir="/o").settings.outbox == Path("/o")

    def test_a_home_is_made_absolute(self) -> None:
        assert load(home="here").settings.home == Path.cwd() / "here"


class TestShown:
    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("smtp_url", "smtp://ann:s3cret@mail.example.org:25", "smtp://***@mail.example.org:25"),
            ("smtp_url", "smtp://mail.example.org", "smtp://mail.example.org"),
            ("sms_token", "s3cret", "***"),
            ("sms_url", None, "-"),
            ("db", "postgresql+psycopg://ann:s3cret@db.example.org/x", "postgresql+psycopg://***@db.example.org/x"),
            (
                "db",
                "postgresql+psycopg://db.example.org/x?password=s3cret",
                "postgresql+psycopg://db.example.org/x?***",
            ),
            ("db", "sqlite:////x.db?mode=ro", "sqlite:////x.db?mode=ro"),
            ("db", "", "sqlite:///wedsync-ops.db"),
            ("sms_url", "https://gate.example.org/send?token=s3cret", "https://gate.example.org/***"),
            ("sms_url", "https://gate.example.org", "https://gate.example.org"),
            ("sms_url", "https://gate.example.org/", "https://gate.example.org"),
            ("webhook_url", "https://ann:s3cret@x.example:8443/hooks/s3cret#s3cret", "https://***@x.example:8443/***"),
            ("lease_s", 30.0, "30.0"),
            ("region", "eu", "eu"),
        ],
    )
    def test_hides_secrets(self, name: str, value: Any, expected: str) -> None:
        assert settings.shown(Settings(**{name: value}), name) == expected

    @pytest.mark.parametrize("value", ["s3cret:with/colon", "https://s3cret", "smtp://s3cret@host"])
    def test_never_shows_a_token(self, value: str) -> None:
        assert "s3cret" not in settings.shown(Settings(sms_token=value), "sms_token")

    def test_can_show_every_setting(self) -> None:
        for name in settings.names():
            assert settings.shown(Settings(), name)
        for item in fields(Settings):
            assert item.metadata["about"]


def test_a_user_without_a_name_acts_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)
    assert settings.operator() == "uid 3999999999"
