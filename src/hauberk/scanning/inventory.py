"""What a scanned file adds to the bill of materials: the models and data it is, the libraries it declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import quote

from hauberk.core.evidence import Digest, Setting
from hauberk.core.inventory import Component, Kind
from hauberk.scanning.artifact import Artifact, Requirement

MODEL_SUFFIXES = frozenset(
    """.pt .pth .ckpt .safetensors .onnx .gguf .ggml .h5 .hdf5 .keras .pb .tflite .pkl .pickle .joblib .skops .mlmodel
    .mlpackage .ubj .cbm .engine .plan .mar .nemo .pte .pt2 .ptl .pmml .llamafile .ort .msgpack .orbax .model .bst .lgb
    .torchscript .weights .caffemodel .params .pdparams .pdmodel .mnn .ncnn .rknn .dlc .vw""".split()  # noqa: SIM905
)
DATA_SUFFIXES = frozenset(
    """.csv .tsv .parquet .arrow .feather .jsonl .ndjson .npy .npz .tfrecord .tfrecords .avro .orc .lmdb .mat .sas7bdat
    .dta .xlsx""".split()  # noqa: SIM905
)
_MODEL_FORMATS = frozenset(("safetensors", "onnx_graph", "gguf", "tflite", "keras_archive", "saved_model", "openvino"))
_PICKLES = frozenset(("pickle_stream",))
_DECLARED = ("lockfile", "installed_package", "requirements", "pyproject", "pipfile", "conda_environment")
_TOLD = {
    "task": "task",
    "library": "library",
    "base model": "base-model",
    "datasets": "dataset",
    "architecture": "architecture",
}


def components(
    path: str, size: int, artifacts: Iterable[Artifact], digests: Iterable[str] = ()
) -> tuple[Component, ...]:
    """Return what one file of the project adds. digests: "sha256:…" and "blake3:…" of its bytes, where they are known.

    Only the file itself is a model or data; its parts are not listed again.
    """
    read = tuple(artifacts)
    found: list[Component] = []
    named = tuple(Digest(name=value.partition(":")[0], value=value) for value in _digests(read, digests))
    kind = _kind(path, read)
    if kind is not None:
        formats = " ".join(sorted({artifact.format for artifact in read if artifact.format}))
        told = (Setting(name="size", value=size), *((Setting(name="format", value=formats),) if formats else ()))
        found.append(Component(kind=kind, name=PurePosixPath(path).name, path=path, digests=named, properties=told))
    for artifact in read:
        found.extend(_libraries(artifact))
        found.extend(_described(artifact))
    return tuple(found)


def _digests(read: tuple[Artifact, ...], given: Iterable[str]) -> tuple[str, ...]:
    own = (artifact.digest for artifact in read if artifact.digest and not artifact.part)
    return tuple(dict.fromkeys((*given, *own)))


def _kind(path: str, read: tuple[Artifact, ...]) -> Kind | None:
    suffix = PurePosixPath(path).suffix.lower()
    formats = {artifact.format for artifact in read}
    if suffix in DATA_SUFFIXES:
        return "data"
    if suffix in MODEL_SUFFIXES or formats & _MODEL_FORMATS:
        return "model"
    inner = {part.format for artifact in read for part in artifact.walk()}
    return "model" if suffix in (".bin", "") and inner & _PICKLES else None


def _libraries(artifact: Artifact) -> Iterator[Component]:
    """Yield what a file locks, or declares; ranges have no version."""
    if artifact.format not in _DECLARED:
        return
    licences = _licences(artifact) if artifact.format == "installed_package" else ()
    for item in artifact.requirements:
        if item.name and not item.name.startswith("conda:"):
            yield _library(artifact, item, licences)


def _library(artifact: Artifact, item: Requirement, licences: tuple[str, ...]) -> Component:
    told = [Setting(name="declared-in", value=artifact.format)]
    if item.version is None and item.specifier:
        told.append(Setting(name="range", value=item.specifier))
    if item.url:
        told.append(Setting(name="address", value=item.url))
    version = f"@{quote(item.version, safe='.-_~!')}" if item.version else ""
    return Component(
        kind="library",
        name=item.name,
        version=item.version or "",
        path=artifact.path,
        line=item.place.line,
        purl=f"pkg:pypi/{item.name}{version}",
        licences=licences,
        properties=tuple(told),
    )


def _described(artifact: Artifact) -> Iterator[Component]:
    """Yield what a card or project file says of the whole folder it lies in."""
    licences = _licences(artifact)
    folder = PurePosixPath(artifact.path).parent
    if artifact.format == "model_card" and artifact.notes:
        told = tuple(Setting(name=_TOLD[note.name], value=note.text) for note in artifact.notes if note.name in _TOLD)
        data = any(note.name == "data set" for note in artifact.notes)
        name = next(
            (note.text for note in artifact.notes if note.name in ("model", "data set")), folder.name or "model"
        )
        yield Component(
            kind="data" if data else "model",
            name=name,
            path=artifact.path,
            licences=licences,
            properties=(Setting(name="declared-in", value="model_card"), *told),
        )
    elif artifact.format in ("pyproject", "setuptools_files", "licence_text") and not artifact.part:
        notes = {note.name: note.text for note in artifact.notes}
        if licences or "name" in notes:
            yield Component(
                kind="application",
                name=notes.get("name", folder.name or "project"),
                version=notes.get("version", ""),
                path=artifact.path,
                licences=licences,
                properties=(Setting(name="declared-in", value=artifact.format),),
            )


def _licences(artifact: Artifact) -> tuple[str, ...]:
    """Return the licences a file declares; a classifier counts only where nothing better is said."""
    if not any(note.name.startswith("licence") for note in artifact.notes):
        return ()
    from hauberk.scanning.licences import spdx  # only files that name a licence need the table

    said = [spdx(note.text) for note in artifact.notes if note.name == "licence" and note.text.lower() != "other"]
    named = [spdx(note.text) for note in artifact.notes if note.name == "licence name"]
    classified = [spdx(note.text) for note in artifact.notes if note.name == "licence classifier"]
    return tuple(dict.fromkeys(said or named or classified))
