"""What `itrp evaluate --map-with` stands for: a number of labelled pairs, or a dual encoder of texts and images."""

from dataclasses import dataclass

from itrp.errors import WrongUseError
from itrp.evaluation.class_mapping import SURE, ExampleNaming, SimilarityChoice, SimilarityNaming
from itrp.evaluation.protocols import Choice, Protocol
from itrp.labels import Task
from itrp.models.dual_encoder import load_dual_encoder
from serving.assessment import Assessor, LabelledSet


@dataclass(frozen=True, eq=False)
class Naming:
    """Who chooses mapping and checkpoint, and what a version named so says about it."""

    protocol: Protocol | ExampleNaming | SimilarityNaming
    joint_model: str | None = None
    """The dual encoder's hub id or folder, where it was one that chose."""

    @property
    def last_round_only(self) -> bool:
        """Whether the other checkpoints need not be asked."""
        return self.protocol is Protocol.LAST or isinstance(self.protocol, SimilarityNaming)

    def tags(self, choice: Choice) -> dict[str, str]:
        """Tags of a version whose class names this choice gave: by whom, with what, how clearly."""
        tags = {"itrp.mapped_by": str(self.protocol)}
        if isinstance(self.protocol, ExampleNaming):
            tags["itrp.mapped_seed"] = str(self.protocol.seed)
        if self.joint_model is not None:
            tags["itrp.mapped_with"] = self.joint_model
        if isinstance(choice, SimilarityChoice):
            tags |= {"itrp.mapped_gap": f"{choice.gap:.4f}", "itrp.mapped_z": f"{choice.z:.2f}"}
        return tags

    def describe(self, choice: Choice) -> str:
        """A sentence for a person; empty under the protocols that use all labels of a split."""
        if isinstance(self.protocol, ExampleNaming):
            return (
                f"class names and checkpoint from {self.protocol.examples} labelled pairs of the train split, drawn with seed "
                f"{self.protocol.seed}"
            )
        if not isinstance(choice, SimilarityChoice):
            return ""
        doubt = (
            ""
            if choice.z >= SURE
            else "; that may be chance: look at the clusters (itrp name MODEL), or use labels (--map-with 20)"
        )
        if choice.task is not Task.TEXT:
            doubt += "; for the image task similarity is a guess (docs/decisions.md): check with --map-with 20"
        return (
            f"class names of the {choice.task} task by text-image similarity ({self.joint_model}): mean cosines "
            f"{choice.gap:.2f} standard deviations apart, {choice.z:.1f} standard errors{doubt}"
        )


def open_naming(protocol: str, map_with: str | None, seed: int, assessor: Assessor, labelled: LabelledSet) -> Naming:
    """The named protocol, or what `map_with` gives instead: a number is so many labelled pairs, anything else a model.

    Raises WrongUseError for both at once, and WeightsUnavailableError as `load_dual_encoder` does.
    """
    if map_with is None:
        return Naming(Protocol(protocol))
    if protocol != str(Protocol.DEV):
        raise WrongUseError(
            f"expected a protocol or --map-with, found {protocol} and {map_with!r}: --map-with alone chooses mapping and "
            "checkpoint"
        )
    if map_with.isdecimal():
        return Naming(ExampleNaming(int(map_with), seed))
    cosines = assessor.cosines(load_dual_encoder(map_with), labelled)
    return Naming(SimilarityNaming(cosines[labelled.dev_rows]), map_with)
