"""Alerts: what is wrong, everything that happened to each, silences, own rules, and what evaluation remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATES = ("pending", "firing", "acknowledged", "silenced", "no-data", "resolved")


def upgrade() -> None:
    """Create the tables; old workers go on, and evaluate nothing."""
    _alerts()
    _events()
    _silences()
    _evaluation()


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("module_type", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("value", sa.Float),
        sa.Column("worst", sa.Float),
        sa.Column("threshold", sa.Float),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("weddings", sa.Text, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("silenced_until", sa.BigInteger),
        sa.Column("missing_since", sa.BigInteger),
        sa.Column("clear_since", sa.BigInteger),
        sa.Column("told_at", sa.BigInteger),
        sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in STATES), name="ck_alerts_state"),
        sa.CheckConstraint("severity = 'warning' OR severity = 'critical'", name="ck_alerts_severity"),
        sa.CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="ck_alerts_resolved"),
        sa.CheckConstraint("(state = 'pending') = (opened_at IS NULL)", name="ck_alerts_opened"),
        sqlite_autoincrement=True,
    )
    unresolved = sa.text("resolved_at IS NULL")
    op.create_index(
        "alerts_by_key", "alerts", ["key"], unique=True, sqlite_where=unresolved, postgresql_where=unresolved
    )
    resolved = sa.text("resolved_at IS NOT NULL")
    op.create_index("alerts_resolved", "alerts", ["resolved_at"], sqlite_where=resolved, postgresql_where=resolved)


def _events() -> None:
    op.create_table(
        "alert_events",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("alert_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("note", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("alert_events_by_alert", "alert_events", ["alert_id", "id"])


def _silences() -> None:
    op.create_table(
        "alert_silences",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("alert_id", sa.BigInteger),
        sa.Column("type", sa.Text),
        sa.Column("module_type", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_by", sa.Text),
        sa.CheckConstraint(
            "alert_id IS NOT NULL OR type IS NOT NULL OR module_type IS NOT NULL", name="ck_alert_silences_what"
        ),
        sqlite_autoincrement=True,
    )


def _evaluation() -> None:
    op.create_table(
        "alert_rules",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "alert_points",
        sa.Column("span_us", sa.BigInteger, nullable=False),
        sa.Column("from_at", sa.BigInteger, nullable=False),
        sa.Column("module_type", sa.Text, nullable=False),
        sa.Column("ran", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("week_ran", sa.BigInteger, nullable=False),
        sa.Column("week_failed", sa.BigInteger, nullable=False),
        sa.Column("week_us", sa.BigInteger, nullable=False),
        sa.Column("total_us", sa.BigInteger, nullable=False),
        sa.Column("longest_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("span_us", "from_at", "module_type"),
    )
    op.create_table(
        "alert_marks",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
