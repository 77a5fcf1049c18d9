"""Stops: running jobs that somebody wants broken off, for their workers to find."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table; old workers do not look into it, and go on."""
    op.create_table(
        "stops",
        sa.Column("job_id", BIG, primary_key=True, autoincrement=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
    )
