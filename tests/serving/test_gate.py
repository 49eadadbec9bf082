"""The promotion gate on cases computed by hand."""

import numpy as np
import pytest

from serving.gate import CONFIDENCE, GateDecision, decide_on_labels, decide_without_labels, weigh_warnings

LABELS = np.array([0, 1] * 50)


def test_identical_answers_do_not_pass() -> None:
    answers = np.array([0, 1, 1, 1] * 25)
    decision = decide_on_labels(LABELS, answers, answers.copy(), rival_name="itrp-text-task/1")
    assert not decision.passed
    assert decision.figures["difference"] == decision.figures["difference_low"] == 0
    assert decision.figures["probability_better"] == 0.5
    # 0 is right 25 of 50 times, 1 is right 50 times: F1 2*25/(50+25) and 2*50/(50+75)
    assert decision.figures["f1"] == decision.figures["rival_f1"] == pytest.approx((2 / 3 + 0.8) / 2)


def test_clearly_better_answers_pass() -> None:
    """All right against the majority class: 1 - (2/3) / 2."""
    decision = decide_on_labels(LABELS, LABELS.copy(), np.zeros(100, dtype=np.int64), rival_name="the majority")
    assert decision.passed
    assert decision.figures == {
        "f1": 1.0,
        "rival_f1": pytest.approx(1 / 3),
        "rival": "the majority",
        "difference": pytest.approx(2 / 3),
        "difference_low": pytest.approx(decision.figures["difference_low"]),
        "difference_high": pytest.approx(decision.figures["difference_high"]),
        "probability_better": 1.0,
        "n": 100.0,
    }
    assert 0.5 < float(decision.figures["difference_low"]) < 2 / 3 < float(decision.figures["difference_high"]) < 0.8
    assert decision.reason.startswith(
        "weighted F1 1.000 against 0.333 of the majority on 100 test pairs, difference +0.667 "
    )
    assert decision.reason.endswith("better in 100.0% of resamples (needed 95%)")


def test_clearly_worse_answers_do_not_pass() -> None:
    decision = decide_on_labels(LABELS, np.zeros(100, dtype=np.int64), LABELS.copy(), rival_name="itrp-text-task/1")
    assert not decision.passed
    assert decision.figures["probability_better"] == 0
    assert decision.figures["difference"] == pytest.approx(-2 / 3)


@pytest.mark.parametrize(("right", "passed"), [(1, False), (12, True)])
def test_a_better_score_alone_is_not_enough(right: int, passed: bool) -> None:
    """The rival errs on 20 pairs; the challenger puts some of these right and errs on no other.

    One pair put right is drawn by no resample in (1 - 1/100)^100 = 37 % of the cases, which then tie and count one half:
    about 82 %, below the 95 % asked for. Twelve are missed by none.
    """
    rival = LABELS.copy()
    rival[:20] = 1 - rival[:20]
    challenger = rival.copy()
    challenger[:right] = LABELS[:right]
    decision = decide_on_labels(LABELS, challenger, rival, rival_name="x")
    assert float(decision.figures["difference"]) > 0
    assert decision.passed is passed
    assert (float(decision.figures["probability_better"]) >= CONFIDENCE) is passed
    if not passed:
        assert float(decision.figures["probability_better"]) == pytest.approx(0.82, abs=0.04)


@pytest.mark.parametrize("accept", [False, True])
def test_without_labels_a_person_decides(accept: bool) -> None:
    """Perfect figures do not promote; a person's word does, whatever the figures."""
    perfect = {"agreement_between_seeds": 1.0, "balance": 1.0, "confidence": 1.0, "agreement_with_champion": 1.0}
    assert decide_without_labels(**perfect, accept=accept).passed is accept
    poor = {"agreement_between_seeds": 0.5, "balance": 0.0, "confidence": 0.5, "agreement_with_champion": None}
    assert decide_without_labels(**poor, accept=accept).passed is accept


def test_without_labels_the_figures_are_told() -> None:
    decision = decide_without_labels(
        agreement_between_seeds=None, balance=0.75, confidence=0.9, agreement_with_champion=0.6, accept=False
    )
    assert decision.figures == {"agreement_with_champion": 0.6, "cluster_balance": 0.75, "mean_confidence": 0.9}
    assert decision.reason == (
        "no labelled data set, so only label-free figures: agreement with champion 0.600, cluster balance 0.750, "
        "mean confidence 0.900, agreement between seeds unknown (one seed trained); "
        "keeps the old champion; promote with --accept if these figures convince you"
    )
    accepted = decide_without_labels(
        agreement_between_seeds=0.7, balance=0.75, confidence=0.9, agreement_with_champion=None, accept=True
    )
    assert accepted.reason.endswith(
        "agreement between seeds 0.700, cluster balance 0.750, mean confidence 0.900; accepted by hand"
    )
    all_seeds = decide_without_labels(
        agreement_between_seeds=0.7,
        agreement_of_all_seeds=0.6,
        balance=0.75,
        confidence=0.9,
        agreement_with_champion=None,
        accept=False,
    )
    assert all_seeds.figures["agreement_of_all_seeds"] == 0.6
    assert "agreement between seeds 0.700, agreement of all seeds 0.600, cluster balance 0.750" in all_seeds.reason


DOUBTS = {"few-pairs": "round 1 trained on 2 pairs", "small-cluster": "a cluster of 1 pair"}


def test_nothing_doubtful_changes_nothing() -> None:
    decision = GateDecision(True, "better", {"f1": 0.8})
    assert weigh_warnings(decision, {}, accept=False) is decision
    assert weigh_warnings(decision, {}, accept=True) is decision


def test_a_doubtful_challenger_is_refused_however_good() -> None:
    decision = weigh_warnings(GateDecision(True, "better", {"f1": 0.8}), DOUBTS, accept=False)
    assert not decision.passed
    assert decision.reason == (
        "better; rejected because round 1 trained on 2 pairs; a cluster of 1 pair; "
        "promote with --accept to take it all the same"
    )
    assert decision.figures == {"f1": 0.8, "warnings": "few-pairs, small-cluster"}


@pytest.mark.parametrize("passed", [True, False])
def test_a_person_accepts_the_doubt_not_worse_figures(passed: bool) -> None:
    decision = weigh_warnings(GateDecision(passed, "told", {}), DOUBTS, accept=True)
    assert decision.passed is passed
    assert decision.reason == "told; accepted by hand although round 1 trained on 2 pairs; a cluster of 1 pair"
    assert decision.figures == {"warnings": "few-pairs, small-cluster"}
