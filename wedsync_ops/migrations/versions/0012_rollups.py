"""Rollups: what executions came to, in buckets of a minute, an hour, a day, and since ever."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

SUMS = (
    "ok",
    "error",
    "timeout",
    "oom",
    "killed",
    "lost",
    "cancelled",
    "cpu_us",
    "cpu_wall_us",
    "memory_known",
    "memory_kb",
    "bytes_known",
    "bytes_sent",
    "week",
    "day",
    "peak",
    "week_ran",
    "week_failed",
    "urgent",
    "urgent_late",
)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; old workers go on writing executions, which new ones roll up."""
    op.create_table(
        "rollup_series",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("module_type", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "module_type", "name", name="uq_rollup_series"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rollups",
        sa.Column("series", sa.BigInteger, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("start_at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in SUMS),
        sa.Column("durations", sa.LargeBinary, nullable=False),
        sa.Column("waits", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("series", "level", "start_at"),
    )
    kept = ("kept_raw", "kept_minute", "kept_hour", "kept_day")
    op.create_table(
        "rollup_state",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("up_to", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in kept),
        sa.CheckConstraint("id = 1", name="ck_rollup_state_only"),
    )
