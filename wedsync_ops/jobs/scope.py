"""What a pause or a drain is of: everything, a module type, a supplier or a priority. Pure."""


def covers(scope: str, name: str, module_type: str, supplier_id: str | None, priority: str | None = None) -> bool:
    """Whether a job belongs to a scope (all, module, supplier or priority) of that name.

    ``priority`` is the word of the job's; a scope of that kind covers none that does not say it.
    """
    return scope == "all" or name == {"module": module_type, "priority": priority}.get(scope, supplier_id)
