"""Emergencies: what was declared, its steps, breakers, what is in force meanwhile, and overrides of the freeze."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SCOPES = ("all", "module", "provider", "supplier")
STEP_STATES = ("pending", "done", "failed", "undone")
BREAKER_STATES = ("open", "half_open")


def _one_of(column: str, words: tuple[str, ...]) -> str:
    return " OR ".join(f"{column} = '{word}'" for word in words)


def upgrade() -> None:
    """Create the tables; old workers go on, and follow no emergency."""
    _measures()
    _emergencies()
    _breakers()
    op.create_table(
        "freeze_overrides",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("weddings", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _measures() -> None:
    op.create_table(
        "measures",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("set_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.PrimaryKeyConstraint("source", "kind", "name"),
    )


def _emergencies() -> None:
    op.create_table(
        "emergencies",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("declared_by", sa.Text, nullable=False),
        sa.Column("by_rule", sa.Boolean, nullable=False),
        sa.Column("declared_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("well_since", sa.BigInteger),
        sa.Column("ending", sa.Text),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("resolved_by", sa.Text),
        sa.CheckConstraint(_one_of("scope", SCOPES), name="ck_emergencies_scope"),
        sqlite_autoincrement=True,
    )
    active = sa.text("resolved_at IS NULL")
    op.create_index(
        "emergencies_active",
        "emergencies",
        ["name", "scope", "subject"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )
    op.create_table(
        "emergency_steps",
        sa.Column("emergency_id", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("result", sa.Text),
        sa.Column("checked_at", sa.BigInteger),
        sa.Column("check_ok", sa.Boolean),
        sa.Column("check_said", sa.Text),
        sa.Column("undone_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("emergency_id", "position"),
        sa.CheckConstraint(_one_of("state", STEP_STATES), name="ck_emergency_steps_state"),
    )


def _breakers() -> None:
    op.create_table(
        "breakers",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("emergency_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("scope", "name"),
        sa.CheckConstraint("scope = 'module' OR scope = 'provider'", name="ck_breakers_scope"),
        sa.CheckConstraint(_one_of("state", BREAKER_STATES), name="ck_breakers_state"),
    )
