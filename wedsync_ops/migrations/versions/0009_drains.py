"""Drains: scopes that accept no new job while what was accepted runs to its end."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table; old workers do not look into it, and old callers go on queueing."""
    op.create_table(
        "drains",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("begun_by", sa.Text, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("drained_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("scope", "name"),
        sa.CheckConstraint("scope = 'all' OR scope = 'module' OR scope = 'supplier'", name="ck_drains_scope"),
    )
