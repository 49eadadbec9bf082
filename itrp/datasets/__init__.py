"""Readers of the layouts tweets with images come in; each yields candidates for `itrp.data.validation.check_candidate`."""
