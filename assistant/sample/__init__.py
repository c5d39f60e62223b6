"""The sample company Tern & Tiller, a maker of sailing gear: documents, a database, corrections.

Everything here is invented. `make demo` loads it through the same public functions as anybody.
"""
