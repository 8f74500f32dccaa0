"""Every dependency rule on bad and good declarations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hauberk.core.plugins import catalog
from hauberk.scanning.known_vulnerable import snapshot
from hauberk.scanning.package_names import POPULAR, meant, one_slip

HASH = " --hash=sha256:" + "0a" * 32
BAD = [
    ("known_vulnerable", "critical", "requirements.txt", "torch==2.5.0"),
    ("known_vulnerable", "critical", "requirements.txt", "torch==2.5.1+cu121"),
    ("known_vulnerable", "critical", "requirements.txt", "Llama_CPP.Python==0.2.71"),
    ("known_vulnerable", "critical", "requirements.txt", "keras==3.8.0"),
    ("known_vulnerable", "critical", "requirements-dev.txt", "bentoml==1.4.2"),
    ("known_vulnerable", "critical", "requirements.txt", "torch>=2.0,<2.6"),
    ("known_vulnerable", "critical", "poetry.lock", '[[package]]\nname = "torch"\nversion = "2.5.0"\n'),
    ("known_vulnerable", "critical", "uv.lock", 'version = 1\n[[package]]\nname = "torch"\nversion = "2.5.0"\n'),
    ("known_vulnerable", "critical", "Pipfile.lock", '{"default": {\n"torch": {"version": "==2.5.0"}}}'),
    ("known_vulnerable", "critical", "pyproject.toml", '[project]\ndependencies = ["torch==2.5.0"]'),
    ("known_vulnerable", "critical", "pyproject.toml", '[tool.poetry.dependencies]\ntorch = "2.5.0"'),
    ("not_assessed", "info", "requirements.txt", "some-package==1.0\ntorch>=2"),
    ("unpinned", "low", "requirements.txt", "flask"),
    ("unpinned", "low", "requirements/base.txt", "flask>=2"),
    ("unpinned", "info", "pyproject.toml", '[project]\ndependencies = ["flask"]'),
    ("no_hashes", "info", "requirements.txt", "flask==3.0.3"),
    ("direct_reference", "medium", "requirements.txt", "git+https://example.org/a/b.git@main#egg=b"),
    ("direct_reference", "high", "requirements.txt", "b @ http://example.org/b-1.0-py3-none-any.whl"),
    ("second_index", "low", "requirements.txt", "--extra-index-url https://pypi.corp.example/simple\nflask==3"),
    ("second_index", "high", "requirements.txt", "-i http://pypi.corp.example/simple\nflask==3"),
    ("second_index", "medium", "requirements.txt", "--trusted-host pypi.corp.example\nflask==3"),
    ("near_miss", "medium", "requirements.txt", "transfromers==4.50.0"),
    ("near_miss", "medium", "requirements.txt", "huggingface-cli==0.1"),
    ("near_miss", "medium", "requirements.txt", "pytorch==2.8.0"),
    ("near_miss", "medium", "pyproject.toml", '[project]\ndependencies = ["tensorfow>=2"]'),
]
SAFE = [
    ("requirements.txt", "torch==2.13.0" + HASH),
    ("requirements.txt", f"keras==3.12.0 \\\n   {HASH}\n# torch==1.0\n"),
    ("requirements.txt", "b @ git+https://example.org/a/b.git@" + "0" * 40),
    ("requirements.txt", "--extra-index-url https://download.pytorch.org/whl/cpu\ntorch==2.13.0" + HASH),
    ("requirements.in", "torch\nflask"),
    ("requirements.txt", "datasets==4.0.0\ndataset==1.6\ntorchao==0.9\ntokenizers==0.22.0\nflax==0.10" + HASH),
    ("pyproject.toml", '[project]\nname = "x"\ndependencies = ["torch>=2.10", "keras>=3.12,<4"]'),
    ("uv.lock", '[[package]]\nname = "torch"\nversion = "2.13.0"\nwheels = [{ url = "x", hash = "sha256:0" }]\n'),
    ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.11"\ntorch = "^2.10"'),
]


@pytest.mark.parametrize(("rule", "severity", "name", "text"), BAD, ids=range(len(BAD)))
def test_bad_declarations_are_named(judge, rule, severity, name, text):
    hits = judge(f"dependencies.{rule}", name, text)
    assert severity in {hit.severity for hit in hits}
    assert all(hit.draft.place.line for hit in hits if rule != "not_assessed")


@pytest.mark.parametrize(("name", "text"), SAFE, ids=range(len(SAFE)))
def test_good_declarations_stay_quiet(judge, name, text):
    assert [hit for hit in judge("dependencies.", name, text) if hit.severity != "info"] == []


def test_every_dependency_rule_has_a_sample():
    named = {entry.name for entry in catalog("rules") if entry.name.startswith("dependencies.")}
    assert named == {f"dependencies.{rule}" for rule, _, _, _ in BAD}


@pytest.mark.parametrize(
    ("specifier", "hit"),
    [(">=2.0,<2.6", True), ("<2.7", False), (">=2.0", False), ("~=2.5.0", True), ("~=2.5", False), ("==2.4.*", True)],
)
def test_a_range_is_named_only_where_nothing_it_allows_is_fixed(judge, specifier, hit):
    hits = judge("dependencies.known_vulnerable", "requirements.txt", f"torch{specifier}")
    assert any("CVE-2025-32434" in item.draft.references for item in hits) is hit


def test_the_snapshot_is_sound():
    """Each fixed release is outside its range, some release before it is inside, and the report shows the date."""
    for row in snapshot().advisory:
        assert row.package == row.package.lower().replace("_", "-")
        affected = SpecifierSet(row.affected)
        if row.fixed:
            assert not affected.contains(Version(row.fixed), prereleases=True), row
        assert any(
            affected.contains(Version(item.version), prereleases=True) or item.operator == "<" for item in affected
        )


def test_a_finding_names_the_advisory_the_fix_and_the_date(judge):
    hits = judge("dependencies.known_vulnerable", "requirements.txt", "flask==3.1.0\ntorch==2.5.0")
    (hit,) = [hit for hit in hits if "CVE-2025-32434" in hit.draft.references]
    assert hit.draft.place.line == 2
    assert "2.6.0" in hit.draft.fix
    assert snapshot().checked_on.isoformat() in hit.draft.message


def test_the_fixed_release_itself_is_clean(judge):
    assert not [
        hit
        for row in snapshot().advisory
        if row.fixed
        for hit in judge("dependencies.known_vulnerable", "requirements.txt", f"{row.package}=={row.fixed}")
        if row.id in hit.draft.message
    ]


@given(
    st.sampled_from(sorted(POPULAR)),
    st.integers(0, 30),
    st.sampled_from("abcxyz"),
    st.sampled_from(["in", "cut", "swap", "put"]),
)
def test_one_slip_is_seen_from_both_sides(name, at, letter, kind):
    at %= len(name)
    swapped = name[:at] + name[at : at + 2][::-1] + name[at + 2 :]
    changed = {"in": name[:at] + letter + name[at:], "cut": name[:at] + name[at + 1 :], "swap": swapped}
    other = changed.get(kind, name[:at] + letter + name[at + 1 :])
    assert one_slip(name, other) == one_slip(other, name) == (name != other)


def test_popular_names_are_not_near_misses_of_each_other():
    assert [name for name in POPULAR if meant(name)] == []
    assert meant("zzz-nothing-like-it") is None
