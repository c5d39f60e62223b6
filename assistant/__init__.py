"""What people and programs meet: pages, command line, HTTP, engines.

The only room that knows all others; it composes them.
"""
