"""Limits: what a limit or a pause holds back leaves the index that claims read, until there is room again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add what holds a job, and the gauges; old workers know nothing of limits and may start what is held."""
    op.add_column("jobs", sa.Column("held_by", sa.Text))
    free, held = sa.text("state = 'available' AND held_by IS NULL"), sa.text("held_by IS NOT NULL")
    op.drop_index("jobs_to_claim", "jobs")
    columns = ["module_type", "priority", "rank", "id"]
    op.create_index("jobs_to_claim", "jobs", columns, sqlite_where=free, postgresql_where=free)
    order = [sa.text("held_by"), sa.text("priority DESC"), sa.text("rank"), sa.text("id")]
    op.create_index("jobs_held", "jobs", order, sqlite_where=held, postgresql_where=held)
    op.create_table(
        "limit_gauges",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("full_at", sa.BigInteger, nullable=False),
        sa.Column("window_number", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("wake_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("name", "key"),
    )
    waking = sa.text("wake_at IS NOT NULL")
    op.create_index("limit_gauges_waking", "limit_gauges", ["wake_at"], sqlite_where=waking, postgresql_where=waking)
