"""The command line `itrp`."""
