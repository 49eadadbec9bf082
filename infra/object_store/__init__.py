"""Objects by key, in a local folder or on an S3 server: `open_store(url)` and what it gives."""

from pydantic import SecretStr

from infra.errors import StoreError
from infra.object_store.addresses import BucketAddress, FolderAddress, parse_store_url
from infra.object_store.file_store import FileStore, content_of, listed_etag, may_be_same
from infra.object_store.objects import ObjectInfo, ObjectStore, Selection, check_key

__all__ = [
    "BucketAddress",
    "FolderAddress",
    "ObjectInfo",
    "ObjectStore",
    "Selection",
    "check_key",
    "content_of",
    "listed_etag",
    "may_be_same",
    "open_store",
    "parse_store_url",
]


def open_store(
    url: str, access_key: str | SecretStr | None = None, secret_key: str | SecretStr | None = None
) -> ObjectStore:
    """The store at a URL, `file:///folder` or `s3://bucket?endpoint=http://host:port[&region=name]`.

    Nothing is contacted or created yet; `check` does. Raises StoreError for a wrong URL or missing keys.
    """
    address = parse_store_url(url)
    if isinstance(address, FolderAddress):
        return FileStore(address)
    if not access_key or not secret_key:
        raise StoreError(f"{address.url} needs keys: set ITRP_OBJECT_STORE_ACCESS_KEY and ITRP_OBJECT_STORE_SECRET_KEY")
    # The S3 client takes 0.3 s to import; whoever keeps objects in a folder should not wait for it.
    from infra.object_store.s3_store import S3Store

    return S3Store(address, _reveal(access_key), _reveal(secret_key))


def _reveal(secret: str | SecretStr) -> str:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
