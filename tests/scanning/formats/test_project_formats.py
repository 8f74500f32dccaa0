"""The formats of a project's own files: what they read, and that hostile or broken input becomes a problem."""

# ruff: noqa: E501 - a sample is easier to read in one line

from __future__ import annotations

import json
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.core.plugins import load
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.python_program import program_of

NAMES = {
    "python_source": "a.py", "notebook": "a.ipynb", "requirements": "requirements.txt", "pyproject": "pyproject.toml",
    "lockfile": "poetry.lock", "dockerfile": "Dockerfile", "plain_text": "a.txt", "shell_script": "a.sh",
}  # fmt: skip


def parse(kind: str, data: str | bytes, name: str = "", limits: Limits = DEFAULT_LIMITS) -> Artifact:
    raw = data.encode() if isinstance(data, str) else data
    blob = MemberBlob(name or NAMES[kind], "", raw, limits)
    return load("formats", kind)().parse(blob, limits, lambda _name, _data: ())


@pytest.mark.parametrize("kind", NAMES)
@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore"))))
@settings(max_examples=60, deadline=None)
def test_any_bytes_give_an_artifact(kind, data):
    artifact = parse(kind, data)
    assert artifact.format == kind
    assert artifact.digest.startswith("sha256:")


@pytest.mark.parametrize("kind", NAMES)
def test_text_above_the_limit_is_refused_not_read(kind):
    with pytest.raises(LimitExceeded):
        parse(kind, "a" * 2000, limits=Limits(text_bytes=1000))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("def f(:\n", "malformed"),
        ("print 'old'", "malformed"),
        ("x = " + "-" * 100_000 + "1", "limit"),
        ("x = " + "(" * 5000 + ")" * 5000, "malformed"),
        ("a" + ".b()" * 900, "limit"),
        ("if a:\n    pass\n" + "elif a:\n    pass\n" * 50_000, "limit"),
        ("# coding: nonsense\nx = 1", "malformed"),
        (b"\xff\xfe\x00x = 1", "malformed"),
        ("x = '\x00'", "malformed"),
    ],
    ids=range(9),
)
def test_python_that_cannot_be_read_is_a_problem(text, kind):
    assert kind in {problem.kind for problem in parse("python_source", text).problems}


def test_a_long_sum_and_a_long_choice_are_read_whole():
    text = "x = " + " + ".join(["'a'"] * 2000) + "\nif a:\n    pass\n" + "elif b:\n    f()\n" * 800 + "eval(x)"
    artifact = parse("python_source", text)
    assert artifact.problems == ()
    assert program_of(artifact).calls[-1].path == "eval"


def test_branches_within_branches_do_not_multiply():
    lines = ["x = llm.invoke('q')"]
    for depth in range(20):
        lines.append(" " * depth + "for y in x:")
    lines.append(" " * 20 + "x = [x, x]")
    for _ in range(40):
        lines += ["if y:", "    x = [x, x]", "else:", "    x = [x, x]"]
    assert parse("python_source", "\n".join(lines), limits=Limits(nodes=100_000)).problems == ()


def test_a_coding_line_is_obeyed():
    artifact = parse("python_source", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    assert artifact.source is not None
    assert "é" in artifact.source.text


def test_a_program_with_too_many_nodes_is_a_limit_and_keeps_its_text():
    artifact = parse("python_source", "f()\n" * 3000, limits=Limits(nodes=1000))
    assert [problem.kind for problem in artifact.problems] == ["limit"]
    assert artifact.source is not None
    assert artifact.source.tree is None
    assert artifact.source.text


def test_cells_magics_and_outputs():
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "files = !ls\n", "x = 5 % 3\n", "f(x)\n", "x?"]},
        {"cell_type": "code", "source": "%%bash\necho hi"},
        {
            "cell_type": "code",
            "source": "%%time\ng(1)",
            "outputs": [{"data": {"text/plain": ["out", "put"], "image/png": "aa"}}],
        },
        {"cell_type": "code", "source": "%pip install a b"},
        {"cell_type": "code", "source": "def broken(:"},
        {"cell_type": "code", "source": "await h()"},
    ]
    book = parse("notebook", json.dumps({"cells": cells, "nbformat": 4}))
    assert [part.part for part in book.parts] == [f"cell {number}" for number in range(1, 8)]
    assert [site.path for part in book.parts for site in program_of(part).calls] == ["f", "g", "h"]
    assert program_of(book.parts[1]).calls[0].place.line == 4
    assert [item.value for part in book.parts for item in part.instructions] == ["ls", "echo hi", "pip install a b"]
    assert [note.text for note in book.parts[3].notes if note.name == "output"] == ["output"]
    assert [part.part for part in book.parts if part.problems] == ["cell 6"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 5}', "{'cells': []}", "[" * 100_000])
def test_what_is_no_notebook_is_a_problem_and_its_text_is_kept(text):
    book = parse("notebook", text)
    assert [problem.kind for problem in book.problems] == ["malformed"]
    assert book.notes[0].text == text


def test_requirement_lines():
    artifact = parse(
        "requirements",
        textwrap.dedent(
            """\
            # comment
            -r base.txt
            -c constraints.txt
            --extra-index-url https://x.example/simple
            Torch[cuda]==2.5.0 ; python_version > "3.8"  # why
            numpy>=1.26,<3 \\
                --hash=sha256:00 \\
                --hash=sha256:01
            name @ https://x.example/name-1.0-py3-none-any.whl
            git+https://x.example/r.git@main#egg=Some_Name
            -e ./local
            wild==2.*
            !!!
            """
        ),
    )
    rows = [(item.name, item.version, item.hashed, item.place.line) for item in artifact.requirements]
    assert rows == [
        ("torch", "2.5.0", False, 5),
        ("numpy", None, True, 6),
        ("name", None, False, 9),
        ("some-name", None, False, 10),
        ("wild", None, False, 12),
    ]
    assert [reference.value for reference in artifact.references] == ["base.txt", "constraints.txt", "./local"]
    assert [(note.name, note.text) for note in artifact.notes] == [
        ("option --extra-index-url", "https://x.example/simple")
    ]
    assert [problem.place.line for problem in artifact.problems] == [13]


def test_pyproject_tables():
    artifact = parse(
        "pyproject",
        textwrap.dedent(
            """
            [build-system]
            requires = ["hatchling>=1.25"]
            [project]
            dependencies = ["a==1", "b>=2"]
            [project.optional-dependencies]
            x = ["c"]
            [dependency-groups]
            dev = ["d==4", {include-group = "x"}]
            [tool.poetry.dependencies]
            python = "^3.11"
            e = "^5"
            f = {git = "https://x.example/f.git"}
            g = "7.0.1"
            [[tool.poetry.source]]
            url = "https://x.example/simple"
            """
        ),
    )
    versions = {item.name: item.version for item in artifact.requirements}
    assert versions == {"hatchling": None, "a": "1", "b": None, "c": None, "d": "4", "e": None, "f": None, "g": "7.0.1"}
    assert artifact.notes[0].text == "https://x.example/simple"


def test_lock_files():
    poetry = '[[package]]\nname = "Torch"\nversion = "2.5.0"\nfiles = [{file = "a", hash = "sha256:0"}]\n'
    assert parse("lockfile", poetry).requirements[0].hashed
    own = '[[package]]\nname = "me"\nversion = "0"\nsource = { virtual = "." }\n'
    assert parse("lockfile", own, "uv.lock").requirements == ()
    pipenv = json.dumps({"default": {"torch": {"version": "==2.5.0", "hashes": ["sha256:0"]}}})
    (row,) = parse("lockfile", pipenv, "Pipfile.lock").requirements
    assert (row.name, row.version, row.hashed) == ("torch", "2.5.0", True)
    assert [problem.kind for problem in parse("lockfile", "x = ").problems] == ["malformed"]


def test_dockerfile_stages_continuations_and_heredocs():
    artifact = parse(
        "dockerfile",
        textwrap.dedent(
            """\
            # syntax=docker/dockerfile:1
            ARG BASE=python:3.12
            FROM ${BASE} AS build
            ENV A=1 B="two words"
            ENV OLD way of it
            RUN apt-get update \\
              # a comment inside
              && apt-get install -y git
            RUN <<EOF bash
            echo one
            EOF
            FROM scratch
            COPY --from=build /a /a
            CMD ["python", "-m", "x y"]
            NONSENSE here
            """
        ),
    )
    rows = [(item.keyword, item.value, item.stage, item.place.line) for item in artifact.instructions]
    assert rows == [
        ("ARG", "BASE=python:3.12", "", 2),
        ("FROM", "python:3.12 AS build", "build", 3),
        ("ENV", "A=1", "build", 4),
        ("ENV", "B=two words", "build", 4),
        ("ENV", "OLD=way of it", "build", 5),
        ("RUN", "apt-get update && apt-get install -y git", "build", 6),
        ("RUN", "<<EOF bash\necho one", "build", 9),
        ("FROM", "scratch", "1", 12),
        ("COPY", "--from=build /a /a", "1", 13),
        ("CMD", "python -m 'x y'", "1", 14),
    ]
    assert [problem.place.line for problem in artifact.problems] == [15]


def test_an_escape_directive_is_obeyed():
    artifact = parse("dockerfile", "# escape=`\nFROM a:1\nRUN one `\n two\n")
    assert artifact.instructions[-1].value == "one two"


@pytest.mark.parametrize(
    ("name", "kind", "yes"),
    [
        ("Dockerfile.gpu", "dockerfile", True), ("api.dockerfile", "dockerfile", True), ("dockerfile.md", "dockerfile", False),
        ("requirements-dev.txt", "requirements", True), ("notes.txt", "requirements", False),
        ("script", "python_source", True), ("a.ipynb", "plain_text", False), ("a.yaml", "plain_text", True),
    ],
)  # fmt: skip
def test_who_reads_what(name, kind, yes):
    blob = MemberBlob(name, "", b"#!/usr/bin/env python3\nx: 1\n", DEFAULT_LIMITS)
    assert load("formats", kind)().sniff(blob) is yes
