"""The errors of trained models in use. Every message says what was expected, what was found, and the next step.

ItrpError                           one line for a person (`itrp.errors`, where the method's own are)
├── NotFoundError                   a data set, model, version or tweet that nothing is known of
│   └── NotReadyError               what the work needs is not there yet
├── UnmappedModelError              a model without class names is asked for labels (`itrp.errors`)
│   └── UnmappedPredictionError     ... through MLflow, which wants an error of its own (`serving.row_predictions`)
├── UnavailableError                a server, a device or a package does not answer, or is not there
└── ShardsFailedError               shards that could not be labelled, while all others were (`serving.scorer`)
"""

from itrp.errors import ItrpError


class NotFoundError(ItrpError):
    """A data set, model, version or tweet that nothing is known of."""


class NotReadyError(NotFoundError):
    """What the work needs is not there yet, as before the first model is trained: a schedule waits for it."""


class UnavailableError(ItrpError):
    """The registry, a server, a device or a package that the work needs does not answer, or is not there."""
