"""Licences: their SPDX identifiers, what they forbid, and which of them cannot go together. Words, not legal advice."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Class: TypeAlias = Literal[
    "permissive", "weak copyleft", "copyleft", "network copyleft", "non-commercial", "use-restricted"
]

CLASSES: dict[str, Class] = {
    **dict.fromkeys(
        ("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "PSF-2.0", "Python-2.0", "Zlib",
        "Unlicense",
         "CC0-1.0", "CC-BY-4.0", "CC-BY-3.0", "BSL-1.0", "HPND", "MIT-0", "MIT-CMU", "WTFPL", "PDDL-1.0", "ODC-By-1.0",
         "CDLA-Permissive-2.0", "CDLA-Permissive-1.0", "ECL-2.0", "AFL-3.0", "NCSA", "MS-PL", "Artistic-2.0"),
        "permissive"),
    **dict.fromkeys(
        ("LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0", "EPL-2.0", "EPL-1.0",
         "CDDL-1.0", "EUPL-1.2", "OSL-3.0"), "weak copyleft"),
    **dict.fromkeys(
        ("GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "CC-BY-SA-4.0", "CC-BY-SA-3.0",
         "ODbL-1.0"), "copyleft"),
    **dict.fromkeys(("AGPL-3.0-only", "AGPL-3.0-or-later", "SSPL-1.0"), "network copyleft"),
    **dict.fromkeys(
        ("CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-SA-3.0",
         "CC-BY-ND-4.0", "BUSL-1.1", "LicenseRef-apple-amlr", "LicenseRef-fair-noncommercial-research-license",
         "LicenseRef-intel-research"), "non-commercial"),
    **dict.fromkeys(
        ("LicenseRef-openrail", "LicenseRef-openrail++", "LicenseRef-creativeml-openrail-m",
        "LicenseRef-bigscience-openrail-m",
         "LicenseRef-bigcode-openrail-m", "LicenseRef-bigscience-bloom-rail-1.0", "LicenseRef-llama2",
         "LicenseRef-llama3",
         "LicenseRef-llama3.1", "LicenseRef-llama3.2", "LicenseRef-llama3.3", "LicenseRef-llama4", "LicenseRef-gemma",
         "LicenseRef-deepfloyd-if-license", "LicenseRef-h-research"), "use-restricted"),
}  # fmt: skip
"""What each licence is. "LicenseRef-": model licences that SPDX does not list, under their Hugging Face names."""
_HUGGING = frozenset(name.removeprefix("LicenseRef-") for name in CLASSES if name.startswith("LicenseRef-"))
_KNOWN = {name.lower(): name for name in CLASSES}
_NAMES = {
    "apache": "Apache-2.0", "apache 2": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0", "apache2": "Apache-2.0",
    "mit license": "MIT", "the mit license": "MIT", "expat": "MIT", "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause", "new bsd": "BSD-3-Clause", "bsd-3": "BSD-3-Clause", "3-clause bsd": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause", "simplified bsd": "BSD-2-Clause", "isc license": "ISC", "gpl": "GPL-3.0-or-later",
    "gplv2": "GPL-2.0-only", "gplv3": "GPL-3.0-only", "gpl-2.0": "GPL-2.0-only", "gpl-3.0": "GPL-3.0-only",
    "gpl-2.0+": "GPL-2.0-or-later", "gpl-3.0+": "GPL-3.0-or-later", "gplv3+": "GPL-3.0-or-later",
    "agpl": "AGPL-3.0-or-later",
    "gplv2+": "GPL-2.0-or-later", "agpl-3.0": "AGPL-3.0-only", "agplv3": "AGPL-3.0-only",
    "agplv3+": "AGPL-3.0-or-later",
    "lgpl": "LGPL-3.0-or-later", "lgpl-3.0": "LGPL-3.0-only", "lgplv3": "LGPL-3.0-only", "lgpl-2.1": "LGPL-2.1-only",
    "lgplv2.1": "LGPL-2.1-only", "lgplv3+": "LGPL-3.0-or-later", "mpl 2.0": "MPL-2.0", "mpl": "MPL-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0", "psf": "PSF-2.0", "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0", "cc0": "CC0-1.0", "cc-by": "CC-BY-4.0", "unlicense": "Unlicense",
    "public domain": "CC0-1.0", "cc-by-nc": "CC-BY-NC-4.0", "cc-by-sa": "CC-BY-SA-4.0", "afl": "AFL-3.0",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only", "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
    "gnu affero general public license v3": "AGPL-3.0-only",
    "gnu affero general public license v3 or later (agplv3+)": "AGPL-3.0-or-later",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "gnu library or lesser general public license (lgpl)": "LGPL-2.1-or-later",
    "isc license (iscl)": "ISC", "the unlicense (unlicense)": "Unlicense", "zlib/libpng license": "Zlib",
    "boost software license 1.0 (bsl-1.0)": "BSL-1.0", "historical permission notice and disclaimer (hpnd)": "HPND",
}  # fmt: skip
_TEXTS = (
    (r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3", "AGPL-3.0-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", "LGPL-3.0-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1", "LGPL-2.1-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "GPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", "GPL-2.0-only"),
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (r"Mozilla Public License,? (?:Version|v\.?) ?2\.0", "MPL-2.0"),
    (r"Server Side Public License", "SSPL-1.0"),
    (r"Business Source License 1\.1", "BUSL-1.1"),
    (r"Attribution-NonCommercial-ShareAlike 4\.0", "CC-BY-NC-SA-4.0"),
    (r"Attribution-NonCommercial-NoDerivatives 4\.0", "CC-BY-NC-ND-4.0"),
    (r"Attribution-NonCommercial 4\.0", "CC-BY-NC-4.0"),
    (r"Attribution-ShareAlike 4\.0", "CC-BY-SA-4.0"),
    (r"Attribution 4\.0 International", "CC-BY-4.0"),
    (r"CC0 1\.0 Universal", "CC0-1.0"),
    (r"LLAMA 2 COMMUNITY LICENSE", "LicenseRef-llama2"),
    (r"META LLAMA 3 COMMUNITY LICENSE", "LicenseRef-llama3"),
    (r"LLAMA 3\.1 COMMUNITY LICENSE", "LicenseRef-llama3.1"),
    (r"LLAMA 3\.2 COMMUNITY LICENSE", "LicenseRef-llama3.2"),
    (r"LLAMA 3\.3 COMMUNITY LICENSE", "LicenseRef-llama3.3"),
    (r"LLAMA 4 COMMUNITY LICENSE", "LicenseRef-llama4"),
    (r"Gemma Terms of Use", "LicenseRef-gemma"),
    (r"CreativeML Open RAIL-?M", "LicenseRef-creativeml-openrail-m"),
    (r"BigCode OpenRAIL-M", "LicenseRef-bigcode-openrail-m"),
    (r"BigScience (?:Open)? ?RAIL", "LicenseRef-bigscience-openrail-m"),
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"Permission to use, copy, modify, and/or distribute this software", "ISC"),
    (r"Neither the name of .{0,200}? nor the names of", "BSD-3-Clause"),
    (r"Redistribution and use in source and binary forms", "BSD-2-Clause"),
    (r"This is free and unencumbered software released into the public domain", "Unlicense"),
    (r"PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2", "PSF-2.0"),
)
_COMPILED = tuple((re.compile(pattern, re.I | re.S), name) for pattern, name in _TEXTS)
_HEAD = 1 << 14


def spdx(text: str) -> str:
    """Return the SPDX identifier of a licence's name, or the text as it is where it is not known."""
    written = " ".join(text.split())
    low = written.lower().removeprefix("license :: osi approved :: ").removeprefix("license ::").strip()
    if low in _HUGGING:
        return f"LicenseRef-{low}"
    return _KNOWN.get(low) or _NAMES.get(low) or _NAMES.get(low.removesuffix(" license")) or written


def of_text(text: str) -> str | None:
    """Recognise a licence by its own words; None where it is none that is known."""
    head = " ".join(text[:_HEAD].split())
    return next((name for pattern, name in _COMPILED if pattern.search(head)), None)


def parts(expression: str) -> tuple[tuple[str, ...], ...]:
    """Split an SPDX expression into alternatives, each all the licences that hold together; brackets are dropped.

    A bracketed choice inside a conjunction is read as if all its licences held: stricter, never laxer.
    """
    flat = expression.replace("(", " ").replace(")", " ")
    if re.search(r"\([^()]*\bOR\b[^()]*\)", expression) and " AND " in expression:
        flat = re.sub(r"\bOR\b", "AND", flat)
    choices = re.split(r"\bOR\b", flat)
    return tuple(
        tuple(spdx(piece.split(" WITH ")[0].strip()) for piece in re.split(r"\bAND\b", choice)) for choice in choices
    )


def kind(licence: str) -> Class | None:
    """Say what a licence is: of its alternatives the freest, of what holds together the strictest; None if unknown."""
    order: tuple[Class, ...] = (
        "permissive", "weak copyleft", "copyleft", "network copyleft", "use-restricted", "non-commercial",
    )  # fmt: skip
    found: list[Class] = []
    for choice in parts(licence):
        classes = [CLASSES.get(name) for name in choice]
        known = [one for one in classes if one is not None]
        if len(known) == len(classes):
            found.append(max(known, key=order.index))
    return min(found, key=order.index) if found else None


def conflict(own: str, other: str, linked: bool) -> str:
    """Say why a part under `other` cannot go into a project under `own`; empty where nothing is known against it.

    linked: the part is a library the project links to, rather than weights or data it carries along.
    """
    mine, theirs = kind(own), kind(other)
    if mine is None or theirs is None:
        return ""
    if theirs == "non-commercial" and mine != "non-commercial":
        return f"{other} forbids commercial use or changes, which {own} allows everybody"
    if theirs == "use-restricted" and mine in ("copyleft", "network copyleft"):
        return f"{other} restricts what it may be used for, and {own} forbids further restrictions"
    if theirs == "network copyleft" and mine != "network copyleft":
        return f"{other} asks for the source of whatever is served with it, which {own} does not promise"
    if linked and theirs == "copyleft" and mine not in ("copyleft", "network copyleft"):
        return f"{other} reaches the whole program, which {own} does not satisfy"
    if linked and theirs == "permissive" and other == "Apache-2.0" and own == "GPL-2.0-only":
        return "Apache-2.0's patent terms are further restrictions to GPL-2.0-only"
    return ""
