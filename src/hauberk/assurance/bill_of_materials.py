"""A report's inventory as a CycloneDX bill of materials: models with cards, data, libraries, licences, weaknesses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from hauberk.assurance.escaping import plain
from hauberk.core.evidence import Finding, Skipped, severity_rank
from hauberk.core.inventory import Component, Kind
from hauberk.core.report import Report

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
_TYPES: dict[Kind, str] = {
    "model": "machine-learning-model", "data": "data", "library": "library", "file": "file",
    "application": "application",
}  # fmt: skip
_HASHES = {"sha256": "SHA-256", "blake3": "BLAKE3"}
SPDX = frozenset(
    """0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0 BUSL-1.1
    CC-BY-3.0 CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0
    CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 ECL-2.0 EPL-1.0
    EPL-2.0 EUPL-1.2 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ISC LGPL-2.1-only
    LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MIT-CMU MPL-2.0 MS-PL NCSA ODC-By-1.0 ODbL-1.0 OSL-3.0
    PDDL-1.0 PSF-2.0 Python-2.0 SSPL-1.0 Unlicense WTFPL Zlib""".split()  # noqa: SIM905 - read as a table
)
"""Identifiers written as such; everything else is a name, so that no reader refuses the document."""
_SOURCES = {
    "CVE": ("NVD", "https://nvd.nist.gov/vuln/detail/"),
    "GHSA": ("GitHub", "https://github.com/advisories/"),
    "PYSEC": ("OSV", "https://osv.dev/vulnerability/"),
    "MAL": ("OSV", "https://osv.dev/vulnerability/"),
}


def bill(report: Report, version: str) -> dict[str, Json]:
    """Write the bill of a specification version, "1.6" or "1.7"; equal reports give equal bills."""
    groups = _grouped(report.inventory)
    own = next((item for item in report.inventory if item.kind == "application"), None)
    subject: dict[str, Json] = {"type": "application", "bom-ref": "project", "name": plain(report.project) or "project"}
    if own is not None and own.version:
        subject["version"] = plain(own.version)
    if own is not None and own.licences:
        subject["licenses"] = _licences(own.licences)
    finished = report.finished.isoformat(timespec="seconds").replace("+00:00", "Z")
    tool: dict[str, Json] = {"type": "application", "name": "hauberk", "version": report.version}
    judged: Json = {"name": "hauberk:verdict", "value": report.verdict().status}
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{report.project}/{report.run}')}",
        "version": 1,
        "metadata": {
            "timestamp": finished,
            "lifecycles": [{"phase": "pre-build"}],
            "tools": {"components": [tool]},
            "component": subject,
            "properties": [judged, *_incomplete(report.skipped)],
        },
        "components": [_component(reference, items, report) for reference, items in groups.items()],
        "dependencies": [{"ref": "project", "dependsOn": list(groups)}],
        "vulnerabilities": list(_vulnerabilities(report, groups)),
    }


def _grouped(inventory: Sequence[Component]) -> dict[str, list[Component]]:
    """Join what several files declare: one library of one version is one component, seen in many places."""
    groups: dict[str, list[Component]] = {}
    for item in inventory:
        if item.kind != "application":
            place = plain(item.purl or item.name) if item.kind == "library" else plain(item.path)
            version = "" if item.purl else f"@{plain(item.version)}"
            groups.setdefault(f"{item.kind}:{place}{version if item.kind == 'library' else ''}", []).append(item)
    return dict(sorted(groups.items()))


def _component(reference: str, items: list[Component], report: Report) -> Json:
    first = items[0]
    made: dict[str, Json] = {"type": _TYPES[first.kind], "bom-ref": reference, "name": plain(first.name) or "unnamed"}
    if first.version:
        made["version"] = plain(first.version)
    hashes: list[Json] = [
        {"alg": _HASHES[digest.name], "content": digest.value.rpartition(":")[2]}
        for digest in first.digests
        if digest.name in _HASHES
    ]
    if hashes:
        made["hashes"] = hashes
    licences = tuple(dict.fromkeys(licence for item in items for licence in item.licences))
    if licences:
        made["licenses"] = _licences(licences)
    if first.purl:
        made["purl"] = plain(first.purl)
    if first.kind == "model":
        made["modelCard"] = _card(first)
    if first.kind == "data":
        made["data"] = [{"type": "dataset", "name": plain(first.name) or "unnamed"}]
    places = {(plain(item.path), item.line) for item in items if item.path}
    if places:
        made["evidence"] = {"occurrences": [_occurrence(path, line) for path, line in sorted(places, key=str)]}
    made["properties"] = _properties(first, report)
    return made


def _occurrence(path: str, line: int | None) -> Json:
    found: dict[str, Json] = {"location": path}
    if line is not None:
        found["line"] = line
    return found


def _licences(licences: Sequence[str]) -> list[Json]:
    """Write identifiers as such and the rest as names; one expression stands alone, as the schema asks."""
    if len(licences) == 1 and any(word in f" {licences[0]} " for word in (" OR ", " AND ", " WITH ")):
        words = licences[0].replace("(", " ").replace(")", " ").split()
        if all(word in SPDX or word in ("OR", "AND") for word in words):
            return [{"expression": licences[0]}]
    return [
        {"license": {"id": name} if name in SPDX else {"name": plain(name.removeprefix("LicenseRef-")) or "unnamed"}}
        for name in licences
    ]


def _card(item: Component) -> Json:
    parameters: dict[str, Json] = {}
    if item.known("task"):
        parameters["task"] = plain(item.known("task"))
    if item.known("architecture"):
        parameters["architectureFamily"] = plain(item.known("architecture"))
    data: list[Json] = [
        {"type": "dataset", "name": plain(str(row.value))} for row in item.properties if row.name == "dataset"
    ]
    if data:
        parameters["datasets"] = data
    return {"modelParameters": parameters} if parameters else {}


def _properties(item: Component, report: Report) -> list[Json]:
    """Say what is known of a component, and what the scan found in the file it is."""
    rows: list[Json] = [
        {"name": f"hauberk:{plain(row.name)}", "value": plain(str(row.value))}
        for row in item.properties
        if row.name not in ("task", "architecture", "dataset")
    ]
    if item.kind in ("model", "data") and item.known("declared-in") == "":
        found = [finding for finding in report.findings if finding.location.path == item.path]
        rows.append({"name": "hauberk:scan:verdict", "value": _judged(item.path, found, report.skipped)})
        rows.extend({"name": "hauberk:scan:rule", "value": rule} for rule in sorted({row.rule for row in found}))
    return rows


def _judged(path: str, found: Sequence[Finding], skipped: Sequence[Skipped]) -> str:
    worst = max((severity_rank(finding.severity) for finding in found if finding.confidence != "low"), default=0)
    if worst >= severity_rank("high"):
        return "flagged"
    if any(item.subject.partition("!")[0] == path for item in skipped):
        return "incomplete"
    return "suspicious" if worst == severity_rank("medium") else "nothing found"


def _incomplete(skipped: Sequence[Skipped]) -> list[Json]:
    kept = [item for item in skipped if item.kind in ("limit", "error", "interrupted")][:100]
    return [{"name": "hauberk:not-looked-at", "value": plain(f"{item.subject}: {item.reason}")} for item in kept]


def _vulnerabilities(report: Report, groups: dict[str, list[Component]]) -> Iterator[Json]:
    """Yield each known weakness once, with all components it affects."""
    where: dict[tuple[str, int | None], list[tuple[str, str]]] = {}
    for reference, items in groups.items():
        for item in items:
            where.setdefault((item.path, item.line), []).append((item.name, reference))
    met: dict[str, tuple[Finding, set[str]]] = {}
    for finding in report.findings:
        if finding.rule != "dependencies.known_vulnerable":
            continue
        here = where.get((finding.location.path, finding.location.line), [])
        named = {reference for name, reference in here if f" {name} " in f" {finding.message} "}
        ids = [word for word in finding.references if word.split("-")[0] in _SOURCES]
        for name in ids if finding.trace else ids[:1] or [finding.message.partition(" by ")[2].partition(":")[0]]:
            met.setdefault(name or "unnamed", (finding, set()))[1].update(named)
    for name in sorted(met):
        yield _vulnerability(name, *met[name])


def _vulnerability(name: str, finding: Finding, affected: set[str]) -> Json:
    rating: dict[str, Json] = {"severity": finding.severity}
    made: dict[str, Json] = {"bom-ref": f"vulnerability:{plain(name)}", "id": plain(name)}
    source = _SOURCES.get(name.split("-")[0])
    if source is not None:
        made["source"] = {"name": source[0], "url": source[1] + name}
    made["ratings"] = [rating]
    made["description"] = plain(finding.message)
    made["recommendation"] = plain(finding.fix)
    made["analysis"] = {"state": "in_triage"}
    made["affects"] = [{"ref": reference} for reference in sorted(affected)]
    return made
