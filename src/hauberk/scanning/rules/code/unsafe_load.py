"""Loading a model or data file in a way that lets the file run code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Edit
from hauberk.scanning.fixing import add_keyword, drop_keyword, set_name
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite

_PICKLES = {
    "pickle.load": "pickle", "pickle.loads": "pickle", "pickle.Unpickler": "pickle", "dill.load": "dill",
    "dill.loads": "dill", "dill.Unpickler": "dill", "dill.load_session": "dill", "dill.load_module": "dill",
    "cloudpickle.load": "cloudpickle", "cloudpickle.loads": "cloudpickle", "joblib.load": "joblib",
    "pandas.read_pickle": "pandas", "jsonpickle.decode": "jsonpickle", "jsonpickle.unpickler.decode": "jsonpickle",
    "fastai.learner.load_learner": "fastai", "fastai.vision.all.load_learner": "fastai",
    "fastai.basics.load_learner": "fastai", "compress_pickle.load": "compress_pickle", "shelve.open": "shelve",
    "joblib.numpy_pickle.load": "joblib", "pickle._Unpickler": "pickle", "pandas.io.pickle.read_pickle": "pandas",
    "jsonpickle.loads": "jsonpickle", "torch.package.PackageImporter": "torch package",
    "multiprocessing.reduction.ForkingPickler.loads": "pickle", "srsly.pickle_loads": "pickle",
    "zodbpickle.loads": "pickle", "ray.cloudpickle.loads": "cloudpickle", "pyspark.cloudpickle.loads": "cloudpickle",
}  # fmt: skip
_UNDERNEATH = re.compile(
    r"mlflow\.(pyfunc|sklearn|pytorch|xgboost|lightgbm|statsmodels)\.load_model"
    r"|stable_baselines3\.\w+\.load|nemo[\w.]*\.restore_from|.*\.load_from_checkpoint|paddle\.load"
)
_SAFE_YAML = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")
_OWN_BYTES = re.compile(r"(pickle|dill|cloudpickle)\.dumps\(\)")
_Verdict = tuple[str, str, Severity]


class UnsafeLoad:
    """Find loaders that execute what the file says: pickle and its family, torch.load, allow_pickle, YAML, Keras.

    A pickle is a program: whoever can replace the file, its download or its cache runs code as you. Keep weights as
    safetensors, tables as Parquet or npz without objects, scikit-learn models as skops or ONNX; where a pickle must
    stay, load it with `weights_only=True`, or check a signature before (`hauberk verify`).

    Bad:

        state = torch.load(path)
        config = yaml.load(stream, Loader=yaml.Loader)

    Good:

        state = torch.load(path, weights_only=True)
        config = yaml.safe_load(stream)
    """

    card: ClassVar[Card] = Card(
        title="Unsafe load",
        summary="A loader that runs code stored in the model or data file.",
        paper="CWE-502; OWASP ML06 and LLM03; MITRE ATLAS AML.T0011",
        threats=("CWE-502", "OWASP-ML06", "OWASP-LLM03", "AML.T0011"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call of a known loader."""
        for site in program_of(artifact).calls:
            verdict = _judge(site)
            if verdict is None:
                continue
            message, fix, severity = verdict
            confidence: Literal["low", "medium", "high"] = "high"
            if site.guarded and severity != "low":
                message += "; a digest or signature is checked before it, which was not judged"
                severity, confidence = "low", "low"
            edits = _edits(site)
            yield Draft(
                message=message, fix=fix, severity=severity, confidence=confidence, place=site.place, edits=edits
            )


def _judge(site: CallSite) -> _Verdict | None:
    judge = _SPECIAL.get(site.path)
    if judge is not None:
        return judge(site)
    library = _PICKLES.get(site.path)
    if library is not None:
        return _pickled(site, library)
    if site.tail in ("load_model", "deserialize", "load_img", "enable_unsafe_deserialization"):
        return _keras(site)
    if site.tail == "recv_pyobj":
        return ("recv_pyobj unpickles what the other side of the socket sends", "send JSON or arrays", "high")
    if site.says("use_safetensors") is False:
        return (f"{_name(site)} is told to prefer pickled weights", "drop use_safetensors=False", "medium")
    if _UNDERNEATH.fullmatch(site.path) and site.says("weights_only") is not True:
        return (f"{_name(site)} reads pickles underneath", "load it only from a place that only you can write", "low")
    return None


def _edits(site: CallSite) -> tuple[Edit, ...]:
    """Write the safe form where it is one keyword or name away; a file that needs the unsafe one then fails to load."""
    if site.path in ("torch.load", "torch.hub.load_state_dict_from_url") and site.keyword("pickle_module") is None:
        return add_keyword(site, "weights_only", "True")
    if site.path == "numpy.load":
        return drop_keyword(site, "allow_pickle")
    if site.path in ("yaml.unsafe_load", "yaml.full_load"):
        return set_name(site, site.tail, "safe_load")
    if site.path == "yaml.load" and not site.open:
        loader = site.keyword("Loader")
        renamed = set_name(site, "load", "safe_load")
        if loader is not None:
            return (*renamed, *drop_keyword(site, "Loader")) if renamed else ()
        return renamed if len(site.arguments) == 1 else ()
    if site.says("safe_mode") is False:
        return drop_keyword(site, "safe_mode")
    return drop_keyword(site, "use_safetensors") if site.says("use_safetensors") is False else ()


def _name(site: CallSite) -> str:
    return site.path.replace("?", "").lstrip(":.")


def _pickled(site: CallSite, library: str) -> _Verdict | None:
    if _OWN_BYTES.match(site.argument(0).path):
        return None
    fix = "store weights as safetensors, arrays as npz, scikit-learn models as skops or ONNX"
    return (f"{_name(site)} runs whatever the {library} file says", fix, "high")


def _torch(site: CallSite) -> _Verdict | None:
    says = site.says("weights_only")
    if site.keyword("pickle_module") is not None and says is not True:
        return ("torch.load with its own pickle_module runs code in the file", "pass weights_only=True", "high")
    if says is False or says == 0:
        return (
            "torch.load(weights_only=False) runs whatever the file says",
            "pass weights_only=True, or keep the weights as safetensors",
            "high",
        )
    if says is True or says == 1:
        return None
    if site.keyword("weights_only") is not None:
        return ("torch.load with a weights_only decided elsewhere", "write weights_only=True here", "low")
    if site.open:
        return ("torch.load with arguments decided elsewhere", "write weights_only=True here", "low")
    return (
        "torch.load without weights_only=True runs whatever the file says with torch before 2.6",
        "pass weights_only=True, or keep the weights as safetensors",
        "medium",
    )


def _download(site: CallSite) -> _Verdict | None:
    if site.says("weights_only") is True or site.open:
        return None
    return (f"{_name(site)} downloads and unpickles", "pass weights_only=True and check_hash=True", "medium")


def _numpy(site: CallSite) -> _Verdict | None:
    says = site.says("allow_pickle")
    position = site.argument(2).constant
    if says is True or says == 1 or position is True:
        return ("numpy.load(allow_pickle=True) runs whatever the file says", "drop allow_pickle=True", "high")
    return None


def _yaml(site: CallSite) -> _Verdict | None:
    fix = "use yaml.safe_load"
    if site.path in ("yaml.unsafe_load", "yaml.unsafe_load_all"):
        return (f"{site.path} makes any Python object the file names", fix, "high")
    loader = site.argument(1, "Loader")
    name = loader.path.rsplit(".", 1)[-1]
    if name in _SAFE_YAML or (loader.path and not loader.path.startswith("yaml.") and site.path == "yaml.load"):
        return None
    if site.path in ("yaml.full_load", "yaml.full_load_all") or name == "FullLoader":
        return (f"{site.path} makes Python objects; it has been bypassed before (CVE-2020-14343)", fix, "medium")
    if site.open:
        return None
    return (f"{site.path} without a safe loader makes any Python object the file names", fix, "high")


def _keras(site: CallSite) -> _Verdict | None:
    if site.tail == "enable_unsafe_deserialization":
        return ("Keras' safe mode is switched off for the whole program", "remove the call", "high")
    if site.says("safe_mode") is False:
        return (
            f"{_name(site)}(safe_mode=False) runs Lambda layers stored in the file",
            "drop safe_mode=False and register the custom layers",
            "high",
        )
    source = site.argument(0).constant
    if isinstance(source, str) and source.endswith((".h5", ".hdf5")) and site.path.startswith("keras."):
        return (
            "a Keras HDF5 file is loaded: safe mode does not cover it (CVE-2025-9905)",
            "convert the model to the .keras format",
            "low",
        )
    return None


def _skops(site: CallSite) -> _Verdict | None:
    trusted = site.argument(1, "trusted")
    fix = "list the type names you reviewed in trusted=[…]"
    if trusted.constant is True:
        return (f"{site.path}(trusted=True) makes any object the file names", fix, "high")
    if trusted.path.startswith("skops.io.get_untrusted_types"):
        return (f"{site.path} trusts every type the file asks for, unread", fix, "medium")
    return None


def _marshal(site: CallSite) -> _Verdict | None:
    return (f"{site.path} reads code objects and can crash the interpreter", "use JSON or MessagePack", "medium")


def _ruamel(site: CallSite) -> _Verdict | None:
    if site.argument(0, "typ").constant == "unsafe":
        return ('ruamel.yaml.YAML(typ="unsafe") makes any Python object the file names', 'use typ="safe"', "high")
    return None


_SPECIAL: dict[str, Callable[[CallSite], _Verdict | None]] = {
    "torch.load": _torch,
    "torch.hub.load_state_dict_from_url": _download,
    "torch.utils.model_zoo.load_url": _download,
    "numpy.load": _numpy,
    "yaml.load": _yaml,
    "yaml.load_all": _yaml,
    "yaml.unsafe_load": _yaml,
    "yaml.unsafe_load_all": _yaml,
    "yaml.full_load": _yaml,
    "yaml.full_load_all": _yaml,
    "ruamel.yaml.YAML": _ruamel,
    "skops.io.load": _skops,
    "skops.io.loads": _skops,
    "marshal.load": _marshal,
    "marshal.loads": _marshal,
}
