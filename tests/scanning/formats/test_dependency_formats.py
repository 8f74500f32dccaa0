"""Every way a dependency is declared or locked, and what such files look like when they are broken."""

from __future__ import annotations

import textwrap
import time

import pytest

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.core.plugins import load
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.conda_names import conda_requirement
from hauberk.scanning.formats.pyproject import poetry_specifier


def parse(kind, name, text, part=""):
    blob = MemberBlob(name, part, textwrap.dedent(text).encode(), DEFAULT_LIMITS)
    reader = load("formats", kind)()
    assert reader.sniff(blob)
    return reader.parse(blob, DEFAULT_LIMITS, lambda _name, _data: ())


def rows(artifact):
    return [(item.name, item.version, item.place.line) for item in artifact.requirements]


@pytest.mark.parametrize(
    ("text", "name", "version", "specifier"),
    [
        ("pytorch=2.1.0=py3.10_cuda12.1_0", "torch", "2.1.0", "==2.1.0"),
        ("pytorch::pytorch==2.1.0", "torch", "2.1.0", "==2.1.0"),
        ("conda-forge/linux-64::numpy=1.26", "numpy", None, "==1.26.*"),
        ("numpy>=1.20,<2", "numpy", None, "<2,>=1.20"),
        ("scikit-learn 1.2.*", "scikit-learn", None, "==1.2.*"),
        ("scipy", "scipy", None, ""),
        ("torchtriton=2.1", "triton", None, "==2.1.*"),
        ("libgcc-ng", "conda:libgcc-ng", None, ""),
        ("numpy >=1.20", "numpy", None, ">=1.20"),
    ],
)
def test_conda_specifications(text, name, version, specifier):
    found = conda_requirement(text)
    assert found is not None
    assert (found.name, found.version, found.specifier) == (name, version, specifier)


def test_conda_environment():
    artifact = parse(
        "conda_environment",
        "environment.yml",
        """\
        name: x
        channels: [pytorch, conda-forge]
        dependencies:
          - python=3.10
          - pytorch=2.1.0
          - pip
          - pip:
            - transformers==4.30.0
            - "!!!"
            - -r more.txt
        """,
    )
    assert rows(artifact) == [("torch", None, 5), ("transformers", "4.30.0", 8)]
    assert [note.text for note in artifact.notes if note.name == "channel"] == ["pytorch", "conda-forge"]
    assert [note.text for note in artifact.notes if note.name == "requires-python"] == ["3.10"]
    assert [problem.kind for problem in artifact.problems] == ["malformed"]


def test_conda_recipe():
    artifact = parse(
        "conda_environment",
        "recipe/meta.yaml",
        """\
        {% set version = "1" %}
        package:
          name: x
        requirements:
          host:
            - python
          run:
            - numpy >=1.20
            - pytorch ==2.1.0  # why
        test:
          imports: [x]
        """,
    )
    assert rows(artifact) == [("numpy", None, 8), ("torch", "2.1.0", 9)]


@pytest.mark.parametrize(
    "text",
    [
        "dependencies: &a [*a]",
        "dependencies:\n  - a: !!python/object/apply:os.system [x]",
        "dependencies:\n" + "\n".join(f"{'  ' * depth}- a:" for depth in range(1, 40)),
        "dependencies: {a: 1",
        "dependencies: 5",
        "dependencies:\n- [1, 2]\n- {pip: 5}",
    ],
)
def test_odd_environments_are_read_or_refused(text):
    artifact = parse("conda_environment", "environment.yml", text)
    assert artifact.requirements == ()


def test_yaml_nested_without_end_is_a_limit():
    blob = MemberBlob("environment.yml", "", b"dependencies:\n" + b"- " * 300 + b"a", DEFAULT_LIMITS)
    with pytest.raises(LimitExceeded):
        load("formats", "conda_environment")().parse(blob, DEFAULT_LIMITS, lambda _n, _d: ())


def test_yaml_merges_do_not_multiply():
    levels = ["l0: &l0 {a: 1}"] + [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    started = time.monotonic()
    parse("conda_environment", "environment.yml", "dependencies:\n- numpy\n" + "\n".join(levels))
    assert time.monotonic() - started < 5


def test_setup_cfg():
    artifact = parse(
        "setuptools_files",
        "setup.cfg",
        """\
        [metadata]
        name = x
        license = MIT
        [options]
        python_requires = >=3.11
        install_requires =
            torch==2.5.0
            numpy>=1.20  # why
        [options.extras_require]
        dev = pytest==8.0
        """,
    )
    assert rows(artifact) == [("torch", "2.5.0", 7), ("numpy", None, 8), ("pytest", "8.0", None)]
    assert {note.name: note.text for note in artifact.notes} == {
        "licence": "MIT", "name": "x", "requires-python": ">=3.11",
    }  # fmt: skip


def test_setup_py_is_read_and_never_run(tmp_path):
    artifact = parse(
        "setuptools_files",
        "setup.py",
        f"""\
        import setuptools
        open({str(tmp_path / "ran")!r}, "w")
        needed = ["torch==2.5.0"]
        setuptools.setup(install_requires=needed, extras_require={{"a": ["numpy>=1"], "b": read()}}, license="MIT")
        """,
    )
    assert rows(artifact) == [("torch", "2.5.0", 3), ("numpy", None, 4)]
    assert [note.name for note in artifact.notes] == ["computed requirement", "licence"]
    assert not (tmp_path / "ran").exists()


def test_pipfile():
    artifact = parse(
        "pipfile",
        "Pipfile",
        """\
        [[source]]
        url = "https://a.example/simple"
        [[source]]
        url = "https://b.example/simple"
        verify_ssl = false
        [packages]
        torch = "==2.5.0"
        flask = "*"
        repo = {git = "https://x.example/r.git", ref = "main"}
        [requires]
        python_version = "3.8"
        """,
    )
    assert rows(artifact) == [("torch", "2.5.0", 7), ("flask", None, 8), ("repo", None, 9)]
    assert [note.name for note in artifact.notes] == [
        "option --index-url", "option --extra-index-url", "option --trusted-host", "requires-python",
    ]  # fmt: skip


def test_an_installed_package_is_its_metadata():
    text = "Metadata-Version: 2.4\nName: Torch\nVersion: 2.5.0+cpu\nLicense-Expression: BSD-3-Clause\n\nName: other\n"
    artifact = parse("installed_package", "torch-2.5.0.dist-info/METADATA", text)
    assert rows(artifact) == [("torch", "2.5.0+cpu", None)]
    inside = parse("installed_package", "a.whl", text, part="torch-2.5.0.dist-info/METADATA")
    assert inside.requirements == artifact.requirements
    broken = parse("installed_package", "x.dist-info/METADATA", "Metadata-Version: 2.4\n")
    assert [problem.kind for problem in broken.problems] == ["malformed"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("conda-lock.yml", "package:\n- name: pytorch\n  version: 2.1.0\n  manager: conda\n  hash: {md5: a}\n"
                           "- name: Flask\n  version: '1.10'\n  manager: pip\n",
         [("torch", "2.1.0"), ("flask", "1.10")]),
        ("pylock.dev.toml", 'lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1"\n[[packages]]\nname = "me"\n'
                            'directory = { path = "." }\n', [("a", "1")]),
        ("poetry.lock", '[[package]]\nname = "a"\nversion = "1"\n[package.source]\ntype = "git"\n'
                        'url = "https://x.example/a"\nresolved_reference = "0000"\n', [("a", "1")]),
        ("uv.lock", 'version = 1\n[[package]]\nname = "me"\nversion = "0"\nsource = { editable = "." }\n', []),
        ("pdm.lock", '[[package]]\nname = "a"\nversion = "1"\ngit = "https://x.example/a"\nrevision = "0000"\n',
         [("a", "1")]),
    ],
)  # fmt: skip
def test_lock_files(name, text, expected):
    artifact = parse("lockfile", name, text)
    assert [(item.name, item.version) for item in artifact.requirements] == expected
    assert artifact.problems == ()


def uv_lock(count):
    files = "".join(f'    {{ url = "https://f.example/{n}.whl", hash = "sha256:{n:064x}" }},\n' for n in range(8))
    package = '[[package]]\nname = "pkg-{0}"\nversion = "1.{0}"\nwheels = [\n' + files.replace("{", "{{").replace(
        "}", "}}"
    )
    return "version = 1\n" + "".join(f"{package.format(number)}]\n" for number in range(count))


def test_a_lock_file_of_ten_thousand_packages_is_quick():
    text = uv_lock(10_000)
    started = time.monotonic()
    artifact = parse("lockfile", "uv.lock", text)
    assert time.monotonic() - started < 10
    assert len(artifact.requirements) == 10_000
    assert all(item.hashed for item in artifact.requirements)


def test_shortening_a_lock_file_changes_nothing_that_is_read():
    text = (
        '[[package]]\nname = "a"\nversion = "1"\ndescription = """\n    { x = "y" },\n    { z = """\nfiles = [\n'
        '    { file = "a", hash = "sha256:0" },\n]\n'
    )
    artifact = parse("lockfile", "poetry.lock", text)
    assert [(item.name, item.version, item.hashed) for item in artifact.requirements] == [("a", "1", True)]


@pytest.mark.parametrize("name", ["uv.lock", "Pipfile.lock", "conda-lock.yml"])
def test_a_lock_file_cut_anywhere_is_read_or_named(name):
    whole = {
        "uv.lock": uv_lock(3),
        "Pipfile.lock": '{"_meta": {"sources": [{"url": "https://a.example"}]}, "default": {"a": {"version": "==1"}}}',
        "conda-lock.yml": "version: 1\npackage:\n- name: a\n  version: 1\n",
    }[name]
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        artifact = parse("lockfile", name, whole[:at])
        assert artifact.requirements or artifact.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2"), ("^0.2.3", ">=0.2.3,<0.3"), ("^0.0.3", ">=0.0.3,<0.0.4"), ("^0.0", ">=0.0,<0.1"),
        ("~1.2.3", ">=1.2.3,<1.3"), ("~1", ">=1,<2"), ("1.2.3", "==1.2.3"), ("1.*", "==1.*"), ("*", ""),
        (">=1,<2", ">=1,<2"), ("==1.0", "==1.0"), ("^", "^"),
    ],
)  # fmt: skip
def test_poetrys_ranges(text, expected):
    assert poetry_specifier(text) == expected


def test_pyproject_nested_deeper_than_recursion_goes():
    artifact = parse("pyproject", "pyproject.toml", f"[dependency-groups.{'.'.join('a' * 900)}]\nx = ['flask']\n")
    assert artifact.requirements == ()
