"""What a pause or a drain is of: everything, a module type or a supplier. Pure."""


def covers(scope: str, name: str, module_type: str, supplier_id: str | None) -> bool:
    """Whether a job belongs to a scope (all, module or supplier) of that name."""
    return scope == "all" or name == (module_type if scope == "module" else supplier_id)
