import io
import json
import shutil
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessor,
    Siglip2Model,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

from itrp.data.images import decode_image
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.data.shards import encode_shard, shard_hash
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import WeightsUnavailableError
from itrp.models.dual_encoder import DualEncoder, build_dual_encoder, load_dual_encoder
from tests.itrp.models.drawn_models import draw_model
from tests.poison import palette_without_colours

CPU = torch.device("cpu")
KINDS = ("clip", "siglip", "siglip2")
TOWER = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save_clip(folder: Path) -> None:
    """Width 32, projected to 24, 77 text places, pictures 32 x 32, as CLIPProcessor and CLIPModel save themselves."""
    words = {token: place for place, token in enumerate(("<|startoftext|>", "<|endoftext|>"))}
    words |= {piece: len(words) + place for place, piece in enumerate([*LETTERS, *(f"{x}</w>" for x in LETTERS)])}
    tokenizer = CLIPTokenizer(vocab=words, merges=[], model_max_length=77)
    text = TOWER | {
        "hidden_size": 32,
        "vocab_size": len(words),
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    vision = TOWER | {"hidden_size": 32, "image_size": 32, "patch_size": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    save_with(folder, CLIPModel, config)
    CLIPProcessor(processor, tokenizer).save_pretrained(folder)


def save_siglip(folder: Path) -> None:
    """Width 32, 16 text places, pictures 32 x 32, with a tokenizer of pieces like its own."""
    save_letters(folder, 16)
    text = TOWER | {"hidden_size": 32, "vocab_size": 40, "max_position_embeddings": 16}
    vision = TOWER | {"hidden_size": 32, "image_size": 32, "patch_size": 8}
    save_with(folder, SiglipModel, SiglipConfig(text_config=text, vision_config=vision))
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def save_siglip2(folder: Path) -> None:
    """The variant whose pictures keep their proportions: 16 patches of 8 x 8."""
    save_letters(folder, 16)
    text = TOWER | {"hidden_size": 32, "vocab_size": 40, "max_position_embeddings": 16}
    vision = TOWER | {"hidden_size": 32, "num_patches": 16, "patch_size": 8}
    save_with(folder, Siglip2Model, Siglip2Config(text_config=text, vision_config=vision))
    Siglip2ImageProcessor(patch_size=8, max_num_patches=16).save_pretrained(folder)


def save_letters(folder: Path, places: int) -> None:
    """A tokenizer of single letters: no capitals, no mark at the start, </s> at the end, padding <pad>."""
    words = {token: place for place, token in enumerate(("<pad>", "</s>", "<unk>", "▁", *LETTERS))}
    tokenizer = Tokenizer(models.BPE(words, [], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Replace("▁", " ")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": places}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def save_with(folder: Path, kind: type, config: object) -> None:
    model = draw_model(kind, config)
    if hasattr(model, "logit_bias"):
        model.logit_bias.data.fill_(-10.0)
    model.logit_scale.data.fill_(2.5)
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    saved = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    save_clip(saved["clip"])
    save_siglip(saved["siglip"])
    save_siglip2(saved["siglip2"])
    return saved


@pytest.fixture(scope="session")
def encoders(folders: dict[str, Path]) -> dict[str, DualEncoder]:
    return {kind: load_dual_encoder(str(folder)) for kind, folder in folders.items()}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest, encoders: dict[str, DualEncoder]) -> DualEncoder:
    return encoders[request.param]


def draw_picture(seed: int, size: tuple[int, int] = (48, 40), **saving: object) -> bytes:
    """A PNG of four coloured fields; `saving` goes to Pillow."""
    fields = np.random.default_rng(seed).integers(0, 256, size=(2, 2, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(fields).resize(size, Image.Resampling.NEAREST).save(file, "PNG", **saving)
    return file.getvalue()


TEXTS = ["a dog", "the stock market fell", "", "zebra"]
PICTURES = [draw_picture(seed, size) for seed, size in enumerate([(48, 40), (64, 64), (40, 90), (300, 33)])]


def test_scaled_cosines_are_the_models_own_logits(encoder: DualEncoder) -> None:
    texts, images = encoder.embed_texts(TEXTS, CPU), encoder.embed_images(PICTURES, CPU)
    with torch.inference_mode():
        own = encoder.model(**encoder.tokenize(TEXTS), **encoder.preprocess(PICTURES)).logits_per_text.numpy()
    np.testing.assert_allclose(texts @ images.T * encoder.scale + encoder.bias, own, atol=1e-4)
    assert own.std() > 0.1


def test_vectors_are_single_precision_of_length_one(encoder: DualEncoder) -> None:
    for vectors in (encoder.embed_texts(TEXTS, CPU), encoder.embed_images(PICTURES, CPU)):
        assert vectors.dtype == np.float32
        assert vectors.shape == (4, encoder.width)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert len(np.unique(vectors.round(3), axis=0)) == 4


def test_vectors_do_not_depend_on_the_batch(encoder: DualEncoder) -> None:
    one, all_at_once = (encoder.embed_texts(TEXTS, CPU, size) for size in (1, 64))
    np.testing.assert_allclose(one, all_at_once, atol=1e-5)
    one, three = (encoder.embed_images(PICTURES, CPU, size) for size in (1, 3))
    np.testing.assert_allclose(one, three, atol=1e-5)


def test_scale_and_bias_are_the_checkpoints(encoders: dict[str, DualEncoder]) -> None:
    assert [encoders[kind].bias for kind in KINDS] == [0.0, -10.0, -10.0]
    assert encoders["clip"].scale == pytest.approx(np.exp(2.5))


def test_clip_pads_to_the_longest_text_and_cuts_at_its_77_places(encoders: dict[str, DualEncoder]) -> None:
    rows = encoders["clip"].tokenize(["ab", "a" * 100])
    assert rows["input_ids"].shape == (2, 77)
    assert rows["input_ids"][0, :4].tolist() == [0, 2, 29, 1]  # start, a, b</w>, end
    assert rows["attention_mask"].sum(dim=1).tolist() == [4, 77]
    assert rows["input_ids"][1, -1] == 1  # the end is still there
    assert encoders["clip"].tokenize(["ab"])["input_ids"].shape == (1, 4)


@pytest.mark.parametrize("kind", ["siglip", "siglip2"])
def test_siglip_reads_lower_case_padded_to_the_full_length_without_a_mask(
    encoders: dict[str, DualEncoder], kind: str
) -> None:
    rows = encoders[kind].tokenize(["A b", "a" * 100])
    assert set(rows) == {"input_ids"}
    assert rows["input_ids"][0].tolist() == [4, 3, 5, 1, *[0] * 12]  # a, space, b, end, padding
    assert rows["input_ids"][1].tolist() == [*[4] * 15, 1]


def test_clip_cuts_the_middle_out_with_the_checkpoints_mean_and_deviation(encoders: dict[str, DualEncoder]) -> None:
    grey = Image.new("RGB", (64, 32), (255, 0, 0))
    grey.paste((0, 0, 0), (16, 0, 48, 32))  # black middle, red sides
    file = io.BytesIO()
    grey.save(file, "PNG")
    pixels = encoders["clip"].preprocess([file.getvalue()])["pixel_values"]
    assert pixels.shape == (1, 3, 32, 32)
    expected = -torch.tensor([0.48145466, 0.4578275, 0.40821073]) / torch.tensor([0.26862954, 0.26130258, 0.27577711])
    torch.testing.assert_close(pixels[0].mean(dim=(1, 2)), expected)


def test_pictures_are_turned_upright_and_laid_on_white(encoder: DualEncoder) -> None:
    plain = Image.fromarray(np.random.default_rng(5).integers(0, 256, size=(2, 2, 3), dtype=np.uint8))
    plain = plain.resize((48, 40), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright, turned = io.BytesIO(), io.BytesIO()
    plain.transpose(Image.Transpose.ROTATE_270).save(upright, "PNG")
    plain.save(turned, "PNG", exif=exif)
    vectors = encoder.embed_images([upright.getvalue(), turned.getvalue()], CPU)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    glass, white = io.BytesIO(), io.BytesIO()
    Image.new("RGBA", (40, 40), (9, 9, 9, 0)).save(glass, "PNG")
    Image.new("RGB", (40, 40), "white").save(white, "PNG")
    vectors = encoder.embed_images([glass.getvalue(), white.getvalue()], CPU)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_siglip2_keeps_the_proportions_of_a_picture(encoders: dict[str, DualEncoder]) -> None:
    rows = encoders["siglip2"].preprocess(PICTURES)
    assert rows["pixel_values"].shape == (4, 16, 3 * 8 * 8)
    (height, width) = rows["spatial_shapes"][3].tolist()
    assert height == 1
    assert width > 8


def test_cosines_are_those_of_the_pairs_in_stored_order(
    encoder: DualEncoder, shards: list[ShardFile], tweets: list[SyntheticTweet]
) -> None:
    cosines = encoder.cosines(shards, CPU)
    chosen = [0, 33, 34, 59]  # the first and the last pair of both shards
    texts = encoder.embed_texts([tweets[place].text for place in chosen], CPU)
    images = encoder.embed_images([tweets[place].image for place in chosen], CPU)
    assert cosines.shape == (60,)
    assert cosines.dtype == np.float32
    np.testing.assert_allclose(cosines[chosen], (texts * images).sum(axis=1), atol=1e-5)


def test_an_image_that_does_not_decode_has_no_cosine(
    encoder: DualEncoder, tweets: list[SyntheticTweet], tmp_path: Path
) -> None:
    pairs = [
        Pair(str(row), "words", palette_without_colours() if row == 1 else tweets[0].image, "a") for row in range(3)
    ]
    data = encode_shard(pairs)
    (tmp_path / "shard.parquet").write_bytes(data)
    cosines = encoder.cosines([ShardFile(shard_hash(data), tmp_path / "shard.parquet", 3)], CPU)
    assert np.isnan(cosines).tolist() == [False, True, False]
    assert cosines[0] == pytest.approx(cosines[2], abs=1e-6)


def test_nothing_gives_no_vectors(encoder: DualEncoder) -> None:
    assert encoder.embed_texts([], CPU).shape == encoder.embed_images([], CPU).shape == (0, encoder.width)
    assert encoder.cosines([], CPU).shape == (0,)


def test_gradients_reach_both_towers(folders: dict[str, Path]) -> None:
    encoder = load_dual_encoder(str(folders["clip"]))
    texts, images = (
        encoder.encode_texts(encoder.tokenize(TEXTS)),
        encoder.encode_images(encoder.preprocess(PICTURES)),
    )
    (texts * images).sum().backward()
    assert encoder.model.text_projection.weight.grad.abs().sum() > 0
    assert encoder.model.vision_model.embeddings.patch_embedding.weight.grad.abs().sum() > 0


def test_the_fingerprint_is_decided_by_weights_tokens_and_pixels(folders: dict[str, Path], tmp_path: Path) -> None:
    original = load_dual_encoder(str(folders["siglip"]))
    original.embed_texts(TEXTS, CPU)  # leaves its padding in the tokenizer
    same = shutil.copytree(folders["siglip"], tmp_path / "same")
    assert load_dual_encoder(str(same)).fingerprint() == original.fingerprint()
    found = {original.fingerprint()}
    mean = shutil.copytree(same, tmp_path / "mean")
    change_json(mean / "preprocessor_config.json", image_mean=[0.4, 0.5, 0.5])
    weights = shutil.copytree(same, tmp_path / "weights")
    tensors = load_file(weights / "model.safetensors")
    save_file(tensors | {"logit_bias": tensors["logit_bias"] + 1}, weights / "model.safetensors", {"format": "pt"})
    tokens = shutil.copytree(same, tmp_path / "tokens")
    rules = (tokens / "tokenizer.json").read_text()
    (tokens / "tokenizer.json").write_text(rules.replace('"z": 29', '"ζ": 29'))
    found |= {load_dual_encoder(str(folder)).fingerprint() for folder in (mean, weights, tokens)}
    assert len(found) == 4


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("name", ["nobody-here/no-such-model", "/no/such/folder"])
def test_an_encoder_that_cannot_be_had_is_explained_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsUnavailableError) as caught:
        load_dual_encoder(name)
    line = str(caught.value)
    assert "\n" not in line
    assert (
        f"the dual encoder {name!r} was looked for as a local folder, in the Hugging Face cache and on the hub" in line
    )
    assert "FOLDER holding config.json, model.safetensors, tokenizer.json and preprocessor_config.json" in line


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"])
def test_an_incomplete_folder_is_explained(folders: dict[str, Path], tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(folders["siglip"], tmp_path / "incomplete")
    (folder / missing).unlink()
    with pytest.raises(WeightsUnavailableError, match="could be loaded from none of them"):
        load_dual_encoder(str(folder))


@pytest.mark.parametrize("change", ["missing", "another shape"])
def test_tensors_are_never_drawn_at_random(folders: dict[str, Path], tmp_path: Path, change: str) -> None:
    folder = shutil.copytree(folders["clip"], tmp_path / "damaged")
    tensors = load_file(folder / "model.safetensors")
    tensor = tensors.pop("text_projection.weight")
    if change == "another shape":
        tensors["text_projection.weight"] = tensor[:3].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        WeightsUnavailableError, match=r"lack 1 tensors of CLIPModel .* 'text_projection\.weight' first"
    ):
        load_dual_encoder(str(folder))


def test_a_model_of_another_kind_is_refused(folders: dict[str, Path], tiny_text: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_text, tmp_path / "bert")
    shutil.copy(folders["siglip"] / "preprocessor_config.json", folder)
    with pytest.raises(WeightsUnavailableError, match="holds a BertModel: expected a model of texts and images"):
        load_dual_encoder(str(folder))


def test_pixels_are_those_of_the_checked_decoder(encoders: dict[str, DualEncoder]) -> None:
    encoder = encoders["siglip"]
    own = encoder.image_processor(images=[decode_image(PICTURES[0])], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(encoder.preprocess(PICTURES[:2])["pixel_values"][:1], own)


def test_a_saved_description_and_the_weights_are_the_encoder(encoder: DualEncoder, tmp_path: Path) -> None:
    """With the fingerprint it had, so that vectors that are kept stay of use."""
    encoder.save(tmp_path / "encoder")
    assert not list((tmp_path / "encoder").rglob("*.safetensors"))
    again = build_dual_encoder(tmp_path / "encoder")
    again.load_state_dict(encoder.state_dict())
    assert again.fingerprint() == encoder.fingerprint()
    np.testing.assert_allclose(again.embed_texts(TEXTS, CPU), encoder.embed_texts(TEXTS, CPU), atol=1e-6)
    np.testing.assert_allclose(again.embed_images(PICTURES, CPU), encoder.embed_images(PICTURES, CPU), atol=1e-6)
