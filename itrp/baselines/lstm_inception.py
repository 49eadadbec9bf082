"""LSTM+InceptionNet: an LSTM over Twitter word vectors, GoogLeNet or Inception v3, a perceptron with one hidden layer.

Sun et al. 2023, section 4.2 (44.7 % weighted F1 on the image-text task, raw test set). With x_1 ... x_T the frozen vectors of the
tweet's words and v the pooled features of the image:

    h_T = LSTM(x_1 ... x_T)                 the last hidden state, 200 wide, at the tweet's own length
    logits = W_2 relu(W_1 [h_T; v] + b_1) + b_2

This is the paper's description; its public code has one linear layer on [h_T; v] instead. The paper does not state the hidden
layer's width and activation: as wide as the LSTM, ReLU. GoogLeNet (Szegedy et al. 2015; 1024 features, images of 224 x 224) is
the public code's; Inception v3 (Szegedy et al. 2016; 2048 features) was made for 299 x 299.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from itrp.baselines.config import LstmInceptionConfig
from itrp.baselines.network import Batch, Heads, Inputs, Network
from itrp.baselines.word_vectors import UNKNOWN, WordVectors, load_word_vectors, read_word_vectors
from itrp.data.inputs import Rows, ShardFile, cache_pixels, read_texts
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task
from itrp.models.image_encoder import ImageEncoder, build_image_encoder, load_image_encoder
from itrp.models.text_encoder import pad_rows

WORDS_FOLDER = "words"


class LstmInception(Network):
    """logits = heads(relu(hidden([LSTM's last state; image vector])))."""

    def __init__(
        self, config: LstmInceptionConfig, tasks: Sequence[Task], words: WordVectors, image: ImageEncoder
    ) -> None:
        super().__init__(tasks)
        self.config = config
        self.words = words
        self.lstm = nn.LSTM(words.width, config.hidden, batch_first=True)
        self.image = image
        self.hidden = nn.Sequential(nn.Linear(config.hidden + image.width, config.hidden), nn.ReLU())
        self.heads = Heads(tasks, config.hidden)

    def read(self, shards: Sequence[ShardFile], cache: EmbeddingCache) -> Inputs:
        """words: the numbers of each tweet's words, one ragged row a pair; pixels: [n, size, size, 3] uint8."""
        texts = (text for shard in shards for text in read_texts(shard))
        return {
            "words": [self.words.number_words(text, self.config.max_words) for text in texts],
            "pixels": Rows([cache_pixels(shard, self.image.config.pixels, cache.folder) for shard in shards]),
        }

    def collate(self, inputs: Inputs, rows: NDArray[np.integer], device: torch.device) -> Batch:
        """vectors [b, t, d] float32, lengths [b] int64, pixels [b, size, size, 3] uint8."""
        # on the CPU: the table is large and stays there, packing wants the lengths there
        numbers, mask = pad_rows([inputs["words"][row] for row in rows], UNKNOWN, torch.device("cpu"))
        return {
            "vectors": torch.from_numpy(self.words.take(numbers.numpy())).to(device),
            "lengths": mask.sum(dim=1),
            "pixels": torch.from_numpy(inputs["pixels"].take(rows)).to(device),
        }

    def forward(self, batch: Batch) -> dict[Task, Tensor]:
        """Logits [b, 2] of each task."""
        vectors = pack_padded_sequence(batch["vectors"], batch["lengths"].cpu(), batch_first=True, enforce_sorted=False)
        state = self.lstm(vectors)[1][0][-1]  # the last layer's h at each row's own length: (B, H)
        logits: dict[Task, Tensor] = self.heads(self.hidden(torch.cat((state, self.image(batch["pixels"])), dim=1)))
        return logits

    def save(self, folder: Path) -> None:
        """The word vectors: loading needs no other file. The image's architecture is known by its name."""
        self.words.save(folder / WORDS_FOLDER)


def load_lstm_inception(config: LstmInceptionConfig, tasks: Sequence[Task]) -> LstmInception:
    """With pretrained word vectors and image encoder. Raises WeightsUnavailableError."""
    words = read_word_vectors(config.words, config.vocabulary)
    return LstmInception(config, tasks, words, load_image_encoder(config.image))


def build_lstm_inception(config: LstmInceptionConfig, tasks: Sequence[Task], folder: Path) -> LstmInception:
    """What `LstmInception.save` described, with weights still to be loaded."""
    words = load_word_vectors(folder / WORDS_FOLDER)
    return LstmInception(config, tasks, words, build_image_encoder(config.image))
