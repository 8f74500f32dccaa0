"""Objects that reading YAML or JSON would make: Python tags, jsonpickle, and their like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.allowlist import says_it_acts
from hauberk.scanning.artifact import Artifact, Draft, Lookup
from hauberk.scanning.settings_standing import SettingsStanding, settings_standing

_GADGETS = frozenset({"builtins.type", "builtins.map", "builtins.filter", "builtins.exec", "builtins.eval"})
_CALLING = ("object/apply", "object/new", "py/reduce", "__reduce__", "py/repr")
_USUAL = frozenset(
    """argparse.Namespace collections.OrderedDict collections.defaultdict pathlib.PosixPath pathlib.WindowsPath
    pathlib.Path numpy.dtype numpy.core.multiarray.scalar numpy._core.multiarray.scalar
    omegaconf.dictconfig.DictConfig easydict.EasyDict torch.Size torch.device torch.float32 torch.float16
    torch.bfloat16""".split()  # noqa: SIM905
)
"""What training scripts write into their settings without a thought."""
_LOCAL: dict[SettingsStanding, Severity] = {"runs": "critical", "foreign": "high"}
"""HyperPyYAML's tags (!new:, !apply: …): making parts of a training is what such files are for."""


class YamlObject:
    """Judge what a YAML tag or a jsonpickle key names.

    What: a dangerous callable, one of Python's own library, or a gadget (critical); an unknown callable that is called
    (high) or made without its constructor (medium); what training scripts write without a thought (low).
    Why: `yaml.load` with a full or unsafe loader, keras' old `model_from_yaml` (CVE-2021-37678) and jsonpickle call
    what the text names (CVE-2020-14343). A settings file needs no objects.
    Bad: `a: !!python/object/apply:os.system ["id"]`
    Good: `a: [1, 2]`
    Fix: write plain values, and read them with yaml.safe_load or json.loads.
    """

    card: ClassVar[Card] = Card(
        title="Object made by a settings file",
        summary="A YAML tag or jsonpickle key has its reader import and call what it names.",
        paper="CWE-502; CVE-2020-14343; CVE-2021-37678; MITRE ATLAS AML.T0011",
        threats=("CWE-502", "OWASP-ML06", "AML.T0010", "AML.T0011", "CVE-2020-14343"),
        severity="critical",
        reads=("lookups",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each name."""
        told: set[tuple[str, str]] = set()
        for fact in artifact.lookups:
            dotted = f"{fact.module or 'builtins'}.{fact.name}"
            if fact.kind in ("yaml", "jsonpickle") and (fact.verb, dotted) not in told:
                told.add((fact.verb, dotted))
                severity = _severity(fact, dotted)
                yield Draft(
                    message=f"reading this file as its tags say makes or calls {dotted[:200]}({fact.arguments[:120]})",
                    fix="write plain values, and read the file with yaml.safe_load or json.loads",
                    severity=severity,
                    confidence="high" if severity in ("critical", "low") else "medium",
                    place=fact.place,
                    trace=(f"{fact.verb} {dotted} {fact.arguments}"[:300],),
                )


def _severity(fact: Lookup, dotted: str) -> Severity:
    if fact.verb.startswith("other "):
        return "high"
    if dotted in _USUAL:
        return "low"
    known = settings_standing(dotted)
    if fact.verb.startswith("!"):
        return _LOCAL.get(known, "low")
    if known in ("runs", "foreign", "loads", "acts") or dotted in _GADGETS or fact.verb == "py/repr":
        return "critical"
    if known == "inert":
        return "low"
    if fact.verb in _CALLING:
        return "high"
    return "high" if says_it_acts(dotted) else "medium"
