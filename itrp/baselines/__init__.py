"""Systems that ITRp is compared with."""
