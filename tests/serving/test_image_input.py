"""Pictures as callers of a registered model hand them over."""

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from itrp.data.images import EXIF_ORIENTATION, MAX_BYTES, decode_image
from itrp.data.rejections import RejectedError
from serving.image_input import read_image


def make_image(mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Image.Image:
    """A ramp, so that turned pixels are others."""
    ramp = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)
    return Image.fromarray(ramp).convert(mode)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reject(value: object, *, string_paths: bool = True) -> str:
    with pytest.raises(RejectedError) as caught:
        read_image(value, string_paths=string_paths)
    return str(caught.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_a_pil_image_of_any_mode_is_a_picture(mode: str) -> None:
    image = make_image("L").convert(mode) if mode in ("I;16", "I", "F") else make_image(mode)
    data = read_image(image, string_paths=False)
    assert decode_image(data).size == (6, 4)
    if mode in ("RGB", "CMYK", "YCbCr"):
        assert np.array_equal(np.asarray(decode_image(data)), np.asarray(image.convert("RGB")))


def test_a_pil_image_is_the_picture_of_its_file_turned_upright_as_well() -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    file = encode(make_image(), "JPEG", exif=exif, quality=95)
    data = read_image(Image.open(io.BytesIO(file)), string_paths=False)
    upright = decode_image(file)
    assert upright.size == (4, 6)
    assert np.array_equal(np.asarray(decode_image(data)), np.asarray(upright))


def test_a_large_photograph_is_not_refused_for_being_a_png_now() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2600, 2800, 3), dtype=np.uint8)
    data = read_image(Image.fromarray(noise), string_paths=False)
    assert len(data) > MAX_BYTES


def test_a_pil_image_that_cannot_be_used_is_told() -> None:
    whole = encode(make_image(size=(60, 40)), "JPEG")
    half = Image.open(io.BytesIO(whole[: len(whole) // 2]))
    assert reject(half).startswith("image_not_a_picture: expected a PIL image that decodes, its data is damaged: ")
    large = "image_too_large: expected 1 to 50,000,000 pixels, found a PIL image of 10,000 x 5,001"
    assert reject(Image.new("1", (10_000, 5_001))) == large
    assert reject(Image.new("RGB", (0, 4))).startswith("image_too_large: expected 1 to 50,000,000 pixels, found")


def test_text_is_base64_before_it_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = encode(make_image()), encode(make_image(size=(5, 5)))
    monkeypatch.chdir(tmp_path)
    written = base64.b64encode(first).decode()
    Path("abcd").write_bytes(second)  # four letters of base64, and a file
    assert read_image(written, string_paths=True) == first
    assert read_image("abcd", string_paths=True) == second
    assert reject("abcd", string_paths=False).startswith("image_not_a_picture: ")


def test_a_path_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone.jpg"
    for value in (gone, str(gone)):
        assert reject(value).endswith(f"found no file at {str(gone)!r}")
    assert reject(tmp_path).endswith(f"found no file at {str(tmp_path)!r}")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert reject(fifo).endswith(f"found no file at {str(fifo)!r}")  # opened, it would wait for ever
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES * 3)
    assert reject(large).startswith("image_too_large: ")


def test_paths_in_text_are_read_only_where_they_may_be(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encode(make_image()))
    assert read_image(str(file), string_paths=True) == file.read_bytes()
    assert read_image(file, string_paths=False) == file.read_bytes()
    assert "a path is not read here" in reject(str(file), string_paths=False)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "image_missing: expected an image as bytes, base64 text, a path or a PIL image, found empty text"),
        (7, "image_not_a_picture: expected an image as bytes, base64 text, a path or a PIL image, found a int"),
        ([1, 2], "image_not_a_picture: expected an image as bytes, base64 text, a path or a PIL image, found a list"),
        (
            "no base64!",
            "image_not_a_picture: expected an image as bytes, base64 text, a path or a PIL image, found text that is no base64 "
            "(it begins with 'no base64!')",
        ),
    ],
)
def test_what_is_nothing_of_it_is_told(value: object, told: str) -> None:
    assert reject(value) == told
