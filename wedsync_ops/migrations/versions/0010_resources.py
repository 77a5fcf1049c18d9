"""Resources: what executions of a module type take of memory, and how much of it a worker's machine has."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns; old workers go on, and leave them empty."""
    op.add_column("durations", sa.Column("memory_kb", sa.BigInteger))
    op.add_column("workers", sa.Column("memory_kb", sa.BigInteger))
