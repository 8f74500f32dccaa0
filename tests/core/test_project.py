"""Faults of hauberk.toml name file, line, key, expectation and the nearest key."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import ProjectError
from hauberk.core.project import Project, number, parse, read
from hauberk.core.threat import Patch, Threat, Transform

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


def test_settings_of_an_attack_may_hold_a_table():
    text = GOOD + '[threats.pixels.settings."evasion.pgd"]\nsteps = 7\ndriving.draws = 20\n'
    assert parse(text).threats["pixels"].settings == {"evasion.pgd": {"steps": 7, "driving": {"draws": 20}}}
    with pytest.raises(ProjectError, match=r"pgd\.driving\.draws.*\[1\]"):
        parse(text.replace("20", "[1]"))


def test_a_good_file():
    project = parse(GOOD)
    threat = project.threats["pixels"].threat("pixels")
    assert threat.ball.radius == pytest.approx(8 / 255)
    assert threat.name == "pixels"
    assert project.threats["pixels"].radii() == (0.01, pytest.approx(4 / 255))
    assert project.model.bounds == (0.0, 1.0)


def test_a_patch_and_a_transformation():
    project = parse(
        '[threats.sticker]\npreset = "linf-8/255"\npatch = {size = [5, 5], place = [0, 3]}\n'
        "[threats.turned.transform]\nrotation = [-30, 30]\nscale = [0.9, 1.1]"
    )
    sticker, turned = (project.threats[name].threat(name) for name in ("sticker", "turned"))
    assert sticker.patch == Patch((5, 5), (0, 3))
    assert sticker.ball is None, "it goes before the preset's ball"
    assert turned.transform == Transform(rotation=(-30, 30), scale=(0.9, 1.1))
    assert decode(canonical(turned), Threat) == turned


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
        ("[threats.a]\npatch = {size = 2.0}", 2, ["threats.a.patch", "covers 2 of the image"]),
        ("[threats.a]\npatch = {sise = 0.1}", 2, ['"threats.a.patch.sise"', '"size"']),
        ("[threats.a]\npatch.size = 0.1\nnorm = 'linf'\nradius = 1", 2, ["one set", "ball and patch"]),
        ("[threats.a.transform]\nrotatio = [-9, 9]", 2, ['"threats.a.transform.rotatio"', '"rotation"']),
        ("[threats.a.transform]\nscale = [2, 3]", 1, ["scale runs from 2 to 3", "1 must lie in it"]),
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
