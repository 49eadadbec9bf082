"""The model card a training run leaves beside its model."""

from collections.abc import Mapping, Sequence

from itrp.alignment.config import AnyAlignedConfig, DualAlignedConfig
from itrp.alignment.gate import GATE
from itrp.baselines.config import SupervisedConfig
from itrp.baselines.provision import has_stand_ins
from itrp.baselines.supervised_training import EpochResult
from itrp.config import ExperimentConfig
from itrp.experiments import TrainedConfig
from itrp.labels import CLASS_NAMES
from itrp.models.head_config import LabelledHeadConfig
from itrp.training.alignment import AlignmentResult
from itrp.training.health import find_weak_rounds, taught_by
from itrp.training.labelled_head import HeadResult
from itrp.training.trainer import RoundResult

FEATURE_NAMES = {
    "text": "the text's vector",
    "image": "the image's vector",
    "products": "a * b of an alignment",
    "score": "z, how much better the pair fits than chance",
    "look": "statistics of how the image looks",
}
"""Blocks of a head's features, in words."""


def write_model_card(
    config: TrainedConfig, rounds: Sequence[RoundResult | EpochResult], *, data: str, data_hash: str, commit: str
) -> str:
    """Markdown: what the model answers, how it was made, on what, and what it is not for."""
    if isinstance(config, SupervisedConfig):
        settings, reading = _describe_supervised(config, [each for each in rounds if isinstance(each, EpochResult)])
    else:
        assert isinstance(config, ExperimentConfig)  # an alignment has a card of its own
        settings, reading = _describe_itrp(config, [each for each in rounds if isinstance(each, RoundResult)])
    return _write_card(config, {**settings, "data": f"{data}, hash {data_hash}", "code": commit}, reading)


def write_aligned_card(
    config: AnyAlignedConfig, result: AlignmentResult, *, data: str, data_hash: str, commit: str
) -> str:
    """The same of an alignment."""
    fitted = result.fitted
    curve = ", ".join(f"{pairs:,} pairs {value:.3f}" for pairs, value in fitted.curve)
    encoders, reading = _describe_aligned(config)
    settings = {
        **encoders,
        "pairs": f"{result.pairs:,}",
        "true against shuffled": f"area {fitted.area:.3f} on held-out pairs (class names need {GATE:.2f})",
        **({"by pairs learned from": curve} if curve else {}),
        "matching pairs": f"{fitted.share:.0%}, estimated",
        **({"warnings": "<br>".join(map(str, result.findings()))} if result.findings() else {}),
        "data": f"{data}, hash {data_hash}",
        "code": commit,
    }
    return _write_card(config, settings, reading)


def _describe_aligned(config: AnyAlignedConfig) -> tuple[dict[str, str], str]:
    """Method and encoders, and how to read what comes of them."""
    if isinstance(config, DualAlignedConfig):
        settings = {
            "method": "a dual encoder's similarity against that of chance pairs; no human label was used",
            "dual encoder": f"{config.dual_encoder}, frozen, saved with the model",
        }
        reading = (
            "Class 1 means that the text fits this image better than chance pairs of the same collection do. The threshold\n"
            "follows from the estimated share of matching pairs, which may be off by 0.1 to 0.2. What the encoder cannot read\n"
            "(another language, print in the image, people's names) it cannot match."
        )
        return settings, reading
    settings = {
        "method": "alignment: learns from true against shuffled pairs what belongs together; no human label was used",
        "text encoder": f"{config.text.name}, {config.text.pooling} pooling, frozen",
        "image encoder": f"{config.image.name}, {config.image.size} x {config.image.size}, frozen",
    }
    reading = (
        "Class 1 means that the text fits this image better than it fits chance, by what texts and images of this data set go\n"
        "together. The threshold follows from the estimated share of matching pairs, which may be off by 0.1 to 0.2.\n"
        "A pair that the model learned from is judged by the part of it that has not seen that pair.\n"
        "What it learned on one kind of image does not carry over to another: train on tweets to label tweets."
    )
    return settings, reading


def write_head_card(config: LabelledHeadConfig, result: HeadResult, *, data: str, data_hash: str, commit: str) -> str:
    """The same of a head that has learned from a few labels."""
    learned = f"of {result.pairs:,} pairs" if result.given is None else f"that of {result.given.told}"
    area = "not fitted" if result.area is None else f"area of true against shuffled pairs {result.area:.3f}, {learned}"
    settings = {
        "method": "logistic regression on frozen features, from a few human labels",
        "features": ", ".join(FEATURE_NAMES[block] for block in result.blocks),
        "text encoder": f"{config.text.name}, {config.text.pooling} pooling, frozen",
        "image encoder": f"{config.image.name}, {config.image.size} x {config.image.size}, frozen",
        "alignment, which looks at no label": area,
    }
    for task, head in result.heads.items():
        figures, (zeros, ones) = dict(head.figures()), head.counts
        names = CLASS_NAMES[task]
        settings[f"{task} task"] = (
            f"{len(head.labels)} labels ({zeros} '{names[0]}', {ones} '{names[1]}'), C = {head.strength:.3g}; "
            f"cross-validated weighted F1 {figures['cv_f1']:.3f}, AUC {figures['cv_auc']:.3f}, expected calibration error "
            f"{figures['cv_ece']:.3f} (by chance alone, with so many labels, {figures['cv_ece_chance']:.3f})"
        )
    settings |= {
        **({"left out": "<br>".join(result.notes)} if result.notes else {}),
        "data": f"{data}, hash {data_hash}",
        "code": commit,
    }
    reading = (
        "Its outputs are classes: it needs no mapping. Probabilities are calibrated on labels that were held out; a pair's\n"
        "label is the class with more than one half. Cross-validation chose C on the same labels, so its figures are a little\n"
        "too good: `itrp evaluate` measures it on the test split. It learns what the people who gave these few labels meant."
    )
    return _write_card(config, settings, reading)


def _write_card(config: TrainedConfig, rows: Mapping[str, str], reading: str) -> str:
    asked = " ".join(f"**{CLASS_NAMES[task][1]}?**" for task in config.tasks)
    return f"""# {config.name} (seed {config.seed})

Predicts for a tweet with an image: {asked} ({config.task} task)

| setting | value |
|---|---|
{chr(10).join(f"| {name} | {value} |" for name, value in rows.items())}

## Reading it
{reading}

## Limits
Labels are as good as the encoders and the data: human annotators agree with Krippendorff's alpha 0.46 on the text task and
0.71 on the image task (Vempala and Preotiuc-Pietro 2019). Not for decisions about single persons.
"""


def _describe_itrp(config: ExperimentConfig, rounds: Sequence[RoundResult]) -> tuple[dict[str, str], str]:
    last = rounds[-1]
    tuned = ", ".join(side for side in ("text", "image") if getattr(config, side).finetune) or "none"
    agreement = f"{last.agreement:.1%}" if last.agreement is not None else "not known after one round"
    sampling = config.sampling if config.algorithm == "itrp" else "all pairs at once"
    findings = find_weak_rounds(rounds, batch_size=taught_by(config))
    how = "ITRp, Algorithm 1" if config.algorithm == "itrp" else "one clustering of the frozen features, a baseline"
    settings = {
        "method": f"{how} of Sun, Li, Liu and Su 2023: no human label was used in training",
        "text encoder": _describe_text(config),
        "image encoder": f"{config.image.name}, {config.image.size} x {config.image.size}, decoded by {config.image.decoder}",
        "fine-tuned": tuned,
        "clustering, sampling": f"{config.clustering.method}, k = {config.k}, {sampling}",
        "rounds": f"{len(rounds)} of up to {max(result.pairs for result in rounds)} pairs",
        **({"warnings": "<br>".join(map(str, findings))} if findings else {}),
        "last round": f"loss {last.loss:.4f}, clusters {list(last.cluster_sizes)}, agreement with the round before {agreement}",
    }
    reading = (
        "Clusters carry no names. Until `itrp evaluate` has chosen which cluster is which class, on human labels, the model\n"
        "can be registered but neither promoted nor scored with."
    )
    return settings, reading


def _describe_supervised(config: SupervisedConfig, epochs: Sequence[EpochResult]) -> tuple[dict[str, str], str]:
    best = max(epochs, key=lambda result: result.score)
    held_out = ", ".join(f"{task} {f1:.3f}" for task, f1 in best.held_out_f1.items()) or "nothing was held out"
    settings = {
        "method": f"supervised ({config.network.kind}), every parameter trained on human labels: a baseline",
        "pairs": str(best.pairs),
        "epochs": f"{len(epochs)}, of which number {best.round} is kept: held-out weighted F1 {held_out}",
        "optimizer": f"{config.optimizer.name}, {config.optimizer.learning_rate}",
    }
    if has_stand_ins(config):
        settings["stand-ins"] = "parts have random weights instead of pretrained ones: the figures mean nothing"
    return settings, "Its outputs are classes: it needs no mapping."


def _describe_text(config: ExperimentConfig) -> str:
    return (
        "none: the image alone decides" if config.image_alone else f"{config.text.name}, {config.text.pooling} pooling"
    )
