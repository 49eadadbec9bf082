"""Readers of the layouts tweets with pictures come in; each yields candidates for `itrp.data.validation.check_candidate`."""
