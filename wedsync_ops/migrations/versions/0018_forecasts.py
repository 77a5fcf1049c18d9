"""Forecasts: how many executions are expected, hour by hour, and how good the method of each module type was."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Create the tables; old workers go on and forecast nothing."""
    op.create_table(
        "forecasts",
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("module_type", sa.Text, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("expected", "low", "high")),
        sa.Column("booked", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("hour", "module_type"),
        sa.CheckConstraint("low >= 0 AND low <= expected AND expected <= high", name="ck_forecasts_order"),
    )
    op.create_table(
        "forecast_methods",
        sa.Column("module_type", sa.Text, primary_key=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("history_days", sa.BigInteger, nullable=False),
        sa.Column("duration_us", sa.BigInteger),
        *(sa.Column(name, sa.Double) for name in ("wape", "mase", "inside")),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )
