"""What is known of callables: inert by exact name, dangerous by name or place, unknown otherwise."""

from __future__ import annotations

import pytest

from hauberk.scanning.allowlist import is_unreviewed_function, says_it_acts, standing


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "pty.spawn",
        "runpy._run_code", "cProfile.run", "_posixsubprocess.fork_exec", "uuid._get_command_stdout",
        "_osx_support._read_output", "imaplib.IMAP4_stream", "pip.main", "pip._internal.cli.main.main", "marshal.loads",
        "pkgutil.resolve_name", "importlib.import_module", "_interpreters.run_string", "webbrowser.open",
        "torch.serialization.os.system", "torch.hub.load", "numpy.testing._private.utils.runstring",
        "sklearn.datasets.fetch_openml", "collections.OrderedDict.__init__.__globals__", "types.CodeType",
        "asyncio.subprocess.create_subprocess_shell", "pathlib.Path().unlink", "os.<computed>",
        "torch.fx.graph_module.reduce_graph_module",
        "http.server.HTTPServer", "configparser.ConfigParser.read", "joblib.load",
    ],
)  # fmt: skip
def test_dangerous(name: str) -> None:
    assert standing(name) == "dangerous"


@pytest.mark.parametrize(
    "name",
    [
        "collections.OrderedDict", "numpy._core.multiarray._reconstruct", "numpy.ndarray.__setstate__",
        "sklearn.linear_model._logistic.LogisticRegression", "sklearn.tree._tree.Tree",
        "torch.nn.modules.linear.Linear",
        "torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "torch.optim.adam.Adam", "__torch__.Net",
        "sklearn.ensemble.forest.RandomForestClassifier", "xgboost.sklearn.XGBClassifier",
        "sklearn.feature_selection._univariate_selection.SelectKBest", "http.HTTPStatus", "builtins.str.lower",
        "os.stat_result", "builtins.FileNotFoundError", "transformers.trainer_utils.IntervalStrategy",
        "keras.src.models.sequential.Sequential._unpickle_model", "keras.src.optimizers.adam.Adam",
    ],
)  # fmt: skip
def test_inert(name: str) -> None:
    assert standing(name) == "inert"


@pytest.mark.parametrize(
    "name",
    [
        "my.Net", "test.Net", "__main__.Net", "models.Net", "<extension>.5", "builtins.getattr",
    ],
)  # fmt: skip
def test_unknown(name: str) -> None:
    assert standing(name) == "unknown"


@pytest.mark.parametrize(
    "name",
    [
        "torch.distributed.tensor.DTensor", "sklearn.inspection.anything", "torch.nn.modules.linear.evil",
        "numpy.ndarray.tofile2",
    ],
)  # fmt: skip
def test_of_a_framework_but_unread(name: str) -> None:
    assert standing(name) == "framework"


@pytest.mark.parametrize(
    "name",
    [
        "pytest.main", "builtins.str.format_map", "redis.Redis",
        "collections.OrderedDict.popitem", "wsgiref.simple_server.make_server", "mailcap.findmatch", "builtins.print",
        "json.load", "csv.writer", "zipapp.create_archive", "_pydatetime.anything",
    ],
)  # fmt: skip
def test_of_the_standard_library_and_not_needed(name: str) -> None:
    assert standing(name) == "foreign"


@pytest.mark.parametrize(
    "name",
    [
        "package.tools.run_command", "a.b.exec_code", "a.load_from_url", "a.readFile", "mylib.HTTPServer", "x.read_csv",
        "lib.cmd", "lib.compile_source",
    ],
)  # fmt: skip
def test_a_name_that_says_what_it_does(name: str) -> None:
    assert says_it_acts(name)


@pytest.mark.parametrize(
    ("name", "unreviewed"),
    [
        ("numpy.testing.anything", True), ("torch.fx._graph_pickler._Data.unpickle", True),
        ("dill._dill._import", True),
        ("pandas.new._unpickle_block", False), ("pandas.core.new.Frame", False), ("my.project.function", False),
    ],
)  # fmt: skip
def test_functions_of_reviewed_frameworks(name: str, unreviewed: bool) -> None:
    assert is_unreviewed_function(name) == unreviewed


@pytest.mark.parametrize(
    "name",
    ["a._unpickle_file", "a.b.Tree", "models.Net", "a.newObj", "a.FileBackedArray", "pandas._libs.offsets.MonthEnd"],
)
def test_a_name_that_says_nothing(name: str) -> None:
    assert not says_it_acts(name)


def test_types_that_dill_names(scan_bytes, op) -> None:
    def loaded(name: str) -> bytes:
        return b"\x80\x02" + op.call("dill._dill", "_load_type", op.text(name)) + b"(K\x00K\x01K\x01tR."

    assert scan_bytes("d.dill", loaded("slice")).loud == []
    for name in ("CodeType", "FunctionType", "LambdaType"):
        assert scan_bytes("d.dill", loaded(name)).severities("model.pickle_call") == {"critical"}, name
