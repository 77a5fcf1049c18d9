"""Scaling: how many slots each worker is to have, who asks for how many, and every decision with its reason."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = ("exactly", "at_least", "busy")


def upgrade() -> None:
    """Add the columns and tables; old workers go on, and keep their size."""
    for name in ("min_slots", "max_slots", "wanted_slots"):
        op.add_column("workers", sa.Column(name, sa.Integer))
    op.create_table(
        "slot_requests",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("slots", sa.Float, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.CheckConstraint(" OR ".join(f"kind = '{kind}'" for kind in KINDS), name="ck_slot_requests_kind"),
        sa.PrimaryKeyConstraint("scope", "source"),
    )
    op.create_table(
        "scale_states",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("past", sa.Text, nullable=False),
        sa.Column("told", sa.Text),
        sa.Column("told_at", sa.BigInteger),
    )
    op.create_table(
        "scale_decisions",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("slots_before", sa.Integer, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
