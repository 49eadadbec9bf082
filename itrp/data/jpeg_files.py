"""What a JPEG's markers say (ITU-T T.81, annex B): whether its first image ends, and what decoding it takes."""

import re
from dataclasses import dataclass, field

from itrp.data.image_reading import Reading
from itrp.data.rejections import RejectedError

_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Any marker but the restart marks inside a scan; 0xFF 0x00 is a data byte."""
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, 0xD8}
"""Markers without a segment of their own."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_END_MARK = b"\xff\xd9"
_RESERVED = bytes(4)
"""Room of a download that broke off; fewer zeros may be the scan's own."""
_FILLER = bytes(range(0xFE, 0x01, -3))
"""Begins with ones where a decoder that ran out of data reads zeros, and holds no marker."""


@dataclass
class _Layout:
    ends: bool = False
    progressive: bool = False
    components: dict[int, int] = field(default_factory=dict)
    """Component -> samples of it in a unit of the image, horizontal times vertical factor."""
    pixels: int = 0
    finest: int = 1
    """Samples in a unit of the finest component."""
    scans: int = 0
    first_scan: int = 0
    """Components in the first scan."""
    scan_start: int = 0
    """Where the data of the last scan begins."""
    exact: set[tuple[int, int]] = field(default_factory=set)
    """(component, coefficient) whose last bit belongs to a scan that has begun."""


def read_jpeg(data: bytes) -> Reading:
    """The file as it is; without its end mark, in two versions that agree only when every pixel stands in it.

    Raises RejectedError (image_truncated) when whole scans are missing.
    """
    layout = _read_layout(data)
    if layout.ends:
        return Reading((data,), kept_bytes=_count_kept_bytes(layout))
    if not layout.scans or len(layout.exact) < 64 * len(layout.components):
        raise RejectedError("image_truncated", "expected a whole JPEG, its data ends before the last of its scans")
    body = data.rstrip(b"\xff")  # half of the end mark
    if body.endswith(_RESERVED):
        body = body.rstrip(b"\0")
    if body.endswith(b"\xff"):
        body += b"\0"
    filled = body + _FILLER + _find_next_restart(body, layout.scan_start) + _FILLER + _END_MARK
    return Reading((body + _END_MARK, filled), kept_bytes=_count_kept_bytes(layout))


def _read_layout(data: bytes) -> _Layout:
    layout, place = _Layout(), 2
    while match := _MARKER.search(data, place):
        kind, place = match[1][0], match.end()
        if kind == _END:
            layout.ends = True
            break
        if kind in _ALONE:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        segment = data[place + 2 : place + length]
        if len(segment) < length - 2:
            break
        if kind in _FRAMES:
            _read_frame(layout, segment, kind)
        elif kind == _START_OF_SCAN:
            _read_scan(layout, segment)
        place += length
        if kind == _START_OF_SCAN:
            layout.scan_start = place
    return layout


def _find_next_restart(body: bytes, start: int) -> bytes:
    """The restart mark that would come next in the last scan: data that is cut just before one wants more after it only."""
    last = max(range(8), key=lambda number: body.rfind(bytes((0xFF, 0xD0 + number)), start))
    found = body.rfind(bytes((0xFF, 0xD0 + last)), start) >= 0
    return bytes((0xFF, 0xD0 + (last + 1) % 8 if found else 0xD0))


def _read_frame(layout: _Layout, segment: bytes, kind: int) -> None:
    layout.progressive = kind in _PROGRESSIVE
    layout.pixels = int.from_bytes(segment[1:3], "big") * int.from_bytes(segment[3:5], "big")
    factors = {segment[at]: segment[at + 1] for at in range(6, len(segment) - 2, 3)}
    layout.components = {component: (factor >> 4) * (factor & 15) for component, factor in factors.items()}
    layout.finest = max((f >> 4 for f in factors.values()), default=1) * max(
        (f & 15 for f in factors.values()), default=1
    )


def _read_scan(layout: _Layout, segment: bytes) -> None:
    count = segment[0] if segment else 0
    components = segment[1 : 1 + 2 * count : 2]
    layout.scans += 1
    if layout.scans == 1:
        layout.first_scan = count
    first, last, bits = segment[1 + 2 * count :][:3] if len(segment) >= 4 + 2 * count else (0, 0, 1)
    if not layout.progressive:
        first, last, bits = 0, 63, 0
    if bits & 15 == 0:
        layout.exact |= {(component, at) for component in components for at in range(first, min(last, 63) + 1)}


def _count_kept_bytes(layout: _Layout) -> int:
    """libjpeg keeps every coefficient, two bytes each, of an image that comes in more than one scan."""
    if not layout.progressive and layout.first_scan >= len(layout.components):
        return 0
    return 2 * layout.pixels * sum(layout.components.values()) // max(1, layout.finest)
