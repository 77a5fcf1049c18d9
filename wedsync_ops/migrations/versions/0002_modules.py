"""What the modules need: secrets, suppressed recipients, referral codes, customisations, the feed of finished jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; old workers go on, for nothing that they use changes."""
    _secrets()
    _recipients()
    _referrals()
    _customisations()
    _events()


def _secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )


def _recipients() -> None:
    op.add_column("payloads", sa.Column("recipient", sa.Text))  # a digest of the address, no address
    op.create_table(
        "suppressions",
        sa.Column("recipient", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "reason = 'bounce' OR reason = 'complaint' OR reason = 'unsubscribed' OR reason = 'manual'",
            name="ck_suppressions_reason",
        ),
    )


def _referrals() -> None:
    op.create_table(
        "referral_codes",
        sa.Column("supplier_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("supplier_id", "client_id"),
        sa.UniqueConstraint("code", name="uq_referral_codes_code"),
    )


def _customisations() -> None:
    op.create_table(
        "customisations",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("module_id", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", "module_id"),
        sa.CheckConstraint("scope = 'vendor_type' OR scope = 'supplier'", name="ck_customisations_scope"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        # Ids become visible out of order there; the feed's order is that of the transactions (jobs/store/events.py).
        op.execute("ALTER TABLE events ADD COLUMN txid xid8 NOT NULL DEFAULT pg_current_xact_id()")
        op.create_index("events_in_order", "events", ["txid", "id"])
    op.create_table(
        "webhook_cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("after_id", BIG, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text),
    )
