"""The words a report uses, each in one line; only those that occur in it are shown."""

from __future__ import annotations

from hauberk.core.report import Report

TERMS: tuple[tuple[str, str, str], ...] = (
    (
        "interval",
        "Interval",
        "The range that covers the true value with the stated probability; more samples narrow it.",
    ),
    ("undecided", "Undecided", "The interval crosses the bound: the samples do not say on which side the truth lies."),
    (
        "robust",
        "Robust accuracy",
        "Share of samples still classified correctly after the attacker did his worst within the threat.",
    ),
    ("threat", "Threat", "What the attacker may do: which inputs he can reach, what he knows, how often he may ask."),
    (
        "stage",
        "Cascade",
        "Attacks from cheap to dear; each one is run only on the samples the ones before could not break.",
    ),
    ("control", "Control", "The same measurement where the answer is known, so that a broken attack is noticed."),
    ("indicator", "Self-check", "A test of the measurement itself, such as whether gradients vanish or answers vary."),
    ("membership", "Membership AUC", "How well an attacker tells training samples from others; 0.5 is guessing."),
    ("extraction", "Extraction agreement", "How often a stolen copy answers as the model does."),
    ("backdoor", "Backdoor success", "How often a planted trigger turns the answer after training on poisoned rows."),
    ("finding", "Finding", "Something that is wrong in a file; nothing is run to find it."),
    ("root", "Log root", "Digest of the whole evidence log; `hauberk evidence verify` checks it."),
)
"""Key that decides whether it is shown, term, meaning."""


def terms(report: Report) -> tuple[tuple[str, str], ...]:
    """Return the terms that this report uses."""
    names = {row.name for row in report.measurements}
    families = ("robust", "membership", "extraction", "backdoor")
    there: set[str] = {key for key in families if any(name.startswith(key) for name in names)}
    if report.measurements:
        there |= {"interval", "threat"}
    there |= {row.role for row in report.measurements}
    if any(row.indicators for row in report.measurements):
        there.add("indicator")
    if any(judgement.status == "undecided" for judgement in report.verdict().judgements):
        there.add("undecided")
    if report.findings:
        there.add("finding")
    if report.root:
        there.add("root")
    return tuple((term, meaning) for key, term, meaning in TERMS if key in there)
