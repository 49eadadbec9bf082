"""How a check says no: the exceptions that become rows of the quarantine."""

from itrp.data.pairs import REASONS
from itrp.errors import ItrpError


class RejectedError(ItrpError):
    """A record that cannot become a pair.

    code: one of `itrp.data.pairs.REASONS`. reason: a sentence with what was expected and what was found.
    """

    def __init__(self, code: str, reason: str) -> None:
        if code not in REASONS:
            raise ValueError(f"expected one of the codes {sorted(REASONS)}, found {code!r}")
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class MissingImageError(ItrpError):
    """No object lies at the picture's key."""
