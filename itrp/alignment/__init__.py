"""The aligned family: what belongs together, learned from true against shuffled pairs."""
