"""How well the evaluated versions order the pairs of a labelled set: beside their F1, no threshold in it."""

from collections.abc import Iterator, Sequence

from itrp.data.annotations import select_set
from itrp.evaluation.ranking import Ranking, measure_area, measure_correlation
from itrp.evaluation.results import Evaluation
from itrp.labels import Task
from serving.assessment import Assessor, LabelledSet
from serving.registry import ModelVersion


def rank_versions(
    assessor: Assessor, versions: Sequence[ModelVersion], labelled: LabelledSet, result: Evaluation
) -> list[Ranking]:
    """The area under the ROC curve of each version's probability of class 1, and where people rated the pairs, the text
    version's correlation with the mean rating, on the test pairs of a result.

    The probabilities are those that the version scores with, as it is registered; one without class names has none.
    """
    return [ranking for version in versions for ranking in _rank_version(assessor, version, labelled, result)]


def _rank_version(
    assessor: Assessor, version: ModelVersion, labelled: LabelledSet, result: Evaluation
) -> Iterator[Ranking]:
    annotations = labelled.annotations
    rows, _ = select_set(annotations, result.task, result.set)
    named = version.mapping is not None
    probabilities = assessor.class_probabilities(version, labelled)[rows, 1] if named else None
    labels = annotations.labels(version.task, corrected=result.set == "RL")[rows]
    yield measure_area(str(version), version.task, labels, probabilities)
    if version.task is Task.TEXT and annotations.is_rated:
        yield measure_correlation(str(version), version.task, annotations.rating[rows], probabilities)


def list_figures(rankings: Sequence[Ranking], result: Evaluation) -> list[tuple[str, float]]:
    """(name, value) of every figure to log, named as those of the result: `<task>/test_<set>/<protocol>/auc`, and
    `text_auc` and `image_auc` where two models answer together."""
    figures = []
    for ranking in rankings:
        if not ranking.is_defined:
            continue
        own = "" if ranking.task is result.task else f"{ranking.task}_"
        name = f"{result.task}/test_{result.set}/{result.protocol}/{own}{ranking.measure}"
        figures += [(name, ranking.value), (f"{name}_low", ranking.low), (f"{name}_high", ranking.high)]
    return figures


def list_rows(rankings: Sequence[Ranking]) -> list[dict[str, object]]:
    """Rows for JSON: None where a figure is not defined."""
    return [
        {
            "system": ranking.system,
            "task": str(ranking.task),
            "measure": ranking.measure,
            "value": ranking.value if ranking.is_defined else None,
            "low": ranking.low if ranking.is_defined else None,
            "high": ranking.high if ranking.is_defined else None,
            "n": ranking.n,
        }
        for ranking in rankings
    ]
