"""Zero-shot by a vision-language model: which of the four relations does it hold most likely for an answer?

Nothing is trained and nothing is generated: the model reads image, tweet and question once, and each of the four
options gets the log-likelihood of its tokens as the answer's first ones, so the answer is always one of the four.
Log-likelihoods are summed over an option's tokens and not divided by their number: the options are single letters, all
of one length, and a quotient would only matter where lengths differ. Options are the letters A to D in the order of
the relation classes 2*T + I; the question lies in `prompts/relation.txt`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin

from itrp.data.images import decode_image
from itrp.data.inputs import ShardFile
from itrp.data.shards import iter_batches
from itrp.errors import DataError, WrongUseError
from itrp.models.pretrained import describe_tokenizer, digest_model, explain_loading, find_checkpoint, load_whole

OPTIONS = ("A", "B", "C", "D")
"""The answers, by relation class: 00, 01, 10, 11."""
LONGEST_SIDE = 1024
"""Images are shrunk to this many pixels a side before the checkpoint's own preprocessing, which may make thousands of
tokens of a large one."""
LONGEST_TEXT = 4000
"""Characters of a tweet that are read; X's paid accounts may post 25,000."""

_PLACE = "{text}"
_REMEDY = (
    "give the hub id of an image-text-to-text model, or a FOLDER holding its config.json, model.safetensors, "
    "tokenizer.json and processor_config.json as save_pretrained writes them"
)


@dataclass(frozen=True)
class Prompt:
    """The question, with one place for the tweet's text."""

    template: str

    def __post_init__(self) -> None:
        if self.template.count(_PLACE) != 1:
            raise DataError(
                f"expected a prompt with {_PLACE} once, where the tweet goes, found it {self.template.count(_PLACE)} times"
            )

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits of the template's UTF-8 bytes: a result holds for one prompt only."""
        return hashlib.sha256(self.template.encode()).hexdigest()

    def fill(self, text: str) -> str:
        """The question about one tweet, without white space at its end, after which an answer would begin differently."""
        return self.template.replace(_PLACE, text).rstrip()


def read_prompt(path: Path | None = None) -> Prompt:
    """The prompt of a file, or the one that comes with the package. Raises DataError when it cannot be one."""
    source = path or files("itrp.baselines").joinpath("prompts", "relation.txt")
    try:
        return Prompt(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a prompt in UTF-8 at {source}, found none ({error})") from None


@dataclass(frozen=True, eq=False)
class RelationScores:
    """What a model said of n pairs."""

    log_likelihoods: NDArray[np.float32]
    """[n, 4]: of each option, in the order of the relation classes."""
    prompt_sha256: str

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """[n, 4]: of each relation class, given that the answer is one of the four."""
        likelihoods = np.exp(self.log_likelihoods - self.log_likelihoods.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float32] = likelihoods / likelihoods.sum(axis=1, keepdims=True)
        return probabilities

    @property
    def relations(self) -> NDArray[np.int64]:
        """[n] most likely relation class 2*T + I; of equally likely ones the first."""
        best: NDArray[np.int64] = self.log_likelihoods.argmax(axis=1).astype(np.int64)
        return best


class ZeroShotVlm:
    """A vision-language model that is asked for the relation of text and image."""

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin, prompt: Prompt, name: str = "") -> None:
        self.model = model
        self.processor: Any = processor
        self.tokenizer: Any = processor.tokenizer
        # padding goes behind the real tokens, where neither causal attention nor any counting of positions sees it
        self.tokenizer.padding_side = "right"
        self.prompt = prompt
        self.name = name
        self._marks = _list_marks(self.processor)
        self._answers = self._find_answers()
        self._answer_tokens = self._tokenize_answers()
        self._check_places()

    def score(self, texts: Sequence[str], images: Sequence[bytes], batch_size: int = 8) -> RelationScores:
        """Scores of n texts, each with its image file. Raises RejectedError as `decode_image` does."""
        parts = [np.empty((0, len(OPTIONS)), dtype=np.float32)]
        for start in range(0, len(texts), batch_size):
            batch = slice(start, start + batch_size)
            parts.append(self._score_batch(texts[batch], images[batch]).cpu().numpy())
        return RelationScores(np.concatenate(parts), self.prompt.sha256)

    def score_shards(self, shards: Sequence[ShardFile], batch_size: int = 8) -> RelationScores:
        """Scores of all pairs of the shards in stored order; a few hundred images are in memory at a time."""
        parts = [np.empty((0, len(OPTIONS)), dtype=np.float32)]
        for shard in shards:
            for batch in iter_batches(shard.path, ["text", "image"]):
                images = batch.column("image").field("bytes").to_pylist()
                parts.append(self.score(batch.column("text").to_pylist(), images, batch_size).log_likelihoods)
        return RelationScores(np.concatenate(parts), self.prompt.sha256)

    def fingerprint(self) -> str:
        """16 hex digits naming the system by what decides its answers: weights and their precision, input, prompt."""
        processor = (
            f"{self.processor.to_json_string()} {self.processor.image_processor.to_json_string()} {LONGEST_SIDE}"
        )
        wording = f"{self._render('')}{self._answers} {self.model.dtype}"
        return digest_model(self.model, describe_tokenizer(self.tokenizer), processor.encode(), wording.encode())

    @torch.inference_mode()
    def _score_batch(self, texts: Sequence[str], images: Sequence[bytes]) -> Tensor:
        """[b, 4] log-likelihoods: one forward pass where every option is one token, else one for each option."""
        prompts = [self._render(text) for text in texts]
        opened = [[_open_image(image)] for image in images]
        if all(len(tokens) == 1 for tokens in self._answer_tokens):
            choices = [tokens[0] for tokens in self._answer_tokens]
            return self._predict_tokens(prompts, opened, 1)[:, 0, choices]
        columns = []
        for answer, tokens in zip(self._answers, self._answer_tokens, strict=True):
            longer = [prompt + answer for prompt in prompts]
            rows = self._predict_tokens(longer, opened, len(tokens) + 1)  # (B, S + 1, V)
            columns.append(rows[:, range(len(tokens)), tokens].sum(dim=1))
        return torch.stack(columns, dim=1)

    def _predict_tokens(self, prompts: list[str], images: list[list[Image.Image]], places: int) -> Tensor:
        """[b, places, v] float32 log-probabilities of the token after each of the last `places` tokens of each row."""
        inputs = self._process(prompts, images).to(self.model.device, self.model.dtype)
        ends = inputs["attention_mask"].sum(dim=1, keepdim=True)  # (B, 1)
        wanted = ends - places + torch.arange(places, device=ends.device)  # (B, P)
        # only the places that some row wants become logits: a whole row of them would take gigabytes
        kept, where = wanted.unique(return_inverse=True)
        logits: Tensor = self.model(**inputs, logits_to_keep=kept, use_cache=False).logits  # (B, K, V)
        rows = torch.arange(len(prompts), device=ends.device).unsqueeze(1)
        return logits[rows, where].float().log_softmax(dim=-1)

    def _process(self, prompts: list[str], images: list[list[Image.Image]]) -> Any:
        begins = self.tokenizer.bos_token is not None and prompts[0].startswith(self.tokenizer.bos_token)
        settings = {"add_special_tokens": False} if begins else {}  # a chat template may write the first token itself
        return self.processor(text=prompts, images=images, padding=True, return_tensors="pt", **settings)

    def _render(self, text: str) -> str:
        """The whole input about one tweet, up to where the answer begins; the image still as one mark."""
        text = text[:LONGEST_TEXT]
        for mark in self._marks:  # a tweet may hold what would be read as an image's place or the end of a turn
            text = text.replace(mark, " ")
        question = self.prompt.fill(text)
        if self.processor.chat_template is None:
            return f"{self.processor.image_token}\n{question}\nAnswer:"
        turns = [_ask(question)]
        rendered: str = self.processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        return rendered

    def _find_answers(self) -> list[str]:
        """How each option begins after the prompt: with a space or without one, as the chat template puts an answer."""
        prompt = self._render("")
        answers = []
        for option in OPTIONS:
            space = "" if prompt[-1].isspace() else " "
            if self.processor.chat_template is not None:
                turn = {"role": "assistant", "content": [{"type": "text", "text": option}]}
                whole = self.processor.apply_chat_template([_ask(self.prompt.fill("")), turn], tokenize=False)
                before, found, _ = whole.removeprefix(prompt).partition(option)
                if whole.startswith(prompt) and found and not before.strip():
                    space = before
            answers.append(space + option)
        return answers

    def _tokenize_answers(self) -> list[list[int]]:
        """Token numbers of each answer as they follow the prompt. Raises WrongUseError when they cannot be told."""
        prompt = self._render("")
        before = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        rows = [self.tokenizer(prompt + each, add_special_tokens=False)["input_ids"] for each in self._answers]
        tails = [row[len(before) :] for row in rows]
        if any(row[: len(before)] != before or not tail for row, tail in zip(rows, tails, strict=True)):
            raise WrongUseError(
                f"the tokenizer of {self.name!r} joins the prompt's end {prompt[-10:]!r} and an answer to one token: "
                "change the end of the prompt"
            )
        if len({tuple(tail) for tail in tails}) < len(OPTIONS):
            raise WrongUseError(
                f"the tokenizer of {self.name!r} cannot separate the options {', '.join(OPTIONS)} apart"
            )
        return tails

    @torch.inference_mode()
    def _check_places(self) -> None:
        """Each token needs one place in the model, and the prompt's last token the last one: there the answer is read."""
        prompt = self._render("")
        inputs = self._process([prompt], [[Image.new("RGB", (64, 64))]])
        row = inputs["input_ids"][0]
        if int(row[-1]) != self.tokenizer(prompt, add_special_tokens=False)["input_ids"][-1]:
            raise WrongUseError(
                f"the processor of {self.name!r} puts {self.tokenizer.decode(row[-1:])!r} behind the prompt, "
                "so that no answer can follow it: use a chat model"
            )
        inputs = inputs.to(self.model.device, self.model.dtype)
        places = self.model(**inputs, logits_to_keep=1, output_hidden_states=True).hidden_states[-1].shape[1]
        if places != len(row):
            raise WrongUseError(_explain_kind(self.model, self.name))


def load_zero_shot_vlm(name: str, device: torch.device, prompt: Prompt | None = None) -> ZeroShotVlm:
    """The image-text-to-text model of a hub id or local folder, on a device: bfloat16 on CUDA, float32 elsewhere.

    prompt: the package's own unless given. Raises WeightsUnavailableError, one line, when it is neither here nor to be
    fetched or lacks tensors; WrongUseError for a model that cannot be asked so: an encoder-decoder, or one of the few
    older ones that put the image before the tokens or give no logits for single places.
    """
    with explain_loading("vision-language model", name, _REMEDY):
        processor = AutoProcessor.from_pretrained(find_checkpoint(name), trust_remote_code=False)
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        model: Any = load_whole(AutoModelForImageTextToText, name, dtype)
    if model.config.is_encoder_decoder or "logits_to_keep" not in signature(model.forward).parameters:
        raise WrongUseError(_explain_kind(model, name))
    return ZeroShotVlm(model.to(device), processor, prompt or read_prompt(), name)


def _explain_kind(model: PreTrainedModel, name: str) -> str:
    return (
        f"{name!r} is a {type(model).__name__}: expected a decoder that reads image and text as the tokens of one "
        "sequence, such as LLaVA, SmolVLM, Qwen-VL, InternVL or Gemma 3"
    )


def _ask(question: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}


def _list_marks(processor: Any) -> list[str]:
    """The tokenizer's special tokens and the image's place, longest first."""
    special = {str(token) for token in processor.tokenizer.added_tokens_decoder.values() if token.special}
    special.add(str(getattr(processor, "image_token", "")))
    return sorted((mark for mark in special if mark.strip()), key=len, reverse=True)


def _open_image(data: bytes) -> Image.Image:
    """Upright RGB, no side longer than LONGEST_SIDE, proportions kept."""
    image = decode_image(data)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC, reducing_gap=None)
    return image
