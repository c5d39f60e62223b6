"""Token ids in, pieces of text out: three engines behind one small protocol."""
