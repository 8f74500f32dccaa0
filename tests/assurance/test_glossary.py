"""A report explains the words it uses, and those alone."""

from __future__ import annotations

import msgspec
import pytest

from hauberk.assurance.glossary import MEASURES, TERMS, terms


def _with_measure(report, name: str):
    return msgspec.structs.replace(report, evidence=(msgspec.structs.replace(report.measurements[0], name=name),))


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("robust_accuracy", "Robust accuracy"),
        ("certified_accuracy", "Certified accuracy"),
        ("membership_auc", "Membership AUC"),
        ("attribute_inference_accuracy", "Attribute inference"),
        ("gradient_leakage_psnr", "Gradient leakage"),
        ("memorised_near", "Memorised"),
        ("canary_exposure_extrapolated", "Exposure"),
        ("poison_precision", "Precision"),
        ("privacy_epsilon_total", "ε"),
    ],
)
def test_a_measure_is_explained_where_it_occurs(full, name, term) -> None:
    measures = {word for _, word, _ in MEASURES}
    shown = {word for word, _ in terms(_with_measure(full, name))} & measures
    assert term in shown
    assert shown <= {word for key, word, _ in MEASURES if name.startswith(key)}


def test_every_entry_is_a_sentence_of_its_own() -> None:
    entries = (*TERMS, *MEASURES)
    assert len({key for key, *_ in entries}) == len({word for _, word, _ in entries}) == len(entries)
    assert all(meaning.endswith(".") for *_, meaning in entries)


def test_a_report_of_a_scan_alone_speaks_of_no_attack(full) -> None:
    shown = {word for word, _ in terms(msgspec.structs.replace(full, evidence=full.findings))}
    assert "Interval" not in shown
    assert "Finding" in shown
