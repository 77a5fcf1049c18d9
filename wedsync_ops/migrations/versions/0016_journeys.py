"""Journeys: their versions, what was planned for each couple, the weddings that moved, what people did by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATES = ("queued", "past", "refused", "withdrawn")


def upgrade() -> None:
    """Create the tables; old workers know nothing of them. Days count from 1970-01-01."""
    op.create_table(
        "journeys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("is_current", sa.Boolean, nullable=False),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", "version"),
        sa.CheckConstraint("version >= 1", name="ck_journeys_version"),
    )
    current = sa.text("is_current")
    op.create_index("journeys_current", "journeys", ["id"], unique=True, sqlite_where=current, postgresql_where=current)
    _plans()
    _moves()


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("wedding_on", sa.Integer, nullable=False),
        sa.Column("booked_on", sa.Integer),
        sa.Column("timezone", sa.Text),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "plan_steps",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("journey_id", sa.Text, nullable=False),
        sa.Column("step_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("module_type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("ended_as", sa.Text),
        sa.PrimaryKeyConstraint("client_id", "journey_id", "step_id"),
        sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in STATES), name="ck_plan_steps_state"),
        sa.CheckConstraint("state <> 'queued' OR job_id IS NOT NULL", name="ck_plan_steps_job"),
    )
    unsettled = sa.text("job_id IS NOT NULL AND (ended_as IS NULL OR ended_as <> 'completed')")
    op.create_index(
        "plan_steps_unsettled", "plan_steps", ["job_id"], sqlite_where=unsettled, postgresql_where=unsettled
    )


def _moves() -> None:
    op.create_table(
        "wedding_moves",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("from_on", sa.Integer, nullable=False),
        sa.Column("to_on", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.Column("moved_at", sa.BigInteger, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("wedding_moves_by_client", "wedding_moves", ["client_id", "id"])
    op.create_table(
        "calls_made",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
    )
    op.create_index("calls_made_by_client", "calls_made", ["client_id"])
