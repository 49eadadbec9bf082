"""The model card a training run leaves beside its model."""

from collections.abc import Sequence

from itrp.config import ExperimentConfig
from itrp.labels import CLASS_NAMES
from itrp.training import RoundResult


def write_model_card(
    config: ExperimentConfig, rounds: Sequence[RoundResult], *, data: str, data_hash: str, commit: str
) -> str:
    """Markdown: what the model answers, how it was made, on what, and what it is not for."""
    last = rounds[-1]
    tuned = ", ".join(side for side in ("text", "image") if getattr(config, side).finetune) or "none"
    agreement = f"{last.agreement:.1%}" if last.agreement is not None else "not known after one round"
    return f"""# {config.name} (seed {config.seed})

Answers for a tweet with a picture: **{CLASS_NAMES[config.task][1]}?** ({config.task} task, {config.k} clusters)

| | |
|---|---|
| method | ITRp, Algorithm 1 of Sun, Li, Liu and Su 2023: no human label was used in training |
| text encoder | {config.text.name}, {config.text.pooling} pooling |
| image encoder | {config.image.name}, {config.image.size} x {config.image.size} |
| fine-tuned | {tuned} |
| clustering, sampling | {config.clustering.method}, {config.sampling} |
| data | {data}, hash {data_hash} |
| rounds | {len(rounds)} of up to {max(result.pairs for result in rounds)} pairs |
| last round | loss {last.loss:.4f}, clusters {list(last.cluster_sizes)}, agreement with the round before {agreement} |
| code | {commit} |

## Reading it
Clusters carry no names. Until `itrp evaluate` has chosen which cluster is which class, on human labels, the model can be
registered but neither promoted nor scored with.

## Limits
Labels are as good as the encoders and the data: human annotators agree with Krippendorff's alpha 0.46 on the text task and
0.71 on the image task (Vempala and Preotiuc-Pietro 2019). Not for decisions about single persons.
"""
