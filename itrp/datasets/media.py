"""Which photo a tweet's record tells of, and under which names its image may lie beside the batch.

Sources: X API v2 and v1.1 data dictionaries (media objects); twarc2 flatten, snscrape, twscrape, twint and 4CAT output.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from itrp.data.rejections import RejectedError
from itrp.data.texts import is_utf8

IMAGE_ENDINGS = ("jpg", "jpeg", "png", "gif", "webp")
"""Endings an image beside the batch may have, in the order they are looked for."""

MAX_KEY_BYTES = 1024
"""Longest key of an object (S3's limit), in bytes of UTF-8."""
MAX_NAME_BYTES = 255
"""Longest name between two slashes: a store in a folder cannot keep a longer one."""

NAMING = (
    "name the image's key in the field image, or the photo in attachments.media (X API v2) or "
    "extended_entities.media (v1.1) and put its image beside the batch as <media key>.jpg"
)

_PHOTO = re.compile(r"(?:.*\.)?photo", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PHOTO_KEY = re.compile(r"3_\d+")


@dataclass(frozen=True, slots=True)
class Media:
    """A photo, video or GIF of a tweet, as far as its record tells."""

    kind: str
    """photo, video, animated_gif …"""
    names: tuple[str, ...]
    """What its image may be called, without an ending."""


def find_image_keys(record: Mapping[str, Any], source: str, media: Mapping[str, Media]) -> tuple[str, ...]:
    """Keys at which the image of a tweet may lie, the likeliest first; none when the record tells of no media.

    A key in the field `image` is the only one. media: media key -> media, of the response the record stands in.
    Raises RejectedError: image_key_invalid, or image_not_named when there are media without a photo among them.
    """
    image = record.get("image")
    if isinstance(image, str) and _WEB_ADDRESS.match(image):
        return _list_keys(Media("photo", _names_of_address(image)), record, source)
    if (key := resolve_key(image, source)) is not None:
        return (key,)
    found = [*_iter_media(record, media)]
    photo = next((item for item in found if item.kind == "photo"), None)
    if photo is not None:
        return _list_keys(photo, record, source)
    if found:
        kinds = ", ".join(sorted({item.kind for item in found}))[:300]
        raise RejectedError("image_not_named", f"expected a photo among the tweet's media, found: {kinds}; {NAMING}")
    return ()


def index_media(includes: object) -> dict[str, Media]:
    """Media key -> media, of a response's `includes`."""
    items = includes.get("media") if isinstance(includes, dict) else None
    known = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {item["media_key"]: _read_media(item) for item in known if isinstance(item.get("media_key"), str)}


def _list_keys(photo: Media, record: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Each name with each ending; last the tweet's own id, as some collectors name images."""
    for name in photo.names:
        if not name or posixpath.basename(name) != name:
            raise RejectedError("image_key_invalid", f"expected a media key, found {ascii(name)[:200]}")
    ids = [str(record[field]) for field in ("id_str", "id") if isinstance(record.get(field), str | int)]
    own = [value for value in ids[:1] if _SAFE_NAME.fullmatch(value)]
    stems = [resolve_key(name, source) for name in dict.fromkeys((*photo.names, *own))]
    return tuple(f"{stem}.{ending}" for stem in stems for ending in IMAGE_ENDINGS)


def _iter_media(record: Mapping[str, Any], media: Mapping[str, Media]) -> Iterator[Media]:
    """The media of a record in whatever place its sort of record keeps them."""
    attachments = record.get("attachments")
    if isinstance(attachments, dict):
        yield from _iter_attached(attachments, media)
    extended = record.get("extended_tweet")
    for holder in (record, extended if isinstance(extended, dict) else {}):
        for field in ("extended_entities", "entities"):
            entities = holder.get(field)
            listed = entities.get("media") if isinstance(entities, dict) else None
            yield from (_read_media(item) for item in _dicts(listed))
    own = record.get("media")
    yield from (_read_media(item) for item in _dicts(own))
    photos = own.get("photos") if isinstance(own, dict) else record.get("photos")
    for photo in photos if isinstance(photos, list) else []:
        address = photo.get("url") if isinstance(photo, dict) else photo
        if isinstance(address, str) and (names := _names_of_address(address)):
            yield Media("photo", names)


def _iter_attached(attachments: dict[str, Any], media: Mapping[str, Media]) -> Iterator[Media]:
    """Inline media (twarc2 flatten), or keys that the response explains; without an explanation, "3_" is a photo's."""
    inline = _dicts(attachments.get("media"))
    if inline:
        yield from map(_read_media, inline)
        return
    keys = attachments.get("media_keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict):
            yield _read_media(key)
        elif isinstance(key, str):
            guess = Media("photo" if not media and _PHOTO_KEY.fullmatch(key) else "not in includes.media", (key,))
            yield media.get(key, guess)


def _read_media(item: Mapping[str, Any]) -> Media:
    kind = str(item.get("type") or item.get("_type") or "of an unknown type")
    key, number = item.get("media_key"), item.get("id_str")
    names = [key] if isinstance(key, str) else []
    if isinstance(number, str) and _SAFE_NAME.fullmatch(number):
        names += [number, f"3_{number}"]
    address = next((item[field] for field in ("media_url_https", "media_url", "fullUrl", "url") if item.get(field)), "")
    if isinstance(address, str):
        names += _names_of_address(address)
    return Media("photo" if _PHOTO.fullmatch(kind) and names else kind, tuple(names))


def _names_of_address(address: str) -> tuple[str, ...]:
    """The file name in an image's web address, without its ending: "…/media/GtU9.jpg:large" gives GtU9."""
    try:
        name = posixpath.basename(urlsplit(address).path)
    except ValueError:
        return ()
    stem = re.split(r"[.:]", name)[0]
    return (stem,) if _SAFE_NAME.fullmatch(stem) else ()


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def resolve_key(image: object, source: str) -> str | None:
    """The image's key from the bucket's root, or None when the record names no image.

    image: relative to the batch file's folder, or from the bucket's root when it begins with "/".
    Raises RejectedError, image_key_invalid, for a key that leads out of the bucket or cannot be one.
    """
    if image is None or image == "":
        return None
    if not isinstance(image, str):
        raise RejectedError(
            "image_key_invalid", f"expected the image's key as a string, found a {type(image).__name__}"
        )
    if not is_utf8(image) or "\\" in image or any(ord(character) < 32 or ord(character) == 127 for character in image):
        raise RejectedError(
            "image_key_invalid",
            f"expected a key of printable characters with / between folders, found {ascii(image)[:200]}",
        )
    joined = image.lstrip("/") if image.startswith("/") else posixpath.join(posixpath.dirname(source), image)
    key = posixpath.normpath(joined)
    if key in (".", "..") or key.startswith("../"):
        raise RejectedError(
            "image_key_invalid",
            f"expected a key inside the store, found {image[:200]!r}, which leads out of it",
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise RejectedError(
            "image_key_invalid",
            f"expected a key of at most {MAX_KEY_BYTES} bytes, found {len(key.encode()):,}",
        )
    if max(len(segment.encode()) for segment in key.split("/")) > MAX_NAME_BYTES:
        raise RejectedError(
            "image_key_invalid",
            f"expected names of at most {MAX_NAME_BYTES} bytes between the slashes, found a longer one",
        )
    return key
