"""What is kept of people's labels is what the catalog says, whatever is said meanwhile."""

from infra.catalog.annotations import AnnotationFilter, undo
from infra.catalog.current_labels import current_labels
from infra.catalog.queries import get_dataset
from infra.catalog.tables import Dataset
from itrp.labels import GUIDELINE_VERSION
from serving.review.held_labels import DATA_SETS, HeldLabels
from tests.review_stage import Stage
from tests.serving.review.test_figures import label_truly


def find_landing(stage: Stage) -> Dataset:
    with stage.platform.catalog.session() as session:
        found = get_dataset(session, "landing")
    assert found is not None
    return found


def test_labels_are_read_again_when_somebody_has_said_something(stage: Stage) -> None:
    held, landing = HeldLabels(), find_landing(stage)

    def read_both() -> tuple[object, object]:
        with stage.platform.catalog.session() as session:
            said = tuple(current_labels(session, AnnotationFilter(dataset_id=landing.id)))
            return held.read(session, landing.id), said

    label_truly(stage, "ana", 5)
    first, said = read_both()
    assert first == said
    assert len(said) == 10  # type: ignore[arg-type]
    assert read_both()[0] is first
    label_truly(stage, "ben", 3)
    second, said = read_both()
    assert second == said != first
    with stage.platform.catalog.session() as session:
        undo(session, "ben", token="taken back", guideline=GUIDELINE_VERSION)
    third, said = read_both()
    assert third == said
    assert len(third) == len(second) - 2  # type: ignore[arg-type]


def test_few_data_sets_are_kept(stage: Stage) -> None:
    held = HeldLabels()
    label_truly(stage, "ana", 2)
    landing = find_landing(stage).id
    with stage.platform.catalog.session() as session:
        first = held.read(session, landing)
        for other in range(landing + 1, landing + DATA_SETS):
            assert held.read(session, other) == ()
        assert held.read(session, landing) is first
        for other in range(landing + 1, landing + 1 + DATA_SETS):
            held.read(session, other)
        assert held.read(session, landing) is not first
