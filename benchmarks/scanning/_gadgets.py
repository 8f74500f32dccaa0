"""Callables that a hostile pickle can name: a table of published ones, and a sample found by reading sources.

The sample is not chosen by hand: every function and class of an installed package whose own body calls something that
runs, opens, fetches or loads is a candidate, and chance picks. It shows how names that nobody wrote down are judged.
"""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

KNOWN = {
    "known, standard library": (
        "os.system", "posix.system", "nt.system", "os.popen", "os.execvp", "os.spawnlp", "os.remove", "os.putenv",
        "subprocess.Popen", "subprocess.run", "subprocess.call", "subprocess.check_output", "subprocess.getoutput",
        "builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__",
        "builtins.breakpoint", "builtins.input", "__builtin__.eval", "__builtin__.apply", "__builtin__.execfile",
        "commands.getoutput", "popen2.popen3", "runpy._run_code", "runpy.run_path", "runpy.run_module", "pty.spawn",
        "code.interact", "code:InteractiveInterpreter.runcode", "codeop.compile_command", "timeit.timeit",
        "timeit.main", "trace:Trace.run", "trace:Trace.runctx", "cProfile.run", "cProfile.runctx", "profile.run",
        "bdb:Bdb.run", "pdb.run", "pdb.runeval", "doctest.debug_script", "doctest.testfile", "pydoc.locate",
        "pydoc.pipepager", "pydoc.tempfilepager", "pydoc.safeimport", "importlib.import_module", "importlib.reload",
        "importlib.util.spec_from_file_location", "imp.load_source", "pkgutil.resolve_name", "pkgutil.get_data",
        "zipimport.zipimporter", "site.addsitedir", "sys.settrace", "sys.setprofile", "ctypes.CDLL", "ctypes.string_at",
        "ctypes:cdll.LoadLibrary", "marshal.loads", "types.FunctionType", "types.CodeType", "types.ModuleType",
        "pickle.load", "pickle.Unpickler", "shelve.open", "dbm.open", "sqlite3.connect", "socket.socket",
        "socket.create_connection", "ssl.get_server_certificate", "urllib.request.urlopen",
        "urllib.request.urlretrieve", "http.client.HTTPSConnection", "http.server.HTTPServer", "http.server.test",
        "ftplib.FTP", "smtplib.SMTP", "poplib.POP3", "imaplib.IMAP4", "imaplib.IMAP4_stream", "telnetlib.Telnet",
        "nntplib.NNTP", "xmlrpc.client.ServerProxy", "socketserver.TCPServer", "asyncio.run",
        "asyncio.unix_events:_UnixSubprocessTransport._start", "asyncio.create_subprocess_shell", "shutil.rmtree",
        "shutil.copyfile", "shutil.move", "shutil.unpack_archive", "tempfile.mktemp", "tempfile.NamedTemporaryFile",
        "pathlib:Path.write_text", "pathlib:Path.unlink", "io.open", "io.FileIO", "_io.FileIO", "io.open_code",
        "codecs.open", "fileinput.input", "linecache.getlines", "glob.glob", "zipfile.ZipFile", "tarfile.open",
        "gzip.open", "bz2.open", "lzma.open", "mailbox.mbox", "netrc.netrc", "csv.reader", "plistlib.load",
        "configparser:ConfigParser.read", "logging.config.fileConfig", "logging.config.listen", "logging.FileHandler",
        "webbrowser.open", "antigravity.geohash", "venv.create", "ensurepip._run_pip", "pip.main",
        "pip._internal.main", "distutils.file_util.write_file", "distutils.spawn.spawn", "compileall.compile_dir",
        "py_compile.compile", "lib2to3.pgen2.grammar:Grammar.loads", "lib2to3.pgen2.pgen:ParserGenerator.make_label",
        "idlelib.calltip.get_entity", "idlelib.debugobj:ObjectTreeItem.SetText", "idlelib.run:Executive.runcode",
        "idlelib.pyshell:ModifiedInterpreter.runcommand", "test.support.script_helper.assert_python_ok",
        "_osx_support._read_output", "_osx_support._find_build_tool", "_aix_support._read_cmd_output",
        "_pyrepl.pager.pipe_pager", "_posixsubprocess.fork_exec", "_interpreters.run_string",
        "_xxsubinterpreters.run_string", "_testcapi.run_in_subinterp", "uuid._get_command_stdout", "uuid._popen",
        "multiprocessing.Process", "multiprocessing.util.spawnv_passfds", "concurrent.futures.ProcessPoolExecutor",
        "threading.Thread", "signal.signal", "atexit.register", "sched.scheduler", "cgitb.lookup", "ast.literal_eval",
        "inspect.getsource", "gc.get_objects", "operator.methodcaller", "_operator.attrgetter", "functools.reduce",
        "unittest.mock._importer", "unittest.main", "wsgiref.simple_server.make_server", "mailcap.findmatch",
        "tracemalloc.start", "faulthandler.dump_traceback", "readline.read_history_file", "pstats.Stats",
        "modulefinder:ModuleFinder.run_script", "zipapp.create_archive", "tkinter.Tk", "turtle.Screen",
        "smtpd.SMTPServer",
        "dataclasses._create_fn", "collections.namedtuple", "typing._eval_type", "annotationlib.call_annotate_function",
    ),
    "known, frameworks": (
        "torch.load", "torch.hub.load", "torch.hub.download_url_to_file", "torch.jit.load", "torch.serialization.load",
        "torch.ops.load_library", "torch.utils.cpp_extension.load_inline", "torch.utils.collect_env.run",
        "torch.utils.bottleneck.__main__.run_cprofile", "torch._inductor.codecache.compile_file",
        "torch._dynamo.guards:GuardBuilder.get", "torch.jit.unsupported_tensor_ops.execWrapper",
        "torch.fx.experimental.symbolic_shapes:ShapeEnv.evaluate_guards_expression",
        "torch.fx.graph_module._forward_from_src", "torch.utils._config_module:ConfigModule.load_config",
        "torch.utils.data.datapipes.utils.decoder.basichandlers", "torch.distributed.rpc.rpc_sync",
        "torch.utils.model_zoo.load_url", "torch.package.PackageImporter", "torch.from_file", "torch.save",
        "torch.multiprocessing.spawn", "torch.testing._internal.common_utils.run_tests",
        "torch.storage:UntypedStorage.from_file", "torch.utils.file_baton.FileBaton",
        "numpy.load", "numpy.save", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap",
        "numpy.savetxt", "numpy.f2py.compile", "numpy.f2py.crackfortran.getlincoef",
        "numpy.f2py.crackfortran._eval_length", "numpy.testing._private.utils.runstring",
        "numpy.ctypeslib.load_library", "numpy.distutils.exec_command.exec_command", "numpy.lib._datasource.open",
        "pandas.read_pickle", "pandas.read_csv", "pandas.read_html", "pandas.eval", "pandas.read_sql",
        "pandas.io.common.get_handle", "pandas.core.computation.eval.eval", "pandas.io.clipboard.copy",
        "scipy.io.loadmat", "scipy.misc.common.face", "scipy.datasets._fetchers.fetch_data", "scipy.weave.inline",
        "sklearn.datasets.load_files", "sklearn.datasets.fetch_openml", "sklearn.externals.joblib.load",
        "sklearn.utils._testing.assert_run_python_script_without_output", "joblib.load", "joblib.dump",
        "joblib.Memory", "joblib.externals.loky.get_reusable_executor", "joblib.numpy_pickle.load",
        "cloudpickle.cloudpickle._make_function", "cloudpickle.cloudpickle.subimport", "dill.loads", "dill.load_module",
        "dill._dill._create_code", "dill._dill._import_module", "transformers.pipeline",
        "transformers.dynamic_module_utils.get_class_from_dynamic_module", "transformers.utils.hub.cached_file",
        "huggingface_hub.snapshot_download", "keras.models.load_model", "keras.layers.Lambda",
        "keras.utils.get_file", "tensorflow.io.read_file", "tensorflow.load_op_library",
        "tensorflow.python.framework.load_library.load_op_library", "tensorflow.keras.utils.get_file",
        "nltk.download", "nltk.downloader.download", "nltk.data.load", "spacy.cli.download", "spacy.load",
        "gensim.models.utils_any2vec.unpickle", "gensim.utils.unpickle", "xgboost.core:Booster.load_model",
        "lightgbm.basic._load_lib", "mlflow.pyfunc.load_model", "ray.remote", "dask.config.refresh",
        "datasets.load_dataset", "hydra.utils.instantiate", "omegaconf.resolvers.oc.env", "sympy.sympify",
        "sympy.parsing.sympy_parser.parse_expr", "sympy.utilities.autowrap.autowrap", "numba.pycc.cc.CC",
        "numexpr.evaluate", "jinja2.Template", "jinja2:Environment.from_string", "mako.template.Template", "yaml.load",
        "yaml.unsafe_load", "ruamel.yaml.load", "requests.get", "requests.api.request", "aiohttp.ClientSession",
        "httpx.get", "paramiko.SSHClient", "fabric.Connection", "invoke.run", "IPython.start_ipython",
        "IPython.utils.process.system", "ipykernel.kernelapp.launch_new_instance", "setuptools.setup",
        "setuptools._distutils.spawn.spawn", "pytest.main", "_pytest.config.main",
        "django.utils.module_loading.import_string",
        "werkzeug.utils.import_string", "flask.cli.load_dotenv", "celery.utils.imports.symbol_by_name",
        "twisted.python.reflect.namedAny", "pexpect.spawn", "sh.Command", "plumbum.local", "psutil.Popen",
        "boto3.client", "s3fs.S3FileSystem", "fsspec.open", "smart_open.open", "cffi.FFI", "pycparser.parse_file",
        "execnet.makegateway", "cv2.imread", "PIL.Image.open", "imageio.imread", "matplotlib.pyplot.imread",
        "matplotlib.testing.subprocess_run_helper", "tqdm.contrib.telegram.tqdm", "wandb.init", "gradio.Interface",
        "guppy.guppy", "bpython.cli.main", "pydantic.v1.utils.import_string", "pkg_resources.run_script",
    ),
}  # fmt: skip
ACTS = frozenset(
    {
        "exec", "eval", "system", "popen", "Popen", "check_output", "check_call", "import_module", "urlopen",
        "urlretrieve", "rmtree", "unlink", "spawnv", "execv", "CDLL", "load_library", "open", "create_connection",
    }
)  # fmt: skip
PACKAGES = ("numpy", "pandas", "scipy", "sklearn", "torch", "joblib", "networkx", "sympy", "xgboost")


def _acts(node: ast.AST) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            name = inner.func.attr if isinstance(inner.func, ast.Attribute) else getattr(inner.func, "id", "")
            if name in ACTS:
                return True
    return False


def _found(root: Path, base: Path) -> Iterator[str]:
    """Yield the acting functions and constructors below a folder, or of one file."""
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        parts = path.relative_to(base).with_suffix("").parts
        if {"tests", "test", "site-packages", "_vendor", "dist-packages"} & set(parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        module = ".".join(part for part in parts if part != "__init__")
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and _acts(node):
                yield f"{module}:{node.name}"
            elif isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and _acts(method):
                        yield f"{module}:{node.name}" + ("" if method.name == "__init__" else f".{method.name}")


def sampled(count: int) -> dict[str, tuple[str, ...]]:
    """Pick from the standard library, and as many from the installed frameworks."""
    chance = random.Random(1)
    library = Path(sysconfig.get_paths()["stdlib"])
    packages = Path(sysconfig.get_paths()["purelib"])
    standard = [name for name in _found(library, library) if name.split(":")[0]]
    frameworks = [name for package in PACKAGES for name in _found(packages / package, packages)]
    return {
        "sampled, standard library": tuple(chance.sample(standard, min(count, len(standard)))),
        "sampled, frameworks": tuple(chance.sample(frameworks, min(count, len(frameworks)))),
    }
