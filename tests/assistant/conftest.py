"""Fixtures of this room's tests."""

import pytest

from tests.assistant.command_line import apprentice
from tests.assistant.people import everybody

__all__ = ["apprentice"]


@pytest.fixture
def people(app):
    """Everybody who may call, by name."""
    return everybody(app)
