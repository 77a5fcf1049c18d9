"""Couples as their suppliers know them: when and where they marry, imported and kept up to date."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

REGIONS = ("west_coast", "northeast", "south", "midwest", "other", "unknown")


def upgrade() -> None:
    """Create the table; old workers know nothing of it. Days count from 1970-01-01."""
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("couple_name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("phone", sa.Text),
        sa.Column("wedding_on", sa.Integer, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("supplier_id", sa.Text, nullable=False),
        sa.Column("vendor_type", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text),
        sa.Column("booked_on", sa.Integer),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("imported_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint(" OR ".join(f"region = '{region}'" for region in REGIONS), name="ck_clients_region"),
    )
    # Weddings are counted by day, region and zone without a look at their rows.
    op.create_index("clients_by_wedding", "clients", ["wedding_on", "region", "timezone"])
    op.create_index("clients_by_supplier", "clients", ["supplier_id", "wedding_on"])
