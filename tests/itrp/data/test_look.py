"""Statistics of images, worked out by hand; what is kept of a shard."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from itrp.data.inputs import ShardFile
from itrp.data.look import (
    LOOK_FOLDER,
    PIXEL_STATISTICS,
    STATISTICS,
    describe_image,
    describe_pixels,
    measure_periodicity,
    read_look,
)
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash


def named(pixels: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(PIXEL_STATISTICS, describe_pixels(pixels).tolist(), strict=True))


def draw(*rows: list[tuple[int, int, int]]) -> NDArray[np.uint8]:
    return np.array(rows, dtype=np.uint8)


def test_one_colour_alone_is_flat_and_says_nothing() -> None:
    found = named(np.full((8, 8, 3), 255, dtype=np.uint8))
    assert found == pytest.approx(
        {
            **dict.fromkeys(PIXEL_STATISTICS, 0.0),
            **dict.fromkeys(("top_color", "top_colors", "brightness", "bright_share", "flat_share"), 1.0),
        }
    )


def test_two_halves_of_black_and_red() -> None:
    """Left black, right red: one bit of colour of nine, red is fully saturated, one step of .299 in the middle of each row."""
    found = named(draw(*[[(0, 0, 0), (0, 0, 0), (255, 0, 0), (255, 0, 0)]] * 4))
    assert found["top_color"] == 0.5
    assert found["top_colors"] == 1.0
    assert found["color_entropy"] == pytest.approx(1 / 9)
    assert found["gray_entropy"] == pytest.approx(1 / 6)
    assert (found["saturation"], found["saturation_deviation"]) == (0.5, 0.5)
    assert found["brightness"] == pytest.approx(0.1495)
    assert found["contrast"] == pytest.approx(0.1495)
    assert found["horizontal_gradient"] == pytest.approx(0.299 / 3)
    assert found["vertical_gradient"] == 0.0
    assert found["edge_share"] == pytest.approx(1 / 3)
    assert found["flat_share"] == pytest.approx(2 / 3)
    assert found["bright_share"] == 0.0


def test_turning_an_image_exchanges_its_gradients() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    pixels[:, :8] = 40
    first, turned = named(pixels), named(np.transpose(pixels, (1, 0, 2)))
    assert first["horizontal_gradient"] == pytest.approx(turned["vertical_gradient"])
    assert first["vertical_gradient"] == pytest.approx(turned["horizontal_gradient"])
    assert first["color_entropy"] == pytest.approx(turned["color_entropy"])


def test_lines_of_print_come_again() -> None:
    """Of four rows one has edges. Centred .75 and -.25, power 8 * .75 = 6; the autocorrelation falls until lag 3, where 8 + 7
    products are -.1875 and 14 are .0625, and rises at lag 4, where 7 periods meet the next one."""
    lines = np.tile([1.0, 0.0, 0.0, 0.0], 8)
    expected = (7 * 0.75 - (15 * -0.1875 + 14 * 0.0625)) / 6
    assert measure_periodicity(lines) == pytest.approx(expected)
    assert measure_periodicity(np.linspace(0, 1, 32)) == pytest.approx(0.0)
    assert measure_periodicity(np.ones(32)) == 0.0
    assert measure_periodicity(np.array([0.0, 1.0])) == 0.0


def encode(size: tuple[int, int], color: tuple[int, int, int]) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", size, color).save(sink, "PNG")
    return sink.getvalue()


def test_the_aspect_is_the_original_images() -> None:
    wide, high = describe_image(encode((80, 40), (9, 9, 9))), describe_image(encode((40, 80), (9, 9, 9)))
    assert STATISTICS[-1] == "aspect"
    assert wide[-1] == pytest.approx(np.log(2))
    assert high[-1] == pytest.approx(-np.log(2))
    assert wide[:-1].tolist() == high[:-1].tolist()


def test_what_cannot_be_decoded_is_zeros() -> None:
    assert describe_image(b"no image").tolist() == [0.0] * len(STATISTICS)


def test_a_shards_statistics_are_computed_once(tmp_path: Path) -> None:
    colors = [(255, 255, 255), (0, 0, 0), (250, 10, 10)]
    data = encode_shard([Pair(str(row), "text", encode((30, 20), color), str(row)) for row, color in enumerate(colors)])
    path = tmp_path / "shard.parquet"
    path.write_bytes(data)
    shard = ShardFile(shard_hash(data), path, 3)
    expected = np.stack([describe_image(encode((30, 20), color)) for color in colors])
    assert read_look(shard).tolist() == expected.tolist()
    assert not (tmp_path / "kept").exists()
    assert read_look(shard, tmp_path / "kept").tolist() == expected.tolist()
    path.unlink()
    assert read_look(shard, tmp_path / "kept").tolist() == expected.tolist()
    assert [file.name for file in (tmp_path / "kept" / LOOK_FOLDER).iterdir()] == [f"{shard.hash}.npy"]
