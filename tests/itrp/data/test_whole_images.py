"""Whole images and broken ones: every pixel stands in the file, or it is refused; metadata and end marks refuse none."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from itrp.data.images import check_image, decode_image, load_pixels
from itrp.data.rejections import RejectedError
from itrp.pixel_format import PixelFormat

MANY_FRAMES = ("mpo", "animated gif", "animated webp")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(image: Image.Image, format_: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format_, **options)
    return sink.getvalue()


def draw(kind: str, width: int = 160, height: int = 120) -> Image.Image:
    """smooth: colours that flow; noise: none like its neighbour; flat: black below a narrow band."""
    random = np.random.default_rng(3)
    if kind == "noise":
        return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    coarse = Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    if kind == "flat":
        smooth.paste((0, 0, 0), (0, height // 3, width, height))
    return smooth


def iter_kinds(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """A file of every kind that is accepted."""
    layer = image.convert("RGBA")
    layer.putalpha(image.convert("L"))
    for mode in ("RGB", "L", "CMYK"):
        for options in ({}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}, {"subsampling": 0}):
            yield f"jpeg {mode} {options}", encode(image.convert(mode), "JPEG", **options)
    yield "mpo", encode(image, "MPO", save_all=True, append_images=[image])
    for mode in ("RGB", "L", "1", "P", "LA", "RGBA"):
        for level in (0, 6):
            source = layer if mode in ("LA", "RGBA") else image
            yield f"png {mode} {level}", encode(source.convert(mode), "PNG", compress_level=level)
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    yield "png 16 bit", encode(Image.fromarray(grey), "PNG")
    yield "gif", encode(image, "GIF")
    yield "animated gif", encode(image, "GIF", save_all=True, append_images=[image.rotate(90)])
    for options in ({}, {"lossless": True}, {"quality": 5}):
        yield f"webp {options}", encode(image, "WEBP", **options)
        yield f"webp with alpha {options}", encode(layer, "WEBP", **options)
    yield "animated webp", encode(image, "WEBP", save_all=True, append_images=[image.rotate(180)])


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(decode_image(data))


def rejected(data: bytes) -> RejectedError:
    """By the check and by both decoders of scoring, with the same words."""
    with pytest.raises(RejectedError) as caught:
        check_image(data)
    for decoder in ("pillow", "torchvision"):
        with pytest.raises(RejectedError) as scored:
            load_pixels(data, PixelFormat(16, decoder))
        assert str(scored.value) == str(caught.value)
    return caught.value


def is_accepted(data: bytes) -> bool:
    try:
        check_image(data)
    except RejectedError:
        return False
    return True


def chunk(kind: bytes, body: bytes, *, sound: bool = True) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ (not sound))


def png(
    colour: int, rows: bytes, *chunks: bytes, size: tuple[int, int] = (2, 2), depth: int = 8, interlaced: int = 0
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced))
    return SIGNATURE + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["smooth", "noise", "flat"])
@pytest.mark.parametrize("size", [(160, 120), (7, 5), (1, 1), (1, 400), (400, 1)])
def test_no_whole_image_is_refused(kind: str, size: tuple[int, int]) -> None:
    for name, data in iter_kinds(draw(kind, *size)):
        assert decode_image(data).size == size, name
        assert decode_image(data + bytes(5000)).size == size, name


@pytest.mark.parametrize("kind", ["smooth", "noise"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("reserved", [True, False])
def test_a_broken_download_is_truncated(kind: str, share: float, reserved: bool) -> None:
    """Cut, or broken off into room that was reserved as zeros. Of several frames the first one may be whole."""
    for name, data in iter_kinds(draw(kind)):
        kept = data[: int(len(data) * share)]
        broken = kept + bytes(len(data) - len(kept)) if reserved else kept
        if name in MANY_FRAMES and share >= 0.5 and is_accepted(broken):
            assert np.array_equal(pixels_of(broken), pixels_of(data)), name
        else:
            assert rejected(broken).code == "image_truncated", name


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_missing_last_byte_refuses_none(format_: str, options: dict[str, object]) -> None:
    data = encode(draw("smooth"), format_, **options)
    for broken in (data[:-1], data[:-1] + bytes(300)):
        check_image(broken)
        assert np.array_equal(pixels_of(broken), pixels_of(data))
        assert np.array_equal(load_pixels(broken, PixelFormat(16, "torchvision")), load_pixels(data, PixelFormat(16)))


def test_a_missing_end_mark_refuses_none() -> None:
    for format_, length in (("JPEG", 2), ("PNG", 12), ("GIF", 1)):
        data = encode(draw("smooth"), format_)
        assert np.array_equal(pixels_of(data[:-length]), pixels_of(data))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_lacks_pixels_before_its_end_mark(options: dict[str, object]) -> None:
    data = encode(draw("noise"), "JPEG", **options)
    assert "ends before its last" in rejected(data[:-12]).reason


def test_a_jpeg_cut_where_a_restart_or_a_scan_would_begin() -> None:
    restarts = encode(draw("noise"), "JPEG", restart_marker_rows=1)
    progressive = encode(draw("noise"), "JPEG", progressive=True)
    for broken in (restarts[: restarts.index(b"\xff\xd5")], progressive[: progressive.rindex(b"\xff\xda")]):
        assert rejected(broken).code == "image_truncated"


def test_a_flat_webp_may_end_in_zeros() -> None:
    data = encode(draw("flat", 640, 480), "WEBP", quality=95, method=0)
    assert data.endswith(bytes(200))  # what this test is about
    check_image(data)


def test_a_webp_whose_metadata_are_cut_off() -> None:
    exif = Image.Exif()
    exif[0x010E] = "words " * 50
    data = encode(draw("smooth"), "WEBP", exif=exif)
    assert np.array_equal(pixels_of(data[:-100]), pixels_of(data))


METADATA = {
    "huge zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000))),
    "huge iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "huge XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "huge ICC": chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2_000_000))),
    "unknown ICC compression": chunk(b"iCCP", b"icc\0\7words"),
    "text with a wrong checksum": chunk(b"tEXt", b"Comment\0words", sound=False),
    "EXIF with a wrong checksum": chunk(b"eXIf", b"MM\0*\0\0\0\x08", sound=False),
    "EXIF that is none": chunk(b"eXIf", b"words"),
    "short gAMA": chunk(b"gAMA", b"\1"),
    "short animation": chunk(b"acTL", b"\0"),
    "animation out of its frame": chunk(b"acTL", struct.pack(">II", 1, 0))
    + chunk(b"fcTL", struct.pack(">IIIII6x", 0, 9, 9, 9, 9)),
}


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("after", [False, True])
def test_a_pngs_metadata_refuse_no_pixels(name: str, after: bool) -> None:
    data = encode(draw("smooth"), "PNG")
    place = data.index(b"IEND") - 4 if after else data.index(b"IDAT") - 4
    changed = data[:place] + METADATA[name] + data[place:]
    check_image(changed)
    assert np.array_equal(pixels_of(changed), pixels_of(data))


def test_a_png_is_turned_by_its_exif_and_its_xmp() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    xmp = chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>')
    plain = encode(draw("smooth"), "PNG")
    place = plain.index(b"IDAT") - 4
    for data in (encode(draw("smooth"), "PNG", exif=exif), plain[:place] + xmp + plain[place:]):
        assert decode_image(data).size == (120, 160)


PALETTE = chunk(b"PLTE", b"abcdef")
INDEXED = b"\0\0\1" * 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(3, INDEXED), "no palette"),
        (png(3, INDEXED, chunk(b"PLTE", b"")), "no palette"),
        (png(3, INDEXED, chunk(b"PLTE", b"abcdefg")), "found 7 bytes"),
        (
            png(3, INDEXED, PALETTE, chunk(b"tRNS", bytes(3))),
            "at most 2 transparencies, one a colour of its palette, found 3",
        ),
        (png(3, INDEXED, PALETTE, chunk(b"tRNS", b"\xff" * 299 + b"\0")), "found 300"),
        (png(3, INDEXED, chunk(b"PLTE", b"abcdef", sound=False)), "PLTE is wrong"),
        (png(3, INDEXED, PALETTE, chunk(b"tRNS", bytes(2), sound=False)), "tRNS is wrong"),
        (SIGNATURE + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "header"),
        (png(2, b"", size=(4, 0)), "not identified"),
        (png(5, INDEXED), "not identified"),
    ],
)
def test_a_png_that_cannot_be_scored_is_refused(data: bytes, words: str) -> None:
    error = rejected(data)
    assert error.code == "image_not_a_picture"
    assert words in error.reason


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_rows_are_counted_bit_by_bit(depth: int, interlaced: int) -> None:
    width, height = 13, 11
    whole = 11 * (1 + (width * depth + 7) // 8)
    if interlaced:
        columns = (2, 2, 4, 3, 7, 6, 13)  # of 13, every eighth from 0, from 4, every fourth from 0 ...
        rows = (2, 2, 1, 3, 3, 6, 5)
        whole = sum(r * (1 + (c * depth + 7) // 8) for c, r in zip(columns, rows, strict=True))
    check_image(png(0, bytes(whole), size=(width, height), depth=depth, interlaced=interlaced))
    short = rejected(png(0, bytes(whole - 1), size=(width, height), depth=depth, interlaced=interlaced))
    assert (short.code, short.reason) == (
        "image_truncated",
        f"expected {whole} bytes of rows, the PNG ends after {whole - 1}",
    )


def test_a_png_in_many_small_parts() -> None:
    data = encode(draw("noise"), "PNG")
    start = data.index(b"IDAT") - 4
    rows = data[start + 8 : data.index(b"IEND") - 8]
    parts = [chunk(b"IDAT", rows[at : at + 7]) for at in range(0, len(rows), 7)]
    assert np.array_equal(pixels_of(data[:start] + b"".join(parts) + chunk(b"IEND", b"")), pixels_of(data))
