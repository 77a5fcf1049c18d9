"""Recurring schedules, and every fire of them: one row per schedule and fire time, so that none happens twice."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables; old workers go on, and fire nothing."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
        sa.Column("next_fire_at", sa.BigInteger),
        sa.Column("next_due_at", sa.BigInteger),
        sa.Column("paused_at", sa.BigInteger),
        sa.Column("paused_by", sa.Text),
        sa.Column("pause_reason", sa.Text),
        sa.Column("paused_until", sa.BigInteger),
        sa.CheckConstraint("(next_fire_at IS NULL) = (next_due_at IS NULL)", name="ck_schedules_next"),
        sa.CheckConstraint("(paused_at IS NULL) = (paused_by IS NULL)", name="ck_schedules_paused"),
    )
    op.create_index(
        "schedules_to_fire",
        "schedules",
        ["next_due_at"],
        sqlite_where=sa.text("next_due_at IS NOT NULL"),
        postgresql_where=sa.text("next_due_at IS NOT NULL"),
    )
    op.create_table(
        "schedule_fires",
        sa.Column("schedule_id", sa.Text, nullable=False),
        sa.Column("fire_at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("schedule_id", "fire_at"),
        sa.CheckConstraint("kind = 'scheduled' OR kind = 'manual'", name="ck_schedule_fires_kind"),
        sa.CheckConstraint(
            "outcome = 'queued' OR outcome = 'missed' OR outcome = 'coalesced' OR outcome = 'skipped'"
            " OR outcome = 'refused'",
            name="ck_schedule_fires_outcome",
        ),
        sa.CheckConstraint("outcome = 'queued' OR reason IS NOT NULL", name="ck_schedule_fires_reason"),
    )
    op.create_index(
        "schedule_fires_of_jobs",
        "schedule_fires",
        ["schedule_id", "fire_at"],
        sqlite_where=sa.text("job_id IS NOT NULL"),
        postgresql_where=sa.text("job_id IS NOT NULL"),
    )
