"""What is worth trying again: a server that is away says nothing about the work it was asked for."""

from infra.errors import CatalogUnavailableError, StoreUnavailableError
from itrp.errors import StoreError


def is_outage(error: BaseException) -> bool:
    """Is a server's state, not the request, at fault?"""
    # StoreError is the registry's: its client knows only that MLflow failed. Others' connections raise OSError's children.
    return isinstance(
        error, StoreUnavailableError | CatalogUnavailableError | StoreError | ConnectionError | TimeoutError
    )
