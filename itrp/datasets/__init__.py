"""Readers of the layouts tweets with pictures come in; each yields candidates for `itrp.pairs.check_candidate`."""
