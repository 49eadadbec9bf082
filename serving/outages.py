"""What is worth trying again: a server that is away says nothing about the work it was asked for."""

from infra.errors import CatalogUnavailableError, StoreUnavailableError
from serving.errors import UnavailableError


def is_outage(error: BaseException) -> bool:
    """Is a server's state, not the request, at fault?"""
    # UnavailableError is the registry's: its client knows only that MLflow failed. Others' connections raise OSError's children.
    return isinstance(
        error, StoreUnavailableError | CatalogUnavailableError | UnavailableError | ConnectionError | TimeoutError
    )
