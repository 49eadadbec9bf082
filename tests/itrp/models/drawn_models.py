"""Models of random weights, the same at every call."""

from typing import Any

import torch


def draw_model(kind: type, config: object) -> Any:
    """A transformers model whose matrices are far from zero, so that wrong input shows in what it answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return model
