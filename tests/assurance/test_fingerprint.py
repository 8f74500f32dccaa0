"""A fingerprint follows the fault, not its line."""

import msgspec

from hauberk.core.evidence import Location
from hauberk.core.fingerprint import fingerprint, fingerprints


def moved(finding, **place):
    return msgspec.structs.replace(finding, location=msgspec.structs.replace(finding.location, **place))


def test_moved_lines_keep_it(full):
    found = full.findings[1]
    assert fingerprint(moved(found, line=99, column=3, end_line=101)) == fingerprint(found)


def test_what_a_message_says_of_lines_does_not_count(full):
    first, second = (
        msgspec.structs.replace(full.findings[1], message=f"the name bound in line {line} is loaded")
        for line in (3, 40)
    )
    assert fingerprint(first) == fingerprint(second)


def test_what_matters_changes_it(full):
    found = full.findings[1]
    others = [
        msgspec.structs.replace(found, rule="code.other"),
        msgspec.structs.replace(found, message="CVE-2025-1716"),
        msgspec.structs.replace(found, message="CVE-2025-1717"),
        moved(found, path="other.py"),
        moved(found, part="cell 1"),
        msgspec.structs.replace(found, location=Location(path="serve.py!cell 1")),
    ]
    assert len({fingerprint(item) for item in (found, *others)}) == 7


def test_equal_ones_are_told_apart_in_order_of_place(full):
    first, second = moved(full.findings[1], line=10), moved(full.findings[1], line=20)
    marks = fingerprints((second, first))
    assert marks == (f"{fingerprint(first)}:2", fingerprint(first))
