"""Trained models on their way between processes: named arrays in text, and nothing that could run."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import MeasurementError

Arrays: TypeAlias = Mapping[str, np.ndarray]


class Taught(NamedTuple):
    """Models as named arrays, in the order they were asked for, and what a report must say of their training."""

    models: list[Arrays]
    notes: tuple[str, ...]


class _Parcel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """models: each the base64 of an .npz."""

    models: tuple[str, ...]
    notes: tuple[str, ...]


def packed(taught: Taught) -> bytes:
    """Write models as canonical JSON."""
    return canonical(_Parcel(tuple(_npz(arrays) for arrays in taught.models), taught.notes))


def unpacked(text: str) -> Taught:
    """Read what `packed` wrote, strictly; raises MeasurementError for anything else."""
    try:
        parcel = decode(text.encode(), _Parcel)
        return Taught([_arrays(model) for model in parcel.models], parcel.notes)
    except (msgspec.DecodeError, binascii.Error, zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        raise MeasurementError(f"a worker sent no models: {error}", fix="install one version on every node") from error


def _npz(arrays: Arrays) -> str:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return base64.b64encode(file.getvalue()).decode()


def _arrays(text: str) -> Arrays:
    with np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
