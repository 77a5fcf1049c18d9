"""Workers: whether one still starts jobs, and which module types it leaves alone."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns; old workers go on, and count as working."""
    op.add_column("workers", sa.Column("phase", sa.Text, nullable=False, server_default="working"))
    op.add_column("workers", sa.Column("lacking", sa.Text))
