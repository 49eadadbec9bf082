"""A picture that passes for one until its pixels are asked for, and shards that hold it all the same."""

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash, shard_key

if TYPE_CHECKING:
    from flows.platform import Platform
    from infra.catalog.tables import Shard


def palette_without_colours() -> bytes:
    """A PNG of colour type 3 (palette) that has no palette: decoders fail on it in ways of their own."""
    header = struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)
    rows = zlib.compress(b"\0\1\2\3\0" * 4)
    parts = [_chunk(b"IHDR", header), _chunk(b"IDAT", rows), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def store_shard(platform: "Platform", pairs: Sequence[Pair], name: str = "landing") -> "Shard":
    """Put a shard behind the last one of a data set, past all checks of the ingestion, with the rows of its tweets."""
    from infra.catalog.queries import get_dataset, list_shards
    from infra.catalog.tables import LandingObject, Shard, StoredTweet

    data = encode_shard(pairs)
    key = shard_key(shard_hash(data))
    platform.store.put(key, data)
    with platform.catalog.session() as session:
        dataset = get_dataset(session, name)
        assert dataset is not None
        shard = Shard(
            dataset_id=dataset.id, position=len(list_shards(session, name)), hash=shard_hash(data), key=key,
            pairs=len(pairs), size=len(data),
        )  # fmt: skip
        origin = LandingObject(
            dataset_id=dataset.id, key=f"landing/{shard.hash[:8]}.jsonl", etag="e", lines=len(pairs), pairs=len(pairs),
            duplicates=0, quarantined=0,
        )  # fmt: skip
        session.add_all([shard, origin])
        session.flush()
        session.add_all(
            StoredTweet(
                dataset_id=dataset.id, tweet_id=pair.id, content_sha256=pair.content_sha256, shard_id=shard.id, row=row,
                landing_object_id=origin.id, line=row + 1,
            )
            for row, pair in enumerate(pairs)
        )  # fmt: skip
    return shard
