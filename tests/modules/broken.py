"""A module that fails while it is imported."""

raise SystemExit("no handler\nhere")
