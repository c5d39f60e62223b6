"""Processes that begin with torch, PEFT and TRL read: what took ten seconds to start takes one.

Python has one fork server for each process, and what it has read is settled with its first child:
so all tests share one list.
"""

from multiprocessing import get_context
from multiprocessing.context import ForkServerContext

READ = ["tuning.train", "tests.assistant.engines.lora_server"]


def forks() -> ForkServerContext:
    """Where such processes come from."""
    context = get_context("forkserver")
    context.set_forkserver_preload(READ)
    return context
