"""Names of packages that projects use, and names so close to one that they may be a trap."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.utils import canonicalize_name

_LISTS = Path(__file__).with_name("package_lists")
MISTAKEN = {
    "pytorch": "torch", "sklearn": "scikit-learn", "cv2": "opencv-python", "opencv": "opencv-python",
    "huggingface": "huggingface-hub", "hf-transformers": "transformers", "python-torch": "torch",
    "tensor-flow": "tensorflow", "pil": "pillow", "skimage": "scikit-image", "yaml": "pyyaml", "faiss": "faiss-cpu",
    "llama-cpp": "llama-cpp-python", "open-ai": "openai", "lang-chain": "langchain", "llamaindex": "llama-index",
    "huggingface-cli": "huggingface-hub", "torch-vision": "torchvision", "xg-boost": "xgboost",
    "light-gbm": "lightgbm", "python-pandas": "pandas", "python-numpy": "numpy", "gpt4": "openai", "chatgpt": "openai",
    "dateutil": "python-dateutil", "dotenv": "python-dotenv", "serial": "pyserial", "tensorflow-model": "tensorflow",
    "torch-cuda": "torch", "pytorch-gpu": "torch", "numpy-python": "numpy", "beautifulsoup": "beautifulsoup4",
}  # fmt: skip
"""Names that people and language models write by mistake; somebody else may own them.

"huggingface-cli" is the known case of a name that models invented.
"""
_SHORTEST = 5
_AFFIXES = ("python-", "python3-", "py-", "the-", "real-", "official-")
_SUFFIXES = ("-python", "-python3", "-py", "-official", "-lib", "-pkg", "-new", "-free", "-update", "-latest", "-pro")
_LOOKALIKE = str.maketrans({"0": "o", "1": "l", "3": "e", "5": "s"})
_CONFUSABLE = str.maketrans(
    "аеорсухіјѕԁɡһӏṁνκητρω", "aeopcyxijsdghlmvkntpw"
)  # Cyrillic, Greek and phonetic letters that print like Latin ones
MAKES = Literal["slip", "mistake", "affix", "letters"]


class Likeness(NamedTuple):
    """The package a name is close to, and how: one slip, a known mistake, an added word, letters that look alike."""

    popular: str
    how: MAKES


@cache
def popular() -> frozenset[str]:
    """Read the list of widely installed packages."""
    return _names("popular.txt")


@cache
def _neighbours() -> frozenset[str]:
    return _names("neighbours.txt")


def _names(file: str) -> frozenset[str]:
    lines = (_LISTS / file).read_text(encoding="utf-8").split("\n")
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


@cache
def _neighbourhood() -> dict[str, tuple[str, ...]]:
    """Map each popular name, and what is left of it without any one letter, to the names it comes from."""
    found: dict[str, list[str]] = {}
    for name in sorted(popular()):
        if len(name) >= _SHORTEST:
            for short in {name, *_shortened(name)}:
                found.setdefault(short, []).append(name)
    return {short: tuple(names) for short, names in found.items()}


@cache
def _squeezed() -> dict[str, str]:
    return {name.replace("-", ""): name for name in sorted(popular()) if len(name) >= _SHORTEST}


def _shortened(name: str) -> Iterator[str]:
    return (name[:at] + name[at + 1 :] for at in range(len(name)))


def likeness(name: str) -> Likeness | None:
    """Return the popular package a normalised name is close to; None for known names and for others."""
    if name in popular() or name in _neighbours():
        return None
    if name in MISTAKEN:
        return Likeness(MISTAKEN[name], "mistake")
    if len(name) < _SHORTEST or len(name) > 100:
        return None
    same = _squeezed().get(name.replace("-", ""))
    if same is not None:
        return Likeness(same, "slip")
    plain = name.translate(_LOOKALIKE).replace("rn", "m").replace("vv", "w")
    if plain != name and plain in popular():
        return Likeness(plain, "letters")
    near = _neighbourhood()
    close = sorted(
        {known for short in (name, *_shortened(name)) for known in near.get(short, ()) if one_slip(name, known)}
    )
    if close:
        return Likeness(close[0], "slip")
    return _affixed(name)


def _affixed(name: str) -> Likeness | None:
    bare = [name.removeprefix(affix) for affix in _AFFIXES if name.startswith(affix)]
    bare.extend(name.removesuffix(affix) for affix in _SUFFIXES if name.endswith(affix))
    return next((Likeness(one, "affix") for one in bare if len(one) >= _SHORTEST and one in popular()), None)


def disguised(text: str) -> str | None:
    """Return the popular package that a name with foreign letters prints like; pip refuses such names today."""
    if text.isascii():
        return None
    latin = unicodedata.normalize("NFKC", text).lower().translate(_CONFUSABLE)
    name = canonicalize_name(latin)
    return name if name in popular() else None


def one_slip(first: str, second: str) -> bool:
    """Tell whether one insertion, deletion, replacement or swap of neighbours turns one name into the other.

    That is a Damerau-Levenshtein distance of one.
    """
    if first == second or abs(len(first) - len(second)) > 1:
        return False
    start = next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    a, b = first[start:], second[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]
