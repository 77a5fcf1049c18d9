"""Many machines: where a job's wedding is, terms of whoever does what only one may do, moves to another database."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables and columns; old workers go on, and leave the region of what they queue unknown."""
    _regions()
    _terms()
    _moves()
    op.add_column("workers", sa.Column("died", sa.Boolean, nullable=False, server_default=sa.false()))


def _regions() -> None:
    op.add_column("jobs", sa.Column("region", sa.Text, nullable=False, server_default="unknown"))
    available = sa.text("state = 'available' AND held_by IS NULL")
    op.create_index(
        "jobs_to_claim_in_region",
        "jobs",
        ["module_type", "priority", "region", "rank", "id"],
        sqlite_where=available,
        postgresql_where=available,
    )


def _terms() -> None:
    op.create_table(
        "terms",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("renewed_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("term >= 1", name="ck_terms_term"),
    )


def _moves() -> None:
    op.create_table(
        "moves",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("other", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.CheckConstraint("side = 'source' OR side = 'target'", name="ck_moves_side"),
    )
    op.create_table(
        "move_progress",
        sa.Column("table_name", sa.Text, primary_key=True),
        sa.Column("after_row", sa.BigInteger, nullable=False),
        sa.Column("copied", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
