"""The HTTP API under `/v1`: what the OpenAI clients speak, and feedback."""
