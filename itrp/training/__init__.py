"""Algorithm 1 of Sun et al. 2023: cluster, pseudo-label, fine-tune, repeat."""
