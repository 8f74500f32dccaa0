"""Folders of images, one sub-folder a class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.project import DataSection
from hauberk.datasets.arrays import Pair, from_arrays
from hauberk.datasets.checked import InMemory
from hauberk.datasets.files import existing

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
_GREY = frozenset({"1", "L", "LA"})


class ImageFolder:
    """Images as (c, h, w): grey where all are grey, else colour; divided by data.scale, 255 where it is not said."""

    card: ClassVar[Card] = Card(
        title="Image folder",
        summary="Reads images from one sub-folder a class, or from train/ and test/ with such sub-folders.",
        suffixes=("/",),
        inputs=("chw",),
        extra="data",
    )

    @classmethod
    def open(cls, section: DataSection, folder: Path, bounds: tuple[float, float] | None, thing: object) -> InMemory:  # noqa: ARG003
        """Read and check; raises DataError that names the file."""
        root = existing(folder, section.source, "data.source")
        name = root.resolve().name
        train = existing(folder, section.train, "data.train") if section.train else None
        if train is None and (root / "train").is_dir() and (root / "test").is_dir():
            train, root = root / "train", root / "test"
        files = [*(_files(train, section) if train else []), *_files(root, section)]
        pixels, labels = _read(files, section.size), np.array([path.parent.name for path in files])
        if train is None:
            return from_arrays(name, section, bounds, None, Pair(pixels, labels), halves=False)
        cut = len(_files(train, section))
        known, unseen = Pair(pixels[:cut], labels[:cut]), Pair(pixels[cut:], labels[cut:])
        return from_arrays(name, section, bounds, known, unseen, halves=True)


def _files(root: Path, section: DataSection) -> list[Path]:
    """List the images in a fixed order; raises DataError where there is none, or a folder that is no class."""
    classes = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if section.classes:
        classes = [path for path in classes if path.name in section.classes]
    found = [file for folder in classes for file in sorted(folder.iterdir()) if file.suffix.lower() in _ENDINGS]
    if not found:
        raise DataError("has no image", where=str(root.name), fix="put images into one sub-folder a class")
    return found


def _read(files: list[Path], size: tuple[int, int] | None) -> np.ndarray:
    """Read images to (n, c, h, w) bytes; size: (h, w) to which they are resized."""
    images = [_image(path, size) for path in files]
    mode = "L" if all(image.mode in _GREY for image in images) else "RGB"
    first = images[0].size
    arrays = []
    for path, image in zip(files, images, strict=True):
        if image.size != first:
            width, height = first
            raise DataError(
                f"is {image.size[1]}×{image.size[0]}, {files[0].name} is {height}×{width}",
                where=f"{path.parent.name}/{path.name}",
                fix=f"set data.size = [{height}, {width}]",
            )
        arrays.append(np.asarray(image.convert(mode)).reshape(first[1], first[0], -1).transpose(2, 0, 1))
    return np.stack(arrays)


def _image(path: Path, size: tuple[int, int] | None) -> Image.Image:
    """Decode one image; a file that would unpack to a huge one is refused before it is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as file:
                file.load()
                image: Image.Image = file.copy()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"is too large: {error}", where=f"{path.parent.name}/{path.name}", fix="remove it") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        fix = "remove or replace it"
        raise DataError(f"cannot be decoded: {error}", where=f"{path.parent.name}/{path.name}", fix=fix) from None
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR) if size else image
