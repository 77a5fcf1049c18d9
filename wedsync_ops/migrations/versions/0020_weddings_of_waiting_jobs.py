"""Weddings of waiting jobs: the indexes that the queue reads say whose wedding a job is of, for the change freeze."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_FREE = sa.text("state = 'available' AND held_by IS NULL")
_LATER = sa.text("state IN ('scheduled','retryable')")
_HELD = sa.text("held_by IS NOT NULL")


def upgrade() -> None:
    """Build the indexes anew with one column more at their end; old workers go on."""
    on = sa.text("wedding_on")
    _anew("jobs_to_claim", ["module_type", "priority", "rank", "id", on], _FREE)
    _anew("jobs_to_promote", ["due_at", on], _LATER)
    _anew("jobs_held", [sa.text("held_by"), sa.text("priority DESC"), sa.text("rank"), sa.text("id"), on], _HELD)


def _anew(name: str, columns: list[str | sa.TextClause], clause: sa.TextClause) -> None:
    op.drop_index(name, "jobs")
    op.create_index(name, "jobs", columns, sqlite_where=clause, postgresql_where=clause)
