"""Readers of the layouts tweets with pictures come in; each yields candidates for `itrp.checks.check_candidate`."""
