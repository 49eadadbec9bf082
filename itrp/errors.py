"""The errors a user can meet. Every message says what was expected, what was found, and the next step.

    ItrpError
    ├── WrongUseError                 a command, option or setting that cannot mean anything
    │   └── ColumnError               a column of a table that the user has to name (a DataError too)
    ├── DataError                     input that is not what it is said to be
    │   └── AmbiguousTableError       a table that can be read in two ways
    ├── RejectedError                 a record that cannot become a pair (`itrp.data.rejections`)
    ├── MissingImageError             no image where a record names one (`itrp.data.rejections`)
    ├── WeightsUnavailableError       pretrained weights that are not to be had
    ├── PeersDifferError              processes that train together, and no longer hold the same
    └── UnmappedModelError            a model without class names is asked for labels

Those of models in use (not found, not ready, not available) are in `serving.errors`.
"""


class ItrpError(Exception):
    """Base of all errors that are meant to be read by a person: shown as one line, never as a traceback."""


class WrongUseError(ItrpError):
    """A command, option or setting that cannot mean anything: exit status 2."""


class DataError(ItrpError):
    """Input that cannot be read as what it is said to be (a label file, a shard, a folder layout)."""


class AmbiguousTableError(DataError):
    """A file that two ways of reading fit, which give different values."""


class ColumnError(WrongUseError, DataError):
    """A column that is needed cannot be told from the table: the user has to name it."""


class WeightsUnavailableError(ItrpError):
    """Pretrained weights that are neither here nor to be fetched."""


class PeersDifferError(ItrpError):
    """Processes that train one model have come to hold different things: going on would give nobody's model."""


class UnmappedModelError(ItrpError):
    """A model whose clusters have no class names yet is asked for labels."""
