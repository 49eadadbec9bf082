import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    AutoTokenizer,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from itrp.config import TextEncoderConfig
from itrp.errors import WeightsUnavailableError
from itrp.inference.embeddings import embed_tokens
from itrp.models.encoder_pair import fingerprint
from itrp.models.text_encoder import TextEncoder, build_text_encoder, find_text_weights, load_text_encoder

CPU = torch.device("cpu")
SHORT = "a dog"
LONG = "the dog that ran over the green meadow saw a cat, a bird and another dog in the garden of the house"


def encode(encoder: TextEncoder, *texts: str) -> np.ndarray:
    """[n, d] vectors of texts in one batch, in evaluation mode."""
    encoder.eval()
    with torch.inference_mode():
        return encoder(*encoder.collate(encoder.tokenize(texts), CPU)).numpy()


def states_of(name: str, text: str) -> np.ndarray:
    """[t, d] last hidden states of one text by transformers alone, nothing padded."""
    source = find_text_weights(name)
    tokenizer = AutoTokenizer.from_pretrained(source)
    transformer = AutoModel.from_pretrained(source).eval()
    with torch.inference_mode():
        return transformer(**tokenizer([text], return_tensors="pt")).last_hidden_state[0].numpy()


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    return load_text_encoder(TextEncoderConfig())


@pytest.fixture
def load_tiny(tiny_text: Path) -> Callable[..., TextEncoder]:
    return lambda **settings: load_text_encoder(TextEncoderConfig(name=str(tiny_text), **settings))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_HUB_OFFLINE=1 sets when it is there before the import: nothing is asked of the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def test_minilm_comes_with_its_package(minilm: TextEncoder) -> None:
    assert minilm.width == 384
    assert minilm.transformer.config.num_hidden_layers == 6
    assert all(tensor.dtype == torch.float32 for tensor in minilm.parameters())


def test_minilm_knows_which_texts_mean_the_same(minilm: TextEncoder) -> None:
    first, second, other = encode(minilm, "a dog on the grass", "a puppy in a meadow", "the stock market fell")
    cosine = lambda a, b: float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))  # noqa: E731
    assert cosine(first, second) > cosine(first, other) + 0.2


def test_a_vector_is_the_mean_over_the_real_tokens(minilm: TextEncoder) -> None:
    expected = states_of("minilm", SHORT)
    assert expected.shape == (4, 384)  # [CLS] a dog [SEP]
    np.testing.assert_allclose(encode(minilm, SHORT)[0], expected.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_changes_nothing(load_tiny: Callable[..., TextEncoder], pooling: str) -> None:
    encoder = load_tiny(pooling=pooling)
    alone, beside_longer = encode(encoder, SHORT)[0], encode(encoder, LONG, SHORT)[1]
    np.testing.assert_allclose(alone, beside_longer, atol=1e-5)
    assert np.abs(alone - encode(encoder, LONG)[0]).max() > 1e-2


def test_cls_pooling_takes_the_first_token(tiny_text: Path, load_tiny: Callable[..., TextEncoder]) -> None:
    expected = states_of(str(tiny_text), SHORT)
    vector = encode(load_tiny(pooling="cls"), LONG, SHORT)[1]
    np.testing.assert_allclose(vector, expected[0], atol=1e-5)
    assert np.abs(vector - expected.mean(axis=0)).max() > 1e-2


def test_token_rows_are_cut_at_the_limit_with_their_end_mark(load_tiny: Callable[..., TextEncoder]) -> None:
    whole = load_tiny().tokenize([SHORT, LONG])
    cut = load_tiny(max_tokens=8).tokenize([SHORT, LONG])
    assert len(whole[1]) > 8
    assert [row.dtype for row in whole] == [np.int32, np.int32]
    np.testing.assert_array_equal(cut[0], whole[0])
    np.testing.assert_array_equal(cut[1], [*whole[1][:7], whole[1][-1]])


def test_collate_pads_to_the_longest_row_of_the_batch(load_tiny: Callable[..., TextEncoder]) -> None:
    rows = [np.array([2, 9, 3], dtype=np.int32), np.array([2, 8, 7, 6, 3], dtype=np.int32)]
    input_ids, mask = load_tiny().collate(rows, CPU)
    assert input_ids.tolist() == [[2, 9, 3, 0, 0], [2, 8, 7, 6, 3]]
    assert mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


def test_the_trailing_link_is_removed_on_demand_only(load_tiny: Callable[..., TextEncoder]) -> None:
    linked, bare = "a dog https://t.co/AbC123", "a dog"
    assert len(load_tiny().tokenize([linked])[0]) > len(load_tiny().tokenize([bare])[0])
    stripped = load_tiny(strip_link=True).tokenize([linked, bare, "https://t.co/a b"])
    np.testing.assert_array_equal(stripped[0], stripped[1])
    assert len(stripped[2]) > 2  # a link that is not at the end stays


def test_an_empty_text_has_a_vector(load_tiny: Callable[..., TextEncoder]) -> None:
    assert np.isfinite(encode(load_tiny(), "")).all()


def test_vectors_do_not_depend_on_the_batch(load_tiny: Callable[..., TextEncoder]) -> None:
    encoder = load_tiny()
    rows = encoder.tokenize([" ".join(["dog"] * length) for length in (1, 9, 3, 30, 2, 14)])
    one, three, all_at_once = (embed_tokens(encoder, rows, CPU, size) for size in (1, 3, 64))
    np.testing.assert_allclose(one, all_at_once, atol=1e-5)
    np.testing.assert_allclose(three, all_at_once, atol=1e-5)
    assert np.unique(one.round(4), axis=0).shape == (6, 32)


def test_a_folder_is_read_again_from_what_save_wrote(load_tiny: Callable[..., TextEncoder], tmp_path: Path) -> None:
    encoder = load_tiny(pooling="cls")
    encoder.save(tmp_path)
    again = build_text_encoder(encoder.config, tmp_path)
    assert again.tokenize([LONG])[0].tolist() == encoder.tokenize([LONG])[0].tolist()
    again.load_state_dict(encoder.state_dict())
    np.testing.assert_array_equal(encode(again, LONG), encode(encoder, LONG))


def test_half_precision_weights_become_single_precision(tiny_text: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(tiny_text, dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    AutoTokenizer.from_pretrained(tiny_text).save_pretrained(tmp_path / "half")
    encoder = load_text_encoder(TextEncoderConfig(name=str(tmp_path / "half")))
    assert {tensor.dtype for tensor in encoder.parameters()} == {torch.float32}
    encoder.save(tmp_path / "saved")
    rebuilt = build_text_encoder(encoder.config, tmp_path / "saved")
    assert {tensor.dtype for tensor in rebuilt.parameters()} == {torch.float32}


def test_a_roberta_folder_pads_with_its_own_padding(tmp_path: Path) -> None:
    """RoBERTa counts positions from its padding number (1), so a wrong one would move every vector."""
    save_letters(tmp_path, {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}, pad_token="<pad>")
    torch.manual_seed(0)
    RobertaModel(
        RobertaConfig(
            vocab_size=30,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=66,
            pad_token_id=1,
        )
    ).save_pretrained(tmp_path)
    encoder = load_text_encoder(TextEncoderConfig(name=str(tmp_path), max_tokens=64))
    assert encoder.collate(encoder.tokenize(["a", "a b"]), CPU)[0].tolist() == [[4, 1], [4, 5]]
    expected = states_of(str(tmp_path), "a b c").mean(axis=0)
    np.testing.assert_allclose(encode(encoder, "a b c d e f g h", "a b c")[1], expected, atol=1e-5)


def test_a_tokenizer_without_a_padding_token_will_do(tmp_path: Path) -> None:
    save_letters(tmp_path, {"<unk>": 0})
    torch.manual_seed(0)
    GPT2Model(GPT2Config(vocab_size=30, n_embd=16, n_layer=1, n_head=2, n_positions=64)).save_pretrained(tmp_path)
    encoder = load_text_encoder(TextEncoderConfig(name=str(tmp_path), max_tokens=64))
    expected = states_of(str(tmp_path), "a b").mean(axis=0)
    np.testing.assert_allclose(encode(encoder, "a b c d e f g h", "a b")[1], expected, atol=1e-5)


def test_a_checkpoint_without_the_pooler_is_whole_and_always_the_same(tiny_text: Path, tmp_path: Path) -> None:
    """RoBERTa's checkpoints have none; transformers draws one at random, which nothing here may see."""
    copy_folder(tiny_text, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if not k.startswith("pooler.")}, tmp_path / "model.safetensors")
    first, second = (load_text_encoder(TextEncoderConfig(name=str(tmp_path))) for _ in range(2))
    assert any(name.startswith("pooler.") for name in tensors)
    assert not any("pooler" in name for name in first.state_dict())
    assert fingerprint(first) == fingerprint(second)


def copy_folder(source: Path, target: Path) -> None:
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


def save_letters(folder: Path, special: dict[str, int], **names: str) -> None:
    """A tokenizer of single letters after the special tokens."""
    vocabulary = {**special, **{letter: len(special) + place for place, letter in enumerate("abcdefgh")}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", **names).save_pretrained(folder)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["nobody-here/no-such-model", "/no/such/folder", "~/no such folder"])
def test_an_encoder_that_cannot_be_had_is_explained_in_one_line(name: str) -> None:
    with pytest.raises(WeightsUnavailableError) as caught:
        load_text_encoder(TextEncoderConfig(name=name))
    line = str(caught.value)
    assert "\n" not in line
    assert repr(name) in line
    assert "as a local folder, in the Hugging Face cache and on the hub" in line
    assert "text.name=FOLDER" in line
    assert "text.name=minilm" in line
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_folder_is_explained(tiny_text: Path, tmp_path: Path, missing: str) -> None:
    for file in tiny_text.iterdir():
        if file.name != missing:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(WeightsUnavailableError, match=r"FOLDER holding config\.json, tokenizer\.json and"):
        load_text_encoder(TextEncoderConfig(name=str(tmp_path)))


def test_damaged_weights_are_explained(tiny_text: Path, tmp_path: Path) -> None:
    copy_folder(tiny_text, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(WeightsUnavailableError, match=r"text\.name=FOLDER"):
        load_text_encoder(TextEncoderConfig(name=str(tmp_path)))


def test_missing_tensors_are_not_drawn_at_random(tiny_text: Path, tmp_path: Path) -> None:
    copy_folder(tiny_text, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in sorted(tensors) if name.endswith("layer.1.output.dense.weight"))
    save_file({name: value for name, value in tensors.items() if name != gone}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsUnavailableError, match=gone):
        load_text_encoder(TextEncoderConfig(name=str(tmp_path)))


def test_tensors_of_another_shape_are_explained(tiny_text: Path, tmp_path: Path) -> None:
    copy_folder(tiny_text, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(WeightsUnavailableError, match=r"have them in another shape, 'encoder\.layer\.0\.intermediate"):
        load_text_encoder(TextEncoderConfig(name=str(tmp_path)))


def test_code_in_a_folder_is_never_run(tiny_text: Path, tmp_path: Path) -> None:
    copy_folder(tiny_text, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModel": "mine.MyModel"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(WeightsUnavailableError):
        load_text_encoder(TextEncoderConfig(name=str(tmp_path)))
    assert not (tmp_path / "ran").exists()
