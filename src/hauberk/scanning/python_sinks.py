"""Where a value in a Python program does harm if others steer it: code, commands, SQL, markup, addresses, files."""

from __future__ import annotations

import re
from functools import lru_cache

from hauberk.scanning.python_values import CallSite, Taint, Value

_CODE = frozenset(
    ["exec", "eval", "compile", "runpy.run_path", "runpy.run_module", "code.interact", "pandas.eval",
     "numexpr.evaluate", "importlib.import_module", "__import__", "sympy.sympify", "types.FunctionType",
     "sympy.parsing.sympy_parser.parse_expr", "asteval.Interpreter().eval", "timeit.timeit",
     "marshal.loads", "execjs.eval", "js2py.eval_js", "lupa.LuaRuntime().execute"]
)  # fmt: skip
_CODE_TAILS = frozenset(["run_cell", "runcode", "runsource"])
_PICKLES = frozenset(
    ["pickle.loads", "pickle.load", "dill.loads", "dill.load", "cloudpickle.loads", "cloudpickle.load", "joblib.load",
     "yaml.unsafe_load", "yaml.load", "yaml.full_load", "jsonpickle.decode", "pandas.read_pickle", "shelve.open",
     "torch.load"]
)  # fmt: skip
_SHELL = frozenset(
    ["os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell",
     "pty.spawn", "os.execl", "os.execv", "os.execvp", "os.spawnl", "os.startfile", "commands.getoutput",
     "pexpect.spawn", "pexpect.run", "get_ipython().system", "get_ipython().getoutput", "invoke.run",
     "fabric.api.local", "fabric.api.run"]
)  # fmt: skip
_PROCESS = frozenset(
    ["subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen",
     "asyncio.create_subprocess_exec"]
)  # fmt: skip
_INTERPRETERS = frozenset(
    ["bash", "sh", "zsh", "dash", "python", "python3", "python2", "perl", "ruby", "node", "php", "cmd", "cmd.exe",
     "powershell", "pwsh", "env", "xargs", "ssh", "eval", "osascript"]
)  # fmt: skip


_FRAME = re.compile(r"(pandas\.[\w.()]*|\??(df|frame|data_?frame|table|data)\w*)\.(query|eval)")


def run_by(site: CallSite, kind: str) -> Taint | None:
    """Return the taint that decides what code or command a call runs."""
    if site.path in _CODE or (site.tail in _CODE_TAILS and "." in site.path):
        return site.argument(0).tainted(kind)
    if site.tail in ("query", "eval") and _FRAME.fullmatch(site.path):
        return site.argument(0, "expr").tainted(kind)
    if site.path in _SHELL or (site.tail == "exec_command" and "." in site.path):
        return site.argument(0).tainted(kind, "shell")
    if site.path in _PROCESS:
        return _process(site, site.argument(0, "args"), kind)
    return None


def unpickled_by(site: CallSite, kind: str) -> Taint | None:
    """Return the taint on the bytes or text that a call makes objects of; a safe YAML loader makes none."""
    if site.path not in _PICKLES or site.says("weights_only") is True:
        return None
    loader = site.argument(1, "Loader").path
    return None if "Safe" in loader or "Base" in loader else site.argument(0).tainted(kind)


def _process(site: CallSite, command: Value, kind: str) -> Taint | None:
    """Find the taint that chooses the program or its script; arguments of a fixed program are the program's matter."""
    if site.says("shell") is True:
        return command.tainted(kind, "shell")
    parts = [value for _, value in command.entries]
    if site.path == "asyncio.create_subprocess_exec":
        parts = list(site.arguments)
    if not parts:
        return command.tainted(kind)
    program = parts[0].constant
    name = program.replace("\\", "/").rsplit("/", 1)[-1] if isinstance(program, str) else ""
    if name in _INTERPRETERS or parts[0].path == "sys.executable":
        rows = [taint for part in parts[1:] if (taint := part.tainted(kind, "shell"))]
        return rows[0] if rows else None
    return parts[0].tainted(kind)


# --- SQL

_EXECUTE = frozenset(
    ["execute", "executemany", "executescript", "exec_driver_sql", "raw", "fetch", "fetchall", "fetchrow", "fetchval",
     "query", "sql", "fetch_all", "fetch_one", "run_sql", "run"]
)  # fmt: skip
_READ = frozenset(
    ["pandas.read_sql", "pandas.read_sql_query", "polars.read_database", "duckdb.sql", "duckdb.query", "duckdb.execute"]
)
_DATABASE = re.compile(
    r"(?i)(sqlite3|psycopg|sqlalchemy|duckdb|mysql|pymysql|asyncpg|aiosqlite|databases|bigquery|snowflake|clickhouse|pyodbc"
    r"|cursor|sqldatabase|(^|[?._:])(cur|conn|connection|db|database|engine|session|con|tx|transaction|spark)(\b|_))"
)
_STATEMENT = re.compile(
    r"(?i)\b(select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from|drop\s|create\s+table)\b", re.S
)


def queried_by(site: CallSite, kind: str) -> Taint | None:
    """Return the taint in the text, not the parameters, of a database query."""
    statement = site.argument(0, "sql")
    if site.path not in _READ:
        if site.tail not in _EXECUTE or "." not in site.path:
            return None
        holder = site.path.rsplit(".", 1)[0]
        if not _is_database(holder) and _STATEMENT.search(statement.text) is None:
            return None
        if site.tail == "run" and "SQLDatabase" not in holder:
            return None
    return statement.tainted(kind, "sql")


@lru_cache(maxsize=8192)
def _is_database(path: str) -> bool:
    return _DATABASE.search(path) is not None


# --- markup and templates

_MARKUP = frozenset(
    ["markupsafe.Markup", "flask.Markup", "jinja2.Markup", "django.utils.safestring.mark_safe",
     "django.utils.safestring.SafeString", "fastapi.responses.HTMLResponse", "starlette.responses.HTMLResponse",
     "IPython.display.HTML", "IPython.core.display.HTML", "gradio.HTML", "streamlit.components.v1.html",
     "streamlit.html", "nicegui.ui.html", "fastapi.HTMLResponse"]
)  # fmt: skip
_TYPED = {
    "aiohttp.web.Response": "content_type", "flask.Response": "mimetype", "starlette.responses.Response": "media_type",
    "fastapi.Response": "media_type", "fastapi.responses.Response": "media_type",
}  # fmt: skip
_IF_TAGS = frozenset(["django.http.HttpResponse", "flask.make_response"])
_TEMPLATES = frozenset(
    ["flask.render_template_string", "jinja2.Template", "mako.template.Template", "django.template.Template",
     "tornado.template.Template"]
)  # fmt: skip


def shown_by(site: CallSite, kind: str) -> tuple[Taint | None, str]:
    """Return the taint in unescaped markup or in the source of a template, and what it becomes."""
    typed = _TYPED.get(site.path)
    content = site.argument(0, "content")
    if (
        site.path in _MARKUP
        or (typed and site.says(typed) == "text/html")
        or (site.path in _IF_TAGS and "<" in content.text)
    ):
        return content.tainted(kind, "html"), "shown as unescaped markup"
    if site.says("unsafe_allow_html") is True:
        return site.argument(0, "body").tainted(kind, "html"), "shown as unescaped markup"
    if site.path in _TEMPLATES or (site.tail == "from_string" and "." in site.path):
        return site.argument(0, "source").tainted(kind), "compiled as a template"
    return None, ""


# --- addresses and files

_FETCH = re.compile(
    r"(requests|httpx)(\.(Session|Client|AsyncClient|session)\(\))?\.(get|post|put|patch|delete|head|request|stream)"
    r"|urllib\.request\.(urlopen|urlretrieve|Request)|aiohttp\.(ClientSession\(\)\.)?(get|post|put|request)"
    r"|urllib3\.PoolManager\(\)\.request|wget\.download|gdown\.download"
    r"|langchain[\w.]*\.WebBaseLoader|[\w.?()]*\b(page|driver|browser)(\(\))?\.(goto|get)"
)
_FIXED_HOST = re.compile(r"https?://[^/{?#]+[/?]")
_OPEN = {
    "open": 0, "io.open": 0, "codecs.open": 0, "gzip.open": 0, "aiofiles.open": 0, "os.remove": 0, "os.unlink": 0,
    "os.rmdir": 0, "shutil.rmtree": 0, "shutil.move": 1, "shutil.copy": 0, "shutil.copyfile": 0, "os.rename": 1,
    "os.listdir": 0, "os.makedirs": 0, "os.mkdir": 0, "zipfile.ZipFile": 0, "tarfile.open": 0, "sqlite3.connect": 0,
    "torch.load": 0, "joblib.load": 0, "numpy.load": 0, "pickle.load": 0, "onnxruntime.InferenceSession": 0,
    "keras.models.load_model": 0, "keras.saving.load_model": 0, "safetensors.torch.load_file": 0, "onnx.load": 0,
    "safetensors.safe_open": 0, "torch.save": 1, "torch.jit.load": 0, "xgboost.Booster().load_model": 0,
    "llama_cpp.Llama": 0, "flask.send_file": 0, "fastapi.responses.FileResponse": 0, "PIL.Image.open": 0,
    "starlette.responses.FileResponse": 0, "fastapi.FileResponse": 0, "aiohttp.web.FileResponse": 0,
    "pandas.read_csv": 0, "pandas.read_parquet": 0, "mlflow.pyfunc.load_model": 0, "cv2.imread": 0,
    "shutil.copytree": 0, "os.open": 0, "joblib.dump": 1, "numpy.save": 0,
}  # fmt: skip
_PATH_METHODS = frozenset(
    ["read_text", "read_bytes", "write_text", "write_bytes", "unlink", "open", "rmdir", "rename", "mkdir"]
)
_MEMORY = (".file", ".stream", ".read()", ".files", "BytesIO()", ".content", ".body", "StringIO()")


_FROM_BYTES = frozenset(
    ["torch.load", "joblib.load", "numpy.load", "pickle.load", "PIL.Image.open", "pandas.read_csv", "zipfile.ZipFile",
     "pandas.read_parquet", "onnxruntime.InferenceSession", "onnx.load", "torch.jit.load", "flask.send_file",
     "gzip.open"]
)  # fmt: skip
"""Calls that take an open file or bytes where others take a path."""


def _in_memory(value: Value) -> bool:
    return value.path.startswith(("io.", "open()", "gzip.")) or value.path.endswith(_MEMORY)


@lru_cache(maxsize=8192)
def _fetches(path: str) -> bool:
    return _FETCH.fullmatch(path) is not None


def addressed_by(site: CallSite, kind: str) -> Taint | None:
    """Return the taint that chooses the host a request goes to."""
    if not _fetches(site.path):
        return None
    address = site.argument(1 if site.tail in ("request", "stream") else 0, "url")
    return None if _FIXED_HOST.match(address.text) else address.tainted(kind)


def opened_by(site: CallSite, kind: str) -> Taint | None:
    """Return the taint that chooses a file which is opened, written or removed."""
    position = _OPEN.get(site.path)
    if position is not None:
        named = site.argument(position, "path" if "Response" in site.path else "file")
        return None if site.path in _FROM_BYTES and _in_memory(named) else named.tainted(kind, "path")
    if site.tail in _PATH_METHODS and site.receiver.path.startswith("pathlib."):
        return site.receiver.tainted(kind, "path")
    if site.tail == "save" and ".files" in site.path:
        return site.argument(0).tainted(kind, "path")
    return None
