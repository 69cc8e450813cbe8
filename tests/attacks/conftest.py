"""The same worlds as in `tests/flows`."""

from tests.flows.conftest import fake, gitea, make_world, pytest_generate_tests, world

__all__ = ["fake", "gitea", "make_world", "pytest_generate_tests", "world"]
