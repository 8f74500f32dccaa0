"""The words a report uses, each in one line; only those that occur in it are shown."""

from __future__ import annotations

from hauberk.core.report import Report

Entry = tuple[str, str, str]
"""Key that decides whether it is shown, term, meaning."""

TERMS: tuple[Entry, ...] = (
    (
        "interval",
        "Interval",
        "The range that covers the true value with the stated probability; more samples narrow it.",
    ),
    ("undecided", "Undecided", "The interval crosses the bound: the samples do not say on which side the truth lies."),
    ("threat", "Threat", "What the attacker may do: which inputs he can reach, what he knows, how often he may ask."),
    (
        "stage",
        "Cascade",
        "Attacks from cheap to dear; each one is run only on the samples the ones before could not break.",
    ),
    ("control", "Control", "The same measurement where the answer is known, so that a broken attack is noticed."),
    ("indicator", "Self-check", "A test of the measurement itself, such as whether gradients vanish or answers vary."),
    ("finding", "Finding", "Something that is wrong in a file; nothing is run to find it."),
    ("root", "Log root", "Digest of the whole evidence log; `hauberk evidence verify` checks it."),
)

MEASURES: tuple[Entry, ...] = (
    (
        "robust_accuracy",
        "Robust accuracy",
        "Share of samples still classified correctly after the attacker did his worst within the threat.",
    ),
    (
        "certified_accuracy",
        "Certified accuracy",
        "Share of samples that no attacker within the threat can turn, by proof: a lower bound of robust accuracy.",
    ),
    ("targeted_error", "Targeted error", "Share of samples an attacker turned into the class he wanted."),
    ("detection_tpr", "Detection", "Share of attacked inputs the detector stops, at the false alarms stated."),
    (
        "undetected_error",
        "Undetected error",
        "Share of samples made wrong by an attacker who knows of the detector and is not seen by it.",
    ),
    ("membership", "Membership AUC", "How well an attacker tells training samples from others; 0.5 is guessing."),
    (
        "membership_tpr",
        "TPR at a low FPR",
        "Share of members named while hardly any outsider is: what an attacker who must be sure gets.",
    ),
    (
        "attribute_inference",
        "Attribute inference",
        "How often an attacker who knows the rest of a record guesses its secret column; the control has no model.",
    ),
    (
        "inversion",
        "Model inversion",
        "How like real training inputs what the attacker draws out of the model is; 1 is the same.",
    ),
    (
        "gradient_leakage",
        "Gradient leakage",
        "What is rebuilt of a training input from the gradient a participant of federated learning sends.",
    ),
    ("memorised", "Memorised", "Share of answers that repeat a training record, exactly or nearly."),
    (
        "canary_exposure",
        "Exposure",
        "Bits by which a planted secret is likelier than others of its kind; as many as it has: it can be read out.",
    ),
    ("extraction", "Extraction agreement", "How often a stolen copy answers as the model does."),
    (
        "backdoor_success",
        "Backdoor success",
        "How often a planted trigger turns the answer after training on poisoned rows.",
    ),
    ("targeted_success", "Targeted success", "How often poisoned rows turn the one input they were aimed at."),
    (
        "poison_proven_accuracy",
        "Proven under poison",
        "Share of samples that models trained on separate shares of the rows decide rightly by vote, by proof, "
        "whatever so many rows are changed into.",
    ),
    (
        "partitioned_",
        "Partitioned training",
        "The same model trained on separate shares of the rows, each of which votes: what the proof is of.",
    ),
    (
        "neighbour_rows_",
        "Rows that turn a vote",
        "Training rows that must be taken out, put in or relabelled before nearest neighbours decide otherwise; exact.",
    ),
    (
        "rows_to_turn",
        "Rows to turn",
        "Training rows without which a linear classifier on the model's features decides otherwise; an upper bound.",
    ),
    (
        "removal_turns_retrained",
        "Turned by training anew",
        "Share of those decisions that the model itself gives up when it is trained without these rows.",
    ),
    ("poison_caught", "Poison caught", "Share of the planted rows that the detectors name."),
    ("poison_precision", "Precision", "Share of the rows named that were planted."),
    (
        "clean_accuracy_remedied",
        "After the remedy",
        "Accuracy on clean samples, and success of the trigger, when what was named is left out or the model repaired.",
    ),
    (
        "accuracy_lost",
        "Accuracy lost",
        "What poisoned rows cost on clean samples, against the same training without them.",
    ),
    (
        "privacy_epsilon",
        "ε",
        "Bounds, with its δ, how far any one record can have changed the model: below 1 is strong, above 10 little.",
    ),
)
"""The same for measurements, by how their names begin."""


def terms(report: Report) -> tuple[tuple[str, str], ...]:
    """Return the terms that this report uses."""
    names = {row.name for row in report.measurements}
    there: set[str] = {key for key, *_ in MEASURES if any(name.startswith(key) for name in names)}
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
    return tuple((term, meaning) for key, term, meaning in (*TERMS, *MEASURES) if key in there)
