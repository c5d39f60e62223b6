"""Where a round's training may run: a bundle goes in, an adapter comes out."""
