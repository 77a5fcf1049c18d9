"""Who was told of which alert: every page over every channel, and up to which event that is decided."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATES = ("pending", "sent", "cancelled", "failed")


def upgrade() -> None:
    """Create the tables; old workers go on, and tell nobody."""
    op.create_table(
        "alert_deliveries",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("alert_id", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("group_key", sa.Text),
        sa.Column("repeat_us", sa.BigInteger),
        sa.Column("message_id", sa.Text),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in STATES), name="ck_alert_deliveries_state"),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ck_alert_deliveries_ended"),
        sqlite_autoincrement=True,
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "alert_deliveries_pending", "alert_deliveries", ["next_at"], sqlite_where=pending, postgresql_where=pending
    )
    op.create_index("alert_deliveries_by_alert", "alert_deliveries", ["alert_id"])
    op.create_table(
        "alert_cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("after_id", sa.BigInteger, nullable=False),
    )
