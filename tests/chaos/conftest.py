"""The home of the acceptance tests, for storms."""

from tests.acceptance.conftest import home

__all__ = ["home"]
