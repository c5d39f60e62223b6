"""What each verb of the command line does: one file per noun, generators of plain dict events.

A verb takes the app and its arguments and yields events (see `assistant.verbs`), so the same
function runs in the command's own process or in the server that owns the data directory. Nothing
here prints or parses a command line.
"""
