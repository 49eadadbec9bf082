"""The paper's tables as lists of cells."""

from collections import Counter

import pytest

from itrp.config import ExperimentConfig
from itrp.errors import WrongUseError
from itrp.experiments import PRESETS, Preset, find_experiment
from itrp.labels import Task
from itrp.reproduction.grids import SETS, TABLES, Cell, RunSpec, UserModels, list_cells

SYSTEMS = (
    "random pseudo-labels", "GMM", "k-means", "ITRp (GMM)", "ITRp (k-means)", "LSTM+InceptionNet", "RoBERTa+EfficientNet",
    "BERT+ResNet", "LXMERT", "CLIP", "CMA-CLIP", "CLIP similarity, zero-shot", "vision-language model, zero-shot",
)  # fmt: skip


def cells_of(table: str, preset: Preset = "paper") -> dict[tuple[str, str, Task], Cell]:
    return {(cell.row, cell.set, cell.task): cell for cell in list_cells(table, preset)}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_table_has_all_its_cells(preset: Preset) -> None:
    sizes = Counter(cell.table for table in TABLES for cell in list_cells(table, preset))
    assert sizes == {"table3": 4 * 3, "table4": 4 * 2, "table5": 4 * 2, "figure4": len(SYSTEMS) * len(SETS) * 3}
    assert tuple(dict.fromkeys(cell.row for cell in list_cells("figure4", preset))) == SYSTEMS


@pytest.mark.parametrize("preset", PRESETS)
def test_every_run_of_every_cell_has_a_configuration(preset: Preset) -> None:
    runs = {run for table in TABLES for cell in list_cells(table, preset) for run in cell.system.runs}
    assert len(runs) == 33  # 16 ITRp, 2 of them the control, 2 mixtures; 2 vanilla; 11 supervised; 2 zero-shot
    for run in runs:
        assert run.config(5).seed == 5
        assert run.config(5).name == run.experiment


def test_published_figures_stand_where_the_paper_has_them() -> None:
    assert cells_of("table3")["ITRp (k-means)", "RL", Task.IMAGE_TEXT].published == 56.6
    assert cells_of("table4")["fine-tuned / frozen", "RL", Task.TEXT].published == 73.2
    assert cells_of("table4")["frozen / fine-tuned", "RL", Task.IMAGE].published == 76.1
    assert cells_of("table5")["combination", "RL", Task.IMAGE].published == 76.0
    assert cells_of("figure4")["LXMERT", "raw", Task.IMAGE_TEXT].published == 54.0
    assert cells_of("figure4")["LXMERT", "RM", Task.IMAGE_TEXT].published is None


def test_the_paper_s_own_setting_is_one_run_in_all_tables() -> None:
    """73.2 stands in Tables 3, 4 and 5; it is trained once."""
    plain = RunSpec("paper-text")
    assert cells_of("table3")["ITRp (k-means)", "RL", Task.TEXT].system.text == plain
    assert cells_of("table4")["fine-tuned / frozen", "RL", Task.TEXT].system.text == plain
    assert cells_of("table5")["under", "RL", Task.TEXT].system.text == plain
    assert cells_of("figure4")["ITRp (k-means)", "raw", Task.TEXT].system.text == plain


def test_the_rows_of_table_4_freeze_what_they_say() -> None:
    for row, text, image in (
        ("frozen / frozen", False, False),
        ("fine-tuned / frozen", True, False),
        ("frozen / fine-tuned", False, True),
        ("fine-tuned / fine-tuned", True, True),
    ):
        for task in (Task.TEXT, Task.IMAGE):
            system = cells_of("table4")[row, "RL", task].system
            config = (system.text if task is Task.TEXT else system.image).config(0)
            assert isinstance(config, ExperimentConfig)
            assert (config.task, config.text.finetune, config.image.finetune) == (task, text, image)


def test_only_the_small_preset_changes_the_experiments_settings() -> None:
    assert RunSpec("paper-text").config(0) == find_experiment("paper-text")
    small = RunSpec("small-text").config(0)
    assert isinstance(small, ExperimentConfig)
    assert (small.pairs, small.subset_size, small.image.size) == (400, 200, 96)


def test_the_users_models_go_where_they_belong() -> None:
    models = UserModels(joint="my-clip", vlm="my-vlm", words="words.txt", regions="regions.npz")
    dumps = {cell.row: cell.system.text.config(0).model_dump_json() for cell in list_cells("figure4", "paper", models)}
    assert '"my-clip"' in dumps["CLIP similarity, zero-shot"]
    assert '"my-vlm"' in dumps["vision-language model, zero-shot"]
    assert '"words.txt"' in dumps["LSTM+InceptionNet"]
    assert '"regions.npz"' in dumps["LXMERT"]


def test_a_run_of_an_unknown_experiment_is_refused() -> None:
    with pytest.raises(WrongUseError, match="no experiment is called 'paper-nothing'"):
        RunSpec("paper-nothing").config(0)
