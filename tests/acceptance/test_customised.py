"""What a supplier's limits and defaults do to a job that a real worker runs."""

from tests.acceptance.conftest import Home, definition

CUSTOMISATIONS = """\
schema_version: 1
customisations:
  - supplier: hasty
    module: stuck
    limits: {execution_timeout: 0.3}
  - vendor_type: venue
    module: chained
    config: {left: 1}
"""


def test_a_suppliers_limit_ends_the_attempt_and_a_default_reaches_the_handler(home: Home) -> None:
    stuck = definition("stuck", "stuck", retry="{attempts: 1}", resource_requirements="{execution_timeout: 60}")
    home.register(stuck, definition("chained", "chained", "{left: {type: integer}}"))
    file = home.path / "customisations.yaml"
    file.write_text(CUSTOMISATIONS)
    home.json("modules", "customise", str(file))
    limited = home.enqueue("stuck", {}, supplier_id="hasty")["job_id"]
    first = home.enqueue("chained", {}, vendor_type="venues")["job_id"]
    home.run("run-worker", "--drain")
    (execution,) = home.json("jobs", "show", str(limited))["job"]["executions"]
    assert execution["outcome"] == "timeout"
    assert 300 <= execution["duration_ms"] < 20_000
    assert home.json("jobs", "show", str(first))["job"]["result_data"] == {"left": 1}
    assert len(home.json("jobs", "list", "--module", "chained")["jobs"]) == 2
