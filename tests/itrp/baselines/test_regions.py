import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from itrp.baselines import regions as regions_module
from itrp.baselines.config import LxmertConfig
from itrp.baselines.detector import Detector, load_detector, restore_detector
from itrp.baselines.regions import DetectedRegions, GivenRegions
from itrp.baselines.stand_ins import DETECTOR, DETECTOR_SIZE, write_detector
from itrp.data.images import decode_image
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.errors import DataError, WeightsUnavailableError, WrongUseError
from itrp.inference.embeddings import EmbeddingCache

CPU = torch.device("cpu")
IDS = ["10", "11", "12", "13"]
BOXES, WIDTH = 5, 8
FEATURES = np.arange(4 * BOXES * WIDTH, dtype=np.float32).reshape(4, BOXES, WIDTH)
CORNERS = np.linspace(0, 0.5, 4 * BOXES * 2, dtype=np.float32).reshape(4, BOXES, 2)
SHARES = np.concatenate((CORNERS, CORNERS + 0.25), axis=2)
"""x1, y1, x2, y2 [4, BOXES, 4]."""

Arrays = dict[str, NDArray[Any]]


def picture_file(colour: int, size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(colour).integers(0, 256, size=(3, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def shard(write_shard: Callable[[Path, Sequence[Pair]], ShardFile], tmp_path: Path) -> ShardFile:
    """Three pairs, in another order than the file has them."""
    return write_shard(
        tmp_path, [Pair(id_, "a text", picture_file(int(id_)), f"{id_}.png") for id_ in ("12", "10", "13")]
    )


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache", CPU)


@pytest.fixture
def write_npz(tmp_path: Path) -> Callable[..., Path]:
    """write_npz(features=..., ...): the four pictures' regions with these arrays changed, None for left out."""

    def write(save: Callable[..., None] = np.savez, **changed: Any) -> Path:
        arrays = {"ids": np.array(IDS), "features": FEATURES, "boxes": SHARES} | changed
        save(tmp_path / "regions.npz", **{name: array for name, array in arrays.items() if array is not None})
        return tmp_path / "regions.npz"

    return write


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_given_regions_stand_in_the_pairs_order(
    save: Callable[..., None], write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    source = GivenRegions(write_npz(save), boxes=BOXES)
    regions = source.read(shard, cache)
    assert source.width == WIDTH
    np.testing.assert_array_equal(regions["features"], FEATURES[[2, 0, 3]])
    np.testing.assert_array_equal(regions["boxes"], SHARES[[2, 0, 3]])
    assert regions["count"].tolist() == [5, 5, 5]


def test_features_are_streamed_in_pieces(
    write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regions_module, "_CHUNK_BYTES", 3 * BOXES * WIDTH * 4)  # 3 pictures, then the last
    regions = GivenRegions(write_npz(), boxes=BOXES).read(shard, cache)
    np.testing.assert_array_equal(regions["features"], FEATURES[[2, 0, 3]])


def test_pixels_become_shares_of_width_and_height(
    write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    sizes = np.array([[100, 50], [200, 100], [640, 480], [10, 1000]])
    pixels = SHARES * np.concatenate((sizes, sizes), axis=1)[:, None]
    regions = GivenRegions(write_npz(boxes=pixels, sizes=sizes), boxes=BOXES).read(shard, cache)
    np.testing.assert_allclose(regions["boxes"], SHARES[[2, 0, 3]], atol=1e-6)


@pytest.mark.parametrize(("boxes", "kept"), [(2, 2), (7, 5)])
def test_the_first_regions_are_taken_and_the_rest_is_padding(
    boxes: int, kept: int, write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    regions = GivenRegions(write_npz(), boxes=boxes).read(shard, cache)
    assert regions["features"].shape == (3, boxes, WIDTH)
    np.testing.assert_array_equal(regions["features"][:, :kept], FEATURES[[2, 0, 3], :kept])
    assert not regions["features"][:, kept:].any()
    assert regions["count"].tolist() == [kept] * 3


def test_counts_say_how_many_are_regions(
    write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    features = FEATURES.copy()
    features[2, 1:] = np.nan  # what lies behind the count is not read
    path = write_npz(features=features, counts=np.array([5, 5, 1, 2]))
    regions = GivenRegions(path, boxes=3).read(shard, cache)
    assert regions["count"].tolist() == [1, 3, 2]
    np.testing.assert_array_equal(regions["features"][0], [FEATURES[2, 0], np.zeros(WIDTH), np.zeros(WIDTH)])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ids": None}, "found no ids"),
        ({"boxes": None}, "found no boxes"),
        ({"features": FEATURES[0]}, r"expected features \[n, boxes, d\].*found float32 \[5, 8\]"),
        ({"features": FEATURES.astype(int)}, r"expected features \[n, boxes, d\] of floats.*found int64"),
        ({"features": np.asfortranarray(FEATURES)}, "in Fortran order"),
        ({"features": np.where(FEATURES == 3, np.inf, FEATURES)}, "numbers below 65,504.*row 0"),
        ({"ids": np.array(IDS[:3])}, r"expected ids \[4\] beside the features.*found \[3\]"),
        ({"ids": np.array(["10", "11", "11", "13"])}, "every id once.*found 1 again"),
        ({"ids": np.array(["10", "11", "99", "98"])}, "no regions for 2 of 3 pairs, '12' first"),
        ({"ids": np.array(IDS, dtype=object)}, "ids in .* as plain numbers or strings"),
        ({"boxes": SHARES[:, :, :3]}, r"expected boxes \[4, 5, 4\]"),
        ({"boxes": SHARES * 100}, r"or in pixels with sizes \[n, 2\].*from 0 to 75"),
        ({"boxes": SHARES[:, :, ::-1]}, "x1 <= x2"),
        ({"counts": np.array([5, 5, 0, 1])}, "expected counts from 1 to 5"),
        ({"counts": np.array(["5", "5", "1", "2"])}, "expected counts .* as numbers, found .* of <U1"),
        ({"features": FEATURES[:, :0]}, r"expected features .*found float32 \[4, 0, 8\]"),
        ({"ids": np.array([b"caf\xe9", b"1", b"2", b"3"])}, "no regions for 3 of 3 pairs"),
        ({"sizes": np.array([[0, 1]])}, r"expected sizes \[4, 2\]"),
    ],
)
def test_what_is_no_region_file_is_refused(
    changed: Arrays, message: str, write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    with pytest.raises(DataError, match=message) as error:
        GivenRegions(write_npz(**changed), boxes=BOXES).read(shard, cache)
    assert "\n" not in str(error.value)
    assert not [path for path in cache.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_file_is_refused_wherever_it_is_damaged(
    save: Callable[..., None], write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    """Cut, or with bytes changed: an error in one line, or (where nothing that is read has changed) the same regions."""
    whole = write_npz(save).read_bytes()
    path, good = write_npz(save), GivenRegions(write_npz(save), boxes=BOXES).read(shard, cache).copy()
    damaged = [whole[:length] for length in range(0, len(whole), 61)]
    for place in range(0, len(whole), 13):
        damaged.append(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    told = [_read_damaged(path, content, shard, cache, good) for content in damaged]
    rejected = [message for message in told if message]
    assert all("network.regions" in message and "\n" not in message for message in rejected)
    assert len(rejected) > len(damaged) / 2


def _read_damaged(path: Path, content: bytes, shard: ShardFile, cache: EmbeddingCache, good: Any) -> str:
    """The error's text; empty where the regions are read as they were."""
    path.write_bytes(content)
    try:
        regions = GivenRegions(path, boxes=BOXES).read(shard, cache)
    except DataError as error:
        return str(error)
    np.testing.assert_array_equal(regions, good)
    return ""


def test_no_file_and_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    for path in (tmp_path / "no.npz", tmp_path / "text.npz"):
        with pytest.raises(DataError, match=r"expected an npz file with ids \[n\], features"):
            GivenRegions(path, boxes=BOXES)


def test_regions_of_another_width_than_the_model_was_trained_on_are_refused(
    write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    with pytest.raises(DataError, match="trained on regions with 9 features, found 8"):
        GivenRegions(write_npz(), BOXES, width=9).read(shard, cache)


def test_another_file_is_not_answered_from_the_cache(
    write_npz: Callable[..., Path], shard: ShardFile, cache: EmbeddingCache
) -> None:
    first = GivenRegions(write_npz(), boxes=BOXES).read(shard, cache)["features"][0, 0, 0]
    second = GivenRegions(write_npz(features=FEATURES + 1), boxes=BOXES).read(shard, cache)["features"][0, 0, 0]
    assert (first, second) == (FEATURES[2, 0, 0], FEATURES[2, 0, 0] + 1)


@pytest.fixture
def config(detector_file: Path) -> LxmertConfig:
    return LxmertConfig(detector=DETECTOR, detector_weights=str(detector_file), detector_size=DETECTOR_SIZE, boxes=12)


@pytest.fixture
def detector(config: LxmertConfig) -> Detector:
    return load_detector(config)


def test_regions_are_those_of_torchvisions_own_detector(config: LxmertConfig, detector: Detector) -> None:
    reference = torchvision.models.get_model(DETECTOR, weights=None, weights_backbone=None, min_size=DETECTOR_SIZE)
    reference.load_state_dict(load_file(config.detector_weights))
    image = decode_image(picture_file(1, (80, 60)))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        found = reference.eval()([pixels])[0]  # boxes in the picture's pixels, the surest first
    features, boxes = detector.find_regions(image, CPU)
    assert features.shape == (12, 1024)
    np.testing.assert_allclose(boxes, found["boxes"][:12].numpy() / [80, 60, 80, 60], atol=1e-4)
    assert len(np.unique(features.round(5), axis=0)) > 6


def test_a_large_picture_is_shrunk_first(detector: Detector) -> None:
    seen = []
    detector.model.transform.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0][0].shape))
    detector.find_regions(decode_image(picture_file(1, (3000, 1500))), CPU)
    assert seen == [(3, 320, 640)]  # the detector's longest side


def test_where_nothing_is_found_the_whole_picture_is_the_region(config: LxmertConfig) -> None:
    blind = load_detector(config)
    blind.model.roi_heads.box_predictor.cls_score.weight.zero_()  # every class is as likely as any other: 1/91
    features, boxes = blind.find_regions(decode_image(picture_file(1)), CPU)
    assert boxes.tolist() == [[0, 0, 1, 1]]
    assert features.shape == (1, 1024)
    assert features.any()


def test_a_shard_is_looked_at_once(config: LxmertConfig, shard: ShardFile, cache: EmbeddingCache) -> None:
    detector = load_detector(config)
    calls = []
    detector.model.backbone.register_forward_hook(lambda *_: calls.append(1))
    source = DetectedRegions(config, detector)
    first = source.read(shard, cache)
    assert (first.shape, len(calls)) == ((3,), 3)
    again = source.read(shard, cache)
    assert len(calls) == 3
    np.testing.assert_array_equal(again, first)
    features, boxes = detector.find_regions(decode_image(picture_file(10)), CPU)
    count = first["count"][1]
    assert count == len(boxes)
    np.testing.assert_array_equal(first["features"][1, :count], features.astype(np.float16))
    np.testing.assert_array_equal(first["boxes"][1, :count], boxes)
    assert ((first["boxes"] >= 0) & (first["boxes"] <= 1)).all()


def test_the_fingerprint_names_weights_and_settings(config: LxmertConfig, tmp_path: Path) -> None:
    def fingerprint(**changed: Any) -> str:
        return load_detector(config.model_copy(update=changed)).fingerprint

    other = write_detector(tmp_path, seed=1)
    names = [fingerprint(), fingerprint(boxes=3), fingerprint(min_score=0.5), fingerprint(detector_weights=str(other))]
    assert len(set(names)) == 4
    assert fingerprint(max_tokens=9) == names[0]


def test_a_saved_detector_needs_no_other_file(detector: Detector, config: LxmertConfig, tmp_path: Path) -> None:
    detector.save(tmp_path)
    again = restore_detector(config.model_copy(update={"detector_weights": "gone"}), tmp_path)
    for expected, found in zip(
        *(d.find_regions(decode_image(picture_file(3)), CPU) for d in (detector, again)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_weights_with_frozen_batch_norms_and_other_classes_fit(config: LxmertConfig, tmp_path: Path) -> None:
    """As pretrained detectors have them, in a .pth file; 4 classes for somebody's own detector."""
    state = {name: tensor for name, tensor in load_file(config.detector_weights).items() if "num_batches" not in name}
    for name, rows in (("cls_score", 4), ("bbox_pred", 16)):
        for kind in ("weight", "bias"):
            key = f"roi_heads.box_predictor.{name}.{kind}"
            state[key] = state[key][:rows]
    torch.save(state, tmp_path / "own.pth")
    detector = load_detector(config.model_copy(update={"detector_weights": str(tmp_path / "own.pth")}))
    assert detector.model.roi_heads.box_predictor.cls_score.out_features == 4


def test_published_weights_keep_torchvisions_batch_norm(tmp_path: Path) -> None:
    """torchvision evaluates fasterrcnn_resnet50_fpn's with no epsilon, and its file has older names for some tensors."""
    name = "fasterrcnn_resnet50_fpn"
    state = torchvision.models.get_model(name, weights=None, weights_backbone=None).state_dict()
    state["rpn.head.conv.weight"] = state.pop("rpn.head.conv.0.0.weight")
    state["backbone.fpn.inner_blocks.0.weight"] = state.pop("backbone.fpn.inner_blocks.0.0.weight")
    torch.save(dict(state), tmp_path / "old.pth")
    detector = load_detector(LxmertConfig(detector=name, detector_weights=str(tmp_path / "old.pth")))
    assert {m.eps for m in detector.model.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.0}
    loaded = detector.model.state_dict()["rpn.head.conv.0.0.weight"]
    assert torch.equal(loaded, state["rpn.head.conv.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lacks", "lack 1 of its tensors, 'rpn.head.cls_logits.bias' first"),
        ("shape", "have other shapes .*rpn.head.cls_logits.bias"),
        ("text", "cannot be read as one"),
        ("name", "expected the path of a file or one of COCO_V1 .*found 'COCO_V9'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: str, message: str, config: LxmertConfig, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    state = load_file(config.detector_weights)
    if change == "lacks":
        del state["rpn.head.cls_logits.bias"]
    if change == "shape":
        state["rpn.head.cls_logits.bias"] = torch.zeros(99)
    save_file(state, path)
    if change == "text":
        path.write_text("no tensors")
    weights = "COCO_V9" if change == "name" else str(path)
    with pytest.raises(WeightsUnavailableError, match=message) as error:
        load_detector(config.model_copy(update={"detector_weights": weights}))
    assert "\n" not in str(error.value)


def test_a_detector_that_is_no_faster_rcnn_is_refused() -> None:
    with pytest.raises(WrongUseError, match=r"network\.detector: expected one of fasterrcnn_.*found 'ssd300_vgg16'"):
        load_detector(LxmertConfig(detector="ssd300_vgg16"))


def test_weights_that_are_not_to_be_had_are_named_in_one_line(
    config: LxmertConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = torchvision.models.get_model_weights(DETECTOR).COCO_V1
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(type(weights), "url", "http://127.0.0.1:1/none.pth", raising=False)
    with pytest.raises(
        WeightsUnavailableError, match=r"could not be had .* give network\.detector_weights=FILE"
    ) as error:
        load_detector(config.model_copy(update={"detector_weights": "COCO_V1"}))
    assert "\n" not in str(error.value)
