"""The core: modules, jobs, payloads, executions, lanes, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

STATES = ("scheduled", "available", "running", "retryable", "completed", "discarded", "cancelled", "expired")
FINISHED = ("completed", "discarded", "cancelled", "expired")
OUTCOMES = ("ok", "error", "timeout", "oom", "killed", "lost", "cancelled")

# SQLite's row id is an alias only for INTEGER; elsewhere ids are 64 bits wide.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table and index of the first release."""
    _modules()
    _jobs()
    _executions()
    _queue()
    _workers()
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,"
            " autovacuum_vacuum_cost_delay = 1, fillfactor = 80)"
        )


def _modules() -> None:
    op.create_table(
        "module_versions",
        sa.Column("module_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("module_id", "version"),
        sa.UniqueConstraint("module_id", "content_hash", name="uq_module_versions_content"),
        sa.CheckConstraint("version >= 1", name="ck_module_versions_version"),
    )
    op.create_table(
        "modules",
        sa.Column("module_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("is_held", sa.Boolean, nullable=False),
        sa.Column("retired_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["module_id", "version"], ["module_versions.module_id", "module_versions.version"]),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("module_type", sa.Text, nullable=False),
        sa.Column("module_version", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("priority_requested", sa.SmallInteger, nullable=False),
        sa.Column("rank", sa.BigInteger),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("next_change_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("deadline_at", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("losses", sa.Integer, nullable=False),
        sa.Column("kills", sa.Integer, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("leased_by", sa.Text),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("supplier_id", sa.Text),
        sa.Column("wedding_on", sa.Text),
        sa.Column("timezone", sa.Text),
        sa.Column("vendor_type", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("payload_hash", sa.Text, nullable=False),
        sa.CheckConstraint(_one_of("state", STATES), name="ck_jobs_state"),
        sa.CheckConstraint("priority BETWEEN 0 AND 3 AND priority_requested BETWEEN 0 AND 3", name="ck_jobs_priority"),
        sa.CheckConstraint("attempt >= 0 AND attempt <= max_attempts", name="ck_jobs_attempt"),
        sa.CheckConstraint("(state = 'running') = (leased_by IS NOT NULL)", name="ck_jobs_lease"),
        sa.CheckConstraint(
            f"finished_at IS NOT NULL OR NOT ({_one_of('state', FINISHED)})",
            name="ck_jobs_finished",
        ),
        sa.CheckConstraint("state <> 'available' OR rank IS NOT NULL", name="ck_jobs_rank"),
        sqlite_autoincrement=True,
    )
    _jobs_indexes()
    _payloads()


def _jobs_indexes() -> None:
    _partial("jobs_to_claim", ["module_type", "priority", "rank", "id"], "state = 'available'")
    _partial("jobs_to_promote", ["due_at"], "state IN ('scheduled','retryable')")
    _partial("jobs_to_reconsider", ["next_change_at"], "state = 'available' AND next_change_at IS NOT NULL")
    _partial("jobs_leased", ["leased_by"], "state = 'running'")
    _partial("jobs_dead", ["finished_at", "id"], _one_of("state", ("discarded", "cancelled", "expired")))
    _partial("jobs_by_key", ["key"], "key IS NOT NULL", unique=True)


def _payloads() -> None:
    op.create_table(
        "payloads",
        sa.Column("job_id", BIG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("config", sa.Text),
        sa.Column("context", sa.Text),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("result", sa.Text),
    )
    op.create_index("payloads_by_client", "payloads", ["client_id"])
    kept = sa.text("result IS NOT NULL")
    op.create_index("payloads_with_result", "payloads", ["job_id"], sqlite_where=kept, postgresql_where=kept)


def _one_of(column: str, words: tuple[str, ...]) -> str:
    """Spelt out: SQLite would build the list of an IN anew for every row that it checks, half of an insert's cost."""
    return " OR ".join(f"{column} = '{word}'" for word in words)


def _partial(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    clause = sa.text(where)
    op.create_index(name, "jobs", columns, unique=unique, sqlite_where=clause, postgresql_where=clause)


def _executions() -> None:
    op.create_table(
        "executions",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("module_type", sa.Text, nullable=False),
        sa.Column("module_version", sa.Integer, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger, nullable=False),
        sa.Column("duration_us", sa.BigInteger),
        sa.Column("queue_wait_us", sa.BigInteger),
        sa.Column("cpu_us", sa.BigInteger),
        sa.Column("memory_kb", sa.BigInteger),
        sa.Column("bytes_sent", sa.BigInteger),
        sa.Column("wedding_days", sa.Integer),
        sa.Column("in_peak", sa.SmallInteger, nullable=False),
        sa.Column("vendor_type", sa.Text),
        sa.Column("error", sa.Text),
        sa.CheckConstraint(_one_of("outcome", OUTCOMES), name="ck_executions_outcome"),
        sqlite_autoincrement=True,
    )
    op.create_index("executions_by_module", "executions", ["module_type", "finished_at"])
    op.create_index("executions_by_job", "executions", ["job_id"])
    op.create_table(
        "execution_details",
        sa.Column("execution_id", BIG, primary_key=True, autoincrement=False),
        sa.Column("traceback", sa.Text),
        sa.Column("log", sa.Text),
    )


def _queue() -> None:
    op.create_table(
        "lane_counts",
        sa.Column("module_type", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("available", sa.BigInteger, nullable=False),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("module_type", "priority", "shard"),
    )
    op.create_table(
        "supplier_tags",
        sa.Column("module_type", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("supplier_id", sa.Text, nullable=False),
        sa.Column("tag", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("module_type", "priority", "supplier_id"),
    )
    op.create_table(
        "durations",
        sa.Column("module_type", sa.Text, primary_key=True),
        sa.Column("p50_us", sa.BigInteger, nullable=False),
        sa.Column("p95_us", sa.BigInteger, nullable=False),
        sa.Column("measured_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "pauses",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("paused_by", sa.Text, nullable=False),
        sa.Column("paused_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.PrimaryKeyConstraint("scope", "name"),
        sa.CheckConstraint("scope IN ('all','module','supplier')", name="ck_pauses_scope"),
    )


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("region", sa.Text),
        sa.Column("modules", sa.Text),
        sa.Column("lock_file", sa.Text, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("busy", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
        sa.Column("stopped_at", sa.BigInteger),
    )
    op.create_table(
        "host_samples",
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("sampled_at", sa.BigInteger, nullable=False),
        sa.Column("cpu_percent", sa.Float),
        sa.Column("memory_percent", sa.Float),
        sa.Column("network_mbps", sa.Float),
        sa.PrimaryKeyConstraint("host", "sampled_at"),
    )
