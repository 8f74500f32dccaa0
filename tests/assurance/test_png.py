"""The pictures are valid PNG, checked by a reader that is not ours."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hauberk.assurance.png import encode


@given(st.data(), st.sampled_from([(1, "L"), (3, "RGB")]), st.integers(1, 9), st.integers(1, 9))
def test_another_reader_sees_the_same_pixels(data, kind, width, height):
    channels, mode = kind
    size = width * height * channels
    pixels = data.draw(st.binary(min_size=size, max_size=size))
    image = Image.open(io.BytesIO(encode(width, height, channels, pixels)))
    image.load()
    assert (image.mode, image.size) == (mode, (width, height))
    assert image.tobytes() == pixels


@pytest.mark.parametrize(
    ("width", "height", "channels", "size"), [(2, 2, 1, 3), (0, 2, 1, 0), (2, 2, 4, 16), (2, 2, 3, 4)]
)
def test_a_misfit_is_refused(width, height, channels, size):
    with pytest.raises(ValueError, match="no picture"):
        encode(width, height, channels, bytes(size))
