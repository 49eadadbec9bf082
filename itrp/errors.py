"""The errors a user can meet. Every message says what was expected, what was found, and the next step."""


class ItrpError(Exception):
    """Base of all errors that are meant to be read by a person: shown as one line, never as a traceback."""


class WrongUseError(ItrpError):
    """A command, option or setting that cannot mean anything: exit status 2."""


class DataError(ItrpError):
    """Input that cannot be read as what it is said to be (a label file, a shard, a folder layout)."""


class WeightsUnavailableError(ItrpError):
    """Pretrained weights that are neither here nor to be fetched."""


class UnmappedModelError(ItrpError):
    """A model whose clusters have no class names yet is asked for labels."""


class NotFoundError(ItrpError):
    """A data set, model, version or tweet that nothing is known of."""


class NotReadyError(NotFoundError):
    """What the work needs is not there yet, as before the first model is trained: a schedule waits for it."""


class StoreError(ItrpError):
    """The object store, the catalog or the registry does not answer or refuses."""
