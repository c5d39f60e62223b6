"""Fixtures of this room's tests."""

from tests.assistant.command_line import apprentice

__all__ = ["apprentice"]
