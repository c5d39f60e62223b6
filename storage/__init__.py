"""SQLite and the data directory: every fact that must survive.

Knows tables and files; knows no torch, no Gradio, no Chroma.
"""
