"""The tables and figures of Sun et al. 2023, made again."""
