"""A round: a bundle becomes an adapter with a verdict.

Knows storage, torch and TRL; knows no chat, no Gradio, no Chroma.
"""
