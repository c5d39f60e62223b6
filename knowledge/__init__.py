"""What can be found: documents become chunks become passages, and the nearest corrections.

Knows storage, Chroma and FTS5; knows no chat page and no training.
"""
