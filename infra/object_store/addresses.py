"""A store's address: `file:///folder` or `s3://bucket?endpoint=http://host:port[&region=name]`."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from infra.errors import StoreError


@dataclass(frozen=True)
class FolderAddress:
    """A store in a local folder."""

    folder: Path

    @property
    def url(self) -> str:
        return self.folder.as_uri()


@dataclass(frozen=True)
class BucketAddress:
    """A store in a bucket of an S3 server."""

    bucket: str
    endpoint: str
    """host or host:port"""
    secure: bool
    region: str | None

    @property
    def server(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.endpoint}"

    @property
    def url(self) -> str:
        region = f"&region={self.region}" if self.region else ""
        return f"s3://{self.bucket}?endpoint={self.server}{region}"


FORMS = "file:///folder or s3://bucket?endpoint=http://host:port"


def parse_store_url(url: str) -> FolderAddress | BucketAddress:
    """Read a store's address. Raises StoreError; the message never repeats a URL that holds a password."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StoreError(f"expected {FORMS}, found something that is no URL ({error})") from None
    if "@" in parts.netloc or "@" in parts.query:
        raise StoreError(
            f"expected {FORMS}, found a URL with a user or password in it: give the keys in "
            "ITRP_OBJECT_STORE_ACCESS_KEY and ITRP_OBJECT_STORE_SECRET_KEY"
        )
    if parts.scheme == "file":
        return _parse_folder(url, parts)
    if parts.scheme == "s3":
        return _parse_bucket(url, parts)
    raise StoreError(f"expected {FORMS}, found {url!r}")


def _parse_folder(url: str, parts: SplitResult) -> FolderAddress:
    local = parts.netloc in ("", "localhost")
    if not local or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise StoreError(f"expected an absolute folder such as file:///srv/objects, found {url!r}: write three slashes")
    return FolderAddress(Path(unquote(parts.path)))


def _parse_bucket(url: str, parts: SplitResult) -> BucketAddress:
    options = dict(parse_qsl(parts.query))
    strange = sorted(options.keys() - {"endpoint", "region"})
    if strange or parts.path.strip("/") or parts.fragment:
        raise StoreError(
            f"expected s3://bucket?endpoint=http://host:port[&region=name], found {url!r}: remove the rest"
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        raise StoreError(f"expected a bucket's name (3 to 63 of a-z 0-9 . -), found {parts.netloc!r}: correct it")
    endpoint = urlsplit(options.get("endpoint", ""))
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or endpoint.path.strip("/"):
        raise StoreError(f"expected ?endpoint=http://host:port after the bucket, found {url!r}: name the S3 server")
    return BucketAddress(parts.netloc, endpoint.netloc, endpoint.scheme == "https", options.get("region"))
