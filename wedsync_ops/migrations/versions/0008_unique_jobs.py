"""Unique jobs: what must not be in the queue twice, refused by the database itself."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# Spelt out: SQLite builds the list of an IN anew for every row that it checks. First what most jobs have not.
_HOLDS = (
    "unique_key IS NOT NULL AND (state = 'scheduled' OR state = 'available' OR state = 'running'"
    " OR state = 'retryable' OR (state = 'completed' AND unique_within_us IS NOT NULL))"
)


def upgrade() -> None:
    """Add the columns and their index; what old workers queue is not unique."""
    op.add_column("jobs", sa.Column("unique_key", sa.Text))
    op.add_column("jobs", sa.Column("unique_within_us", sa.BigInteger))
    holds = sa.text(_HOLDS)
    op.create_index("jobs_unique", "jobs", ["unique_key"], unique=True, sqlite_where=holds, postgresql_where=holds)
