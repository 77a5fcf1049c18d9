"""Which forms were answered, so that an answer that overtakes the end of its form's job still cancels the reminders."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table; old workers go on, and leave the reminders of such a form standing as they did before."""
    op.create_table(
        "form_answers",
        sa.Column("job_id", BIG, primary_key=True, autoincrement=False),
        sa.Column("answered_at", sa.BigInteger, nullable=False),
    )
