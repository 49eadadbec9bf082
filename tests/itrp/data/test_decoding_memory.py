"""Memory that decoding takes: bounded for one image, judged from its header, and shared by all that decode at once."""

import io
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from itrp.data.decoding_memory import MEMORY_BUDGET, TOTAL_MEMORY, MemoryRoom
from itrp.data.images import check_image, load_pixels
from itrp.data.rejections import RejectedError
from itrp.pixel_format import PixelFormat

MARGIN = 96 << 20
"""Bytes beside the pixels: the file, a strip under conversion, the allocator's rounding."""

MEASURE = """
import sys
from itrp.data.images import check_image

def read_peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))

data, small = (open(path, "rb").read() for path in sys.argv[1:])
check_image(small)
before = read_peak()
check_image(data)
print(read_peak() - before)
"""
"""VmHWM is what the kernel saw at most, Pillow's own memory included; a first small image loads the codecs."""


def encode(image: Image.Image, format_: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format_, **options)
    return sink.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def draw(mode: str, side: int) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.full((side, side), 513, np.uint16))
    band = Image.linear_gradient("L").resize((side, side))
    return band if mode == "L" else Image.merge(mode, [band] * len(Image.new(mode, (1, 1)).getbands()))


@pytest.mark.parametrize(
    ("mode", "format_", "options"),
    [
        ("I;16", "PNG", {}),
        ("RGBA", "PNG", {"compress_level": 1}),
        ("RGBA", "PNG", {"compress_level": 1, "exif": turned()}),
        ("RGB", "JPEG", {"exif": turned()}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", "JPEG", {"progressive": True}),
        ("RGB", "WEBP", {"method": 0}),
    ],
)
def test_the_largest_image_that_x_serves_stays_within_the_budget(mode, format_, options, tmp_path) -> None:  # type: ignore[no-untyped-def]
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(encode(draw(mode, 4096), format_, **options))
    small.write_bytes(encode(draw(mode, 16), format_, **options))
    command = [sys.executable, "-c", MEASURE, str(large), str(small)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 3 * 4096 * 4096 < int(printed) < MEMORY_BUDGET + MARGIN


def test_a_small_file_of_fifty_million_deep_pixels_is_refused_by_its_header() -> None:
    data = encode(Image.fromarray(np.zeros((5000, 10_000), np.uint16)), "PNG")
    assert len(data) < 200_000
    for judge in (check_image, lambda data: load_pixels(data, PixelFormat(32))):
        with pytest.raises(RejectedError) as caught:
            judge(data)
        assert caught.value.code == "image_too_large"
        assert (
            "within 256 MiB of memory, this one of 10,000 x 5,000 pixels takes 286 MiB: scale it down"
            in caught.value.reason
        )


@pytest.mark.parametrize(
    ("size", "mode", "format_", "options", "accepted"),
    [
        ((7000, 7000), "L", "PNG", {}, True),
        ((7000, 7000), "L", "JPEG", {}, True),
        ((7000, 7000), "L", "JPEG", {"exif": turned()}, False),
        ((7000, 7000), "L", "JPEG", {"progressive": True}, True),
        ((5000, 5000), "CMYK", "JPEG", {"progressive": True}, False),
        ((5000, 5000), "LA", "PNG", {"compress_level": 1}, True),
        ((6000, 6000), "LA", "PNG", {"compress_level": 1}, False),
        ((4200, 4200), "L", "WEBP", {"method": 0}, False),
        ((7000, 7000), "L", "GIF", {}, True),
    ],
)
def test_what_decoding_takes_decides(size, mode, format_, options, accepted) -> None:  # type: ignore[no-untyped-def]
    data = encode(Image.new(mode, size), format_, **options)
    if accepted:
        check_image(data)
        return
    with pytest.raises(RejectedError, match="image_too_large: expected a picture that decodes within 256 MiB"):
        check_image(data)


def test_both_decoders_refuse_what_takes_too_much() -> None:
    data = encode(Image.new("RGB", (5500, 5500)), "JPEG", progressive=True, subsampling=0)
    for decoder in ("pillow", "torchvision"):
        with pytest.raises(RejectedError, match="image_too_large"):
            load_pixels(data, PixelFormat(32, decoder))  # type: ignore[arg-type]


def test_threads_share_the_room_and_none_waits_for_ever() -> None:
    room, lock, taken, most = MemoryRoom(10), threading.Lock(), 0, 0

    def use(amount: int) -> int:
        nonlocal taken, most
        with room.take(amount):
            with lock:
                taken += amount
                most = max(most, taken)
            with lock:
                taken -= amount
        return amount

    amounts = [1, 10, 3, 7, 2, 5] * 200
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(use, amounts)) == amounts
    assert 0 < most <= 10


def test_room_comes_back_from_a_refused_image() -> None:
    room = MemoryRoom(4)
    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"), room.take(4):
            raise ValueError("damaged")
    assert TOTAL_MEMORY >= MEMORY_BUDGET
