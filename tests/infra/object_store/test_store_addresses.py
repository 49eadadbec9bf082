"""An object store's address: what stands in it, and what is refused."""

from pathlib import Path

import pytest

from infra.errors import StoreError
from infra.object_store import open_store, parse_store_url


def test_addresses() -> None:
    folder = parse_store_url("file:///srv/a%20b")
    assert (folder.url, getattr(folder, "folder", None)) == ("file:///srv/a%20b", Path("/srv/a b"))
    bucket = parse_store_url("s3://tweets?endpoint=https://s3.example.org&region=eu-1")
    assert bucket.url == "s3://tweets?endpoint=https://s3.example.org&region=eu-1"
    assert (getattr(bucket, "secure", None), getattr(bucket, "endpoint", None)) == (True, "s3.example.org")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("objects", "expected file:///folder or s3://bucket"),
        ("ftp://host/x", "found 'ftp://host/x'"),
        ("file://objects/x", "write three slashes"),
        ("s3://tweets", "name the S3 server"),
        ("s3://tweets?endpoint=localhost:9000", "name the S3 server"),
        ("s3://Tweets?endpoint=http://h", "bucket's name"),
        ("s3://tweets/folder?endpoint=http://h", "remove the rest"),
        ("s3://tweets?endpoint=http://h&key=x", "remove the rest"),
    ],
)
def test_wrong_addresses(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        open_store(url, "key", "secret")


def test_keys_belong_in_the_settings_not_in_the_address() -> None:
    for url in ("s3://user:geheim@tweets?endpoint=http://h", "s3://tweets?endpoint=http://user:geheim@h"):
        with pytest.raises(StoreError, match="ITRP_OBJECT_STORE_SECRET_KEY") as caught:
            open_store(url)
        assert "geheim" not in str(caught.value)
    with pytest.raises(StoreError, match="needs keys: set ITRP_OBJECT_STORE_ACCESS_KEY"):
        open_store("s3://tweets?endpoint=http://h", "key", None)
