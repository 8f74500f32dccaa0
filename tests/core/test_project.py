"""Faults of hauberk.toml name file, line, key, expectation and the nearest key."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.core.errors import ProjectError
from hauberk.core.project import Project, number, parse, read

GOOD = """\
name = "digits"
[model]
source = "model:build"
bounds = [0, 1]
[data]
source = "bundled:digits"
[threats.pixels]
norm = "linf"
radius = "8/255"
curve = [0.01, "4/255"]
[policy]
fail_on = "critical"
[[policy.require]]
measurement = "robust_accuracy"
threat = "pixels"
min = 0.3
"""


def test_a_good_file():
    project = parse(GOOD)
    threat = project.threats["pixels"].threat("pixels")
    assert threat.ball.radius == pytest.approx(8 / 255)
    assert threat.name == "pixels"
    assert project.threats["pixels"].radii() == (0.01, pytest.approx(4 / 255))
    assert project.model.bounds == (0.0, 1.0)


def test_an_empty_file_is_a_project_that_only_scans():
    assert parse("") == Project()


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[modl]\nsource = "x"', 1, ['"modl"', '"model"']),
        ('[model]\nsource = "x"\ntimeot = 3', 3, ['"model.timeot"', '"timeout"']),
        ('[model]\nsource = "x"\n\ntimeout = "a"', 4, ["model.timeout", "a number", "'a'"]),
        ('[threats.a]\nnorm = "linf"\nradius = 1\n[threats.b]\nnom = "linf"', 5, ['"threats.b.nom"', '"norm"']),
        ('[threats.a]\nnorm = "linf"\nradius = 1\n[threats.b]\nnorm = "lin"', 5, ["threats.b.norm", "linf"]),
        ('[threats.b]\nnorm = "linf"\nradius = "8/x"', 3, ["8/255"]),
        ('[threats.b]\nnorm = "linf"', 1, ["norm and radius"]),
        ('[threats.b]\npreset = "linf-8/256"', 2, ["linf-8/255"]),
        ('[data]\nlabel = "x"', 1, ["data.source", "missing"]),
        ('[data]\nsource = "a.csv"\n[data.columns.age]\nkind = "real"', 4, ["data.columns.age.kind", "continuous"]),
        (
            '[threats.a]\nnorm="linf"\nradius=1\n[[policy.require]]\nmeasurement = "x"\nthreat = "b"',
            6,
            ['"b"', "known: a"],
        ),
        (
            '[[policy.require]]\nmeasurement = "x"\n[[policy.require]]\nmin = 1',
            3,
            ["policy.require", "measurement", "missing"],
        ),
        ("a = [", 1, ["TOML"]),
        ('[model]\nsource = "x"\nsource = "y"', 3, ["TOML"]),
        ("[threats.a]\nnorm = 'linf'\nradius = -1", 3, ["radius"]),
    ],
)
def test_a_fault_names_line_key_and_remedy(text, line, says):
    with pytest.raises(ProjectError) as caught:
        parse(text, "hauberk.toml")
    message = str(caught.value)
    assert message.startswith(f"hauberk.toml:{line}: "), message
    for word in says:
        assert word in message
    assert caught.value.exit_status == 2


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ProjectError, match="hauberk init"):
        read(tmp_path)


def test_bytes_that_are_not_text(tmp_path):
    (tmp_path / "hauberk.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProjectError, match="cannot be read"):
        read(tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_a_project_or_a_clear_error(text):
    with suppress(ProjectError):
        assert isinstance(parse(text), Project)


def test_fractions():
    assert number("8/255") == 8 / 255
    assert number(1) == 1.0
