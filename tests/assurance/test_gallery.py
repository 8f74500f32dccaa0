"""Exhibits are drawn as they are; hostile ones are named, not drawn."""

import base64
import io
import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hauberk.assurance.gallery import LIMIT, before, gallery, magnification, picture


def pixels(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def exhibit_of(full, layout, index=0):
    return [item for item in full.exhibits if item.layout == layout][index]


def test_grey_values_and_channel_order(full):
    ship = exhibit_of(full, "chw", 2)
    values = struct.unpack("<3072f", ship.clean)
    drawn = pixels(picture(ship).clean)
    assert drawn.size == (32, 32)
    assert drawn.getpixel((5, 7)) == tuple(round(255 * values[plane * 1024 + 7 * 32 + 5]) for plane in range(3))


def test_the_change_is_magnified_as_stated(full):
    shown = picture(msgspec.structs.replace(exhibit_of(full, "chw", 2)))
    ship = shown.exhibit
    clean, adversarial = (struct.unpack("<3072f", data) for data in (ship.clean, ship.adversarial))
    expected = round(255 * (0.5 + float(shown.factor) * (adversarial[0] - clean[0]) / 2))
    assert pixels(shown.change).getpixel((0, 0))[0] == pytest.approx(expected, abs=1)
    assert shown.factor == "20"


def test_a_lighter_pixel_is_orange_a_darker_blue_the_same_white(full):
    three = exhibit_of(full, "chw")
    clean = struct.pack("<64f", *[0.5] * 64)
    changed = struct.pack("<64f", 0.6, 0.4, *[0.5] * 62)
    drawn = pixels(picture(msgspec.structs.replace(three, clean=clean, adversarial=changed)).change)
    lighter, darker, same = (drawn.getpixel((x, 0)) for x in range(3))
    assert lighter[0] > lighter[2]
    assert darker[2] > darker[0]
    assert same == (247, 247, 247)


@given(st.floats(1e-9, 10))
def test_the_factor_is_round_and_the_change_fits(largest):
    factor = magnification(largest)
    assert factor >= 1
    assert f"{factor:e}"[0] in "125"
    if largest <= 1:
        assert factor * largest <= 1 + 1e-6
        assert factor * largest > 0.39


def test_rows_use_the_words_of_the_schema(full):
    shown = before(exhibit_of(full, "row"), full.dataset.schema.columns)
    assert [(cell.name, cell.before, cell.after) for cell in shown.changed] == [
        ("duration_months", "24", "12"),
        ("purpose", "car (new)", "education <i>"),
        ("telephone", "no", "yes"),
    ]
    assert [cell.before for cell in shown.same] == ["5,951", "22", "0.25"]


@pytest.mark.parametrize(
    "change",
    [
        {"clean": b"123"},
        {"shape": (2, 8, 8)},
        {"shape": (1, 8)},
        {"shape": (1, 0, 8)},
        {"shape": (3, 100_000, 100_000)},
    ],
)
def test_what_does_not_fit_is_named(full, change):
    bad = msgspec.structs.replace(exhibit_of(full, "chw"), **change)
    shown = gallery(msgspec.structs.replace(full, evidence=(bad,)))
    assert not shown.pictures
    assert len(shown.broken) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_odd_numbers_are_drawn(full, value):
    odd = struct.pack("<64f", *[value] * 64)
    picture(msgspec.structs.replace(exhibit_of(full, "chw"), clean=odd))
    before(msgspec.structs.replace(exhibit_of(full, "row"), clean=struct.pack("<6f", *[value] * 6)), ())


def test_bounds_that_are_no_range(full):
    picture(msgspec.structs.replace(exhibit_of(full, "chw"), bounds=(0.0, 0.0)))


def test_more_than_a_page_holds_are_counted(full):
    many = msgspec.structs.replace(full, evidence=(exhibit_of(full, "chw"),) * (LIMIT + 3))
    assert gallery(many).left_out == 3
