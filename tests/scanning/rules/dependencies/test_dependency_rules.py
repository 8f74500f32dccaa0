"""Every dependency rule on bad and good declarations."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from hauberk.core.evidence import severity_rank
from hauberk.core.plugins import catalog
from hauberk.scanning.advisory import parsed
from hauberk.scanning.known_vulnerable import snapshot
from hauberk.scanning.package_names import disguised, likeness, one_slip, popular
from hauberk.scanning.release_index import NAME, Listing, Release, ReleaseIndex, pack
from hauberk.scanning.rules.dependencies.known_vulnerable import LISTED

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
    ("known_vulnerable", "critical", "environment.yml", "dependencies:\n  - pytorch=2.5.0\n"),
    ("known_vulnerable", "critical", "environment.yml", "dependencies:\n  - pip:\n    - torch==2.5.0\n"),
    (
        "known_vulnerable",
        "critical",
        "conda-lock.yml",
        "package:\n- name: pytorch\n  version: 2.5.0\n  manager: conda\n",
    ),
    ("known_vulnerable", "critical", "Pipfile", '[packages]\ntorch = "==2.5.0"\n'),
    ("known_vulnerable", "critical", "setup.cfg", "[options]\ninstall_requires =\n  torch==2.5.0\n"),
    (
        "known_vulnerable",
        "critical",
        "setup.py",
        'from setuptools import setup\nsetup(install_requires=["torch==2.5.0"])',
    ),
    (
        "known_vulnerable",
        "critical",
        "pylock.toml",
        'lock-version="1.0"\n[[packages]]\nname = "torch"\nversion = "2.5.0"\n',
    ),
    ("known_vulnerable", "critical", "pyproject.toml", '[tool.poetry.dependencies]\ntorch = "~2.5.0"'),
    ("placeholder_version", "medium", "requirements.txt", "internal-models==99.99.99"),
    ("placeholder_version", "low", "requirements.txt", "internal-models==0.0.0"),
    ("unreadable_declaration", "medium", "poetry.lock", "[[package]\n"),
    ("unreadable_declaration", "medium", "uv.lock", "x = 1"),
    ("unreadable_declaration", "low", "requirements.txt", "flask==3.0.3\n!!!"),
    ("abandoned", "low", "requirements.txt", "mxnet==1.9.1"),
    ("ended_python", "low", "pyproject.toml", '[project]\nname = "x"\nrequires-python = "<3.10"'),
    ("ended_python", "low", "environment.yml", "dependencies:\n  - python=3.8\n"),
    (
        "direct_reference",
        "medium",
        "pyproject.toml",
        '[tool.poetry.dependencies]\nb = {git = "https://example.org/b.git"}',
    ),
    ("near_miss", "medium", "requirements.txt", "nurnpy==1.0"),
    ("near_miss", "low", "requirements.txt", "pandas-official==1.0"),
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
    ("requirements.txt", f"keras==3.13.2 \\\n   {HASH}\n# torch==1.0\n"),
    ("requirements.txt", "b @ git+https://example.org/a/b.git@" + "0" * 40),
    ("requirements.txt", "--extra-index-url https://download.pytorch.org/whl/cpu\ntorch==2.13.0" + HASH),
    ("requirements.in", "torch\nflask"),
    ("environment.yml", "dependencies:\n  - python=3.12\n  - pytorch=2.13.0\n  - torchtriton\n  - libgcc-ng>=12\n"),
    ("requirements.txt", "setuptools==80.9.0\nfaker==100.0.1\npywin32==311\nblack==24.4.2" + HASH),
    ("pyproject.toml", '[project]\nname = "x"\nrequires-python = ">=3.9"'),
    ("pyproject.toml", '[[tool.uv.index]]\nname = "i"\nurl = "https://pypi.corp.example/simple"\nexplicit = true'),
    ("pyproject.toml", f'[tool.poetry.dependencies]\nb = {{git = "https://example.org/b.git", rev = "{"0" * 40}"}}'),
    ("uv.lock", 'version = 1\nrequires-python = ">=3.11"\npackage = []\n'),
    ("requirements.txt", "datasets==4.0.0\ndataset==1.6\ntorchao==0.9\ntokenizers==0.22.0\nflax==0.10" + HASH),
    ("pyproject.toml", '[project]\nname = "x"\ndependencies = ["torch>=2.10", "keras>=3.12,<4"]'),
    ("uv.lock", '[[package]]\nname = "torch"\nversion = "2.13.0"\nwheels = [{ url = "x", hash = "sha256:0" }]\n'),
    ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.11"\ntorch = "^2.10"'),
]


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch, tmp_path):
    """Whatever this machine's user has updated plays no part."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))


@pytest.mark.parametrize(("rule", "severity", "name", "text"), BAD, ids=range(len(BAD)))
def test_bad_declarations_are_named(judge, rule, severity, name, text):
    hits = judge(f"dependencies.{rule}", name, text)
    assert severity in {hit.severity for hit in hits}
    assert all(
        hit.draft.place.line for hit in hits if rule not in ("not_assessed", "unreadable_declaration", "ended_python")
    )


@pytest.mark.parametrize(("name", "text"), SAFE, ids=range(len(SAFE)))
def test_good_declarations_stay_quiet(judge, name, text):
    assert [hit for hit in judge("dependencies.", name, text) if hit.severity != "info"] == []


def test_every_dependency_rule_has_a_sample():
    named = {entry.name for entry in catalog("rules") if entry.name.startswith("dependencies.")}
    assert named == {f"dependencies.{rule}" for rule, _, _, _ in BAD} | {"dependencies.yanked"}


@pytest.mark.parametrize(
    ("specifier", "hit"),
    [(">=2.0,<2.6", True), ("<2.7", False), (">=2.0", False), ("~=2.5.0", True), ("~=2.5", False), ("==2.4.*", True)],
)
def test_a_range_is_named_only_where_nothing_it_allows_is_fixed(judge, specifier, hit):
    hits = judge("dependencies.known_vulnerable", "requirements.txt", f"torch{specifier}")
    assert any("CVE-2025-32434" in item.draft.references for item in hits) is hit


def test_both_lists_are_sound():
    """Each range holds its own beginning and not its fix, and names are normalised."""
    known = snapshot()
    for package in known.packages:
        assert package == canonicalize_name(package)
        for row in known.of(package):
            assert row.ranges, row
            assert row.title.strip(), row
            for part in row.ranges:
                low, fixed = parsed(part.introduced), parsed(part.fixed)
                assert low is None or part.holds(low), row
                assert fixed is None or not part.holds(fixed), row


def test_a_finding_names_the_advisory_the_fix_and_the_date(judge):
    hits = judge("dependencies.known_vulnerable", "requirements.txt", "flask==3.1.0\ntorch==2.5.0")
    (hit,) = [hit for hit in hits if "CVE-2025-32434" in hit.draft.references]
    assert hit.draft.place.line == 2
    assert "2.6.0" in hit.draft.fix
    assert snapshot().checked_on.isoformat() in hit.draft.message
    assert snapshot().curated_on.isoformat() in hit.draft.message


def test_the_fixed_release_itself_is_clean():
    known = snapshot()
    for package in known.packages:
        for row in known.of(package):
            for part in row.ranges:
                fixed = parsed(part.fixed)
                assert fixed is None or not row.affects(fixed) or len(row.ranges) > 1, row


def test_what_many_advisories_share_is_one_finding(judge):
    hits = judge("dependencies.known_vulnerable", "requirements.txt", "tensorflow==2.4.0")
    assert len(hits) == LISTED + 1
    assert len(hits[-1].draft.trace) > 100
    assert [severity_rank(hit.severity) for hit in hits] == sorted(
        (severity_rank(h.severity) for h in hits), reverse=True
    )


def test_no_dependency_is_lost_among_anothers_many(judge):
    names = ("torch==1.0", "keras==3.8.0", "pillow==6.0", "django==2.0", "tensorflow==2.4.0", "requests==2.0") * 12
    text = "\n".join(f"{name}" for name in names)
    hits = judge("dependencies.known_vulnerable", "requirements.txt", text)
    assert len(hits) <= 100
    assert {hit.draft.place.line for hit in hits} == set(range(1, len(names) + 1))


@pytest.mark.parametrize("name", ["torchtriton", "deepseeek", "jeIlyfish", "litellm==1.82.8", "ultralytics==8.3.41"])
def test_planted_packages_are_critical_whatever_the_version(judge, name):
    hits = judge("dependencies.known_vulnerable", "requirements.txt", name)
    assert [hit.severity for hit in hits][:1] == ["critical"]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """An index that was asked on one day."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "hauberk" / "advisories"
    folder.mkdir(parents=True)
    day = dt.date(2026, 11, 1)
    rows = {
        "old-one": Listing(day, (Release("1.0", "2019-05-01"), Release("1.1", "2020-05-01"))),
        "torch": Listing(day, (Release("2.12.0", "2026-01-01", "broken wheel"), Release("2.13.0", "2026-10-01"))),
    }
    (folder / NAME).write_bytes(pack(ReleaseIndex(rows)))


def test_withdrawn_and_abandoned_releases_are_known_once_an_index_was_asked(judge, asked):
    (hit,) = judge("dependencies.yanked", "requirements.txt", "torch==2.12.0\ntorch==2.13.0")
    assert hit.draft.place.line == 1
    assert "broken wheel" in hit.draft.message
    (hit,) = judge("dependencies.abandoned", "requirements.txt", "torch==2.13.0\nold-one==1.1")
    assert "2020-05-01" in hit.draft.message


def test_nothing_is_said_of_withdrawn_releases_without_an_index(judge):
    assert judge("dependencies.yanked", "requirements.txt", "torch==2.12.0") == []


def test_a_name_in_letters_of_another_script_is_high(judge):
    hits = judge("dependencies.near_miss", "requirements.txt", "tоrch==2.13.0")
    assert [hit.severity for hit in hits] == ["high"]


@pytest.mark.parametrize(
    ("name", "how"),
    [("reqeusts", "slip"), ("nurnpy", "letters"), ("python-torch", "mistake"), ("pandas-official", "affix"),
     ("scikitlearn", "slip"), ("tensorflo", "slip"), ("opencv", "mistake")],
)  # fmt: skip
def test_how_a_name_is_close(name, how):
    found = likeness(name)
    assert found is not None
    assert found.how == how


@given(
    st.sampled_from(sorted(popular())),
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
    assert [name for name in popular() if likeness(name) or canonicalize_name(name) != name] == []
    assert likeness("zzz-nothing-like-it") is None
    assert disguised("torch") is None


def test_ten_thousand_requirements_take_seconds(judge):
    started = time.monotonic()
    text = "\n".join(f"package-{number}==1.{number}.0" for number in range(10_000))
    judge("dependencies.", "requirements.txt", text)
    assert time.monotonic() - started < 30
