"""Pictures: every kind that is accepted decodes to what a person sees, every other has its reason."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile
from torchvision import transforms

from itrp.data.images import check_image, decode_image, load_pixels
from itrp.data.rejections import RejectedError
from itrp.pixel_format import PixelFormat

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, format_: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format_, **options)
    return sink.getvalue()


def draw_noise(width: int = 97, height: int = 61, seed: int = 0) -> Image.Image:
    """A smooth coloured picture, so that a lossy format stays close to it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def rejected(data: bytes, **limits: int) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        check_image(data, **limits)
    return caught.value


def png_header(width: int, height: int) -> bytes:
    """A PNG that is nothing but its header: what the decoder would have to make room for."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(b"\0" * 10)
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def webp_header(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("MPO", {}),
    ],
)
def test_accepted_formats(format_: str, options: dict[str, object]) -> None:
    image = draw_noise()
    data = encode(image, format_, **options)
    check_image(data)
    difference = np.abs(np.asarray(decode_image(data), int) - np.asarray(image, int))
    assert difference.mean() < 12
    assert decode_image(data).size == (97, 61)


def test_zero_bytes() -> None:
    assert rejected(b"").code == "image_empty"


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated(format_: str, share: float) -> None:
    data = encode(draw_noise(400, 300), format_)
    assert rejected(data[: int(len(data) * share)]).code == "image_truncated"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "HTML"),
        (b"\n\n <html>", "HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"errors": []}', "JSON"),
        (b"\0\0\0\x20ftypavif", "ISO media"),
        (b"%PDF-1.7 ....", "25 50 44 46"),
    ],
)
def test_other_content_named_jpg(data: bytes, words: str) -> None:
    error = rejected(data)
    assert error.code == "image_not_a_picture"
    assert words in error.reason


@pytest.mark.parametrize("format_", ["BMP", "TIFF", "ICO", "PPM"])
def test_other_picture_formats_are_refused(format_: str) -> None:
    assert rejected(encode(draw_noise(32, 32), format_)).code == "image_not_a_picture"


def test_damaged_inside() -> None:
    data = bytearray(encode(draw_noise(400, 300), "PNG"))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    assert rejected(bytes(data)).code in ("image_not_a_picture", "image_truncated")


def test_garbage_after_a_jpeg_signature() -> None:
    assert rejected(b"\xff\xd8\xff\xe0" + b"\x01" * 500).code in ("image_not_a_picture", "image_truncated")


@pytest.mark.parametrize("data", [png_header(100_000, 100_000), webp_header(16_000, 16_000), png_header(10_000, 5_001)])
def test_bomb_is_judged_from_the_header(data: bytes) -> None:
    error = rejected(data)
    assert error.code == "image_too_large"
    assert "50,000,000 pixels" in error.reason


def test_gif_bomb() -> None:
    small = encode(Image.new("P", (2, 2)), "GIF")
    assert rejected(small[:6] + struct.pack("<HH", 60_000, 60_000) + small[10:]).code == "image_too_large"
    # Beyond Pillow's own limit for a warning nothing may be printed or raised but our refusal.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rejected(small[:6] + struct.pack("<HH", 10_000, 10_000) + small[10:]).code == "image_too_large"


def test_limits_are_inclusive() -> None:
    data = encode(Image.new("RGB", (10, 10)), "PNG")
    check_image(data, max_pixels=100, max_bytes=len(data))
    assert rejected(data, max_pixels=99).code == "image_too_large"
    assert rejected(data, max_bytes=len(data) - 1).code == "image_too_large"


def test_animated_gif_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in (RED, GREEN, BLUE)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    check_image(data)
    assert np.asarray(decode_image(data))[5, 5].tolist() == [255, 0, 0]


def test_animated_webp_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in (GREEN, RED)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    check_image(data)
    assert np.asarray(decode_image(data))[5, 5].tolist() == [0, 255, 0]


def test_palette_png_with_a_transparent_entry() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([*RED, *BLUE, 0, 0, 0])
    image.putdata([0, 1, 2, 2])
    pixels = np.asarray(decode_image(encode(image, "PNG", transparency=2)))
    assert pixels[0].tolist() == [[255, 0, 0], [0, 0, 255], [255, 255, 255], [255, 255, 255]]


def test_half_transparent_png_is_composed_on_white() -> None:
    image = Image.new("RGBA", (2, 1))
    image.putdata([(255, 0, 0, 255), (0, 0, 0, 128)])
    pixels = np.asarray(decode_image(encode(image, "PNG")))
    # 0 * 128/255 + 255 * 127/255 = 127
    assert pixels[0].tolist() == [[255, 0, 0], [127, 127, 127]]


def test_grey_with_alpha() -> None:
    image = Image.new("LA", (2, 1))
    image.putdata([(10, 255), (10, 0)])
    assert np.asarray(decode_image(encode(image, "PNG")))[0].tolist() == [[10, 10, 10], [255, 255, 255]]


def test_rgb_png_with_a_transparent_colour() -> None:
    image = Image.new("RGB", (2, 1))
    image.putdata([RED, GREEN])
    pixels = np.asarray(decode_image(encode(image, "PNG", transparency=RED)))
    assert pixels[0].tolist() == [[255, 255, 255], [0, 255, 0]]


def test_sixteen_bit_grey_keeps_its_upper_byte() -> None:
    values = np.array([[0, 255, 256, 0x8000, 0xFFFF]], dtype=np.uint16)
    data = encode(Image.fromarray(values), "PNG")
    check_image(data)
    assert np.asarray(decode_image(data))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_grey_jpeg() -> None:
    pixels = np.asarray(decode_image(encode(Image.new("L", (16, 16), 77), "JPEG")))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - 77).max() <= 1


def test_cmyk_jpeg_with_adobes_inversion() -> None:
    """Pillow writes CMYK as Adobe does, inverted and with its marker; cyan ink alone must not become red."""
    data = encode(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG")
    assert b"Adobe" in data
    check_image(data)
    assert np.asarray(decode_image(data))[8, 8].tolist() == pytest.approx([0, 255, 255], abs=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int) -> None:
    """The upright picture has red top left, green top right, blue bottom left, white bottom right."""
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :24], upright[:16, 24:], upright[16:, :24], upright[16:, 24:] = RED, GREEN, BLUE, WHITE
    # What the camera stores, by the EXIF standard, in terms of the upright picture.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif_of(orientation))
    assert np.array_equal(np.asarray(decode_image(data)), upright)


def test_damaged_exif_does_not_refuse_the_picture() -> None:
    data = encode(draw_noise(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    check_image(data)
    assert decode_image(data).size == (97, 61)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [224, 100, 300])
def test_pixels_equal_torchvisions(mode: str, size: int) -> None:
    data = encode(draw_noise(401, 233).convert(mode), "JPEG", quality=90)
    expected = transforms.Resize((size, size))(Image.open(io.BytesIO(data)).convert("RGB"))
    pixels = load_pixels(data, PixelFormat(size))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (size, size, 3)
    assert np.array_equal(pixels, np.asarray(expected))


def test_load_refuses_as_check_does() -> None:
    with pytest.raises(RejectedError, match="image_empty"):
        load_pixels(b"", PixelFormat(224))
    with pytest.raises(RejectedError, match="image_too_large"):
        load_pixels(png_header(100_000, 100_000), PixelFormat(224))


def test_threads_agree_with_one_thread() -> None:
    images = [encode(draw_noise(seed=seed), "JPEG") for seed in range(12)] + [png_header(20_000, 20_000)] * 4

    def outcome(data: bytes) -> object:
        try:
            return load_pixels(data, PixelFormat(32)).tobytes()
        except RejectedError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, images)) == [outcome(data) for data in images]


def test_pillows_globals_stay_as_they_are() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    rejected(png_header(100_000, 100_000))
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before == (89478485, False)


def load_both(data: bytes, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """By Pillow and by torchvision, as numbers that can be subtracted."""
    pillow, torchvision = (load_pixels(data, PixelFormat(size, decoder)) for decoder in ("pillow", "torchvision"))
    assert (torchvision.dtype, torchvision.shape, torchvision.flags.c_contiguous) == (np.uint8, (size, size, 3), True)
    return pillow.astype(int), torchvision.astype(int)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
@pytest.mark.parametrize("size", [64, 224, 300])
def test_torchvisions_decoder_differs_by_one_step_in_few_pixels(options: dict[str, object], size: int) -> None:
    pillow, torchvision = load_both(encode(draw_noise(401, 233), "JPEG", **options), size)
    differs = np.abs(pillow - torchvision)
    assert differs.max() == 1  # 0 would be Pillow's own
    assert (differs > 0).mean() < 0.02


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encode(draw_noise().convert("L"), "JPEG"), id="grey"),
        pytest.param(encode(draw_noise().convert("CMYK"), "JPEG"), id="cmyk"),
        pytest.param(encode(draw_noise(), "PNG"), id="png"),
        pytest.param(encode(draw_noise(), "WEBP"), id="webp"),
        pytest.param(encode(draw_noise(), "JPEG", exif=exif_of(6)), id="rotated"),
    ],
)
def test_what_is_no_plain_jpeg_has_pillows_pixels(data: bytes) -> None:
    np.testing.assert_array_equal(*load_both(data))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_torchvisions_decoder_refuses_as_pillows_does(part: float) -> None:
    data = encode(draw_noise(), "JPEG")
    for broken in (b"", data[: int(len(data) * part)], b"\xff\xd8\xff" + data[100:], png_header(100_000, 100_000)):
        codes = []
        for decoder in ("pillow", "torchvision"):
            with pytest.raises(RejectedError) as caught:
                load_pixels(broken, PixelFormat(32, decoder))
            codes.append(caught.value.code)
        assert codes[0] == codes[1]
