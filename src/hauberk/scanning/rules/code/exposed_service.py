"""Serving a model or its dashboard to everyone who can reach the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Edit
from hauberk.scanning.fixing import set_keyword
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import UNKNOWN, CallSite, Value

_EVERYWHERE = ("0.0.0.0", "::", "[::]")  # noqa: S104 - what is looked for
_GRADIO = re.compile(r"gradio\.\w+\(\)(\.queue\(\))?\.launch")
_FLASK = re.compile(
    r"(flask|quart|dash|bottle)\.(\w+\(\)\.)?(run|run_server)|\?app\.run|\?application\.run"
    r"|flask_socketio\.\w+\(\)\.run"
)
_SERVERS = frozenset(
    ["uvicorn.run", "uvicorn.Config", "waitress.serve", "hypercorn.run", "granian.Granian", "litserve.run",
     "aiohttp.web.run_app", "litserve.LitServer().run", "http.server.HTTPServer", "socketserver.TCPServer",
     "mcp.server.fastmcp.FastMCP", "fastmcp.FastMCP", "bentoml.serve", "ray.serve.start", "gevent.pywsgi.WSGIServer",
     "wsgiref.simple_server.make_server", "xmlrpc.server.SimpleXMLRPCServer", "http.server.ThreadingHTTPServer",
     "sanic.Sanic().run", "mcp.server.fastmcp.FastMCP().run",
     "fastmcp.FastMCP().run", "flower.run", "chainlit.run", "nicegui.ui.run", "streamlit.web.bootstrap.run"]
)  # fmt: skip
_RPC = re.compile(
    r"(multiprocessing\.managers\.BaseManager|rpyc[\w.]*Server|torch\.distributed\.rpc\.init_rpc|dask\.distributed\.\w+)"
)
_GRPC = re.compile(r"grpc\.(aio\.)?server\(\)\.add_insecure_port")
_COMMAND = re.compile(
    r"\b(mlflow\s+(ui|server|models)|jupyter[\w -]*|tensorboard|ray\s+start|streamlit\s+run|vllm\s+serve"
    r"|vllm\.entrypoints[\w.]*"
    r"|ollama\s+serve|text-generation-launcher|uvicorn|gunicorn|llama-server"
    r"|python3?\s+-m\s+(sglang|llama_cpp\.server|http\.server)"
    r"|sglang[\w.]*|tritonserver|torchserve|bentoml\s+serve|chainlit\s+run|label-studio|airflow\s+webserver|fastapi\s+run"
    r"|tensorflow_model_server|langflow\s+run|open-webui\s+serve|redis-server)\b"
    r"[\s\S]*?(0\.0\.0\.0|--bind_all|--ip[= ]'?\*|\[::\])"
)
_NO_TOKEN = re.compile(
    r"(NotebookApp|ServerApp|IdentityProvider)\.(token|password)=(''|\"\"|\s|$)|--disable_auth|--no-auth\b"
)
_PROCESS = re.compile(r"subprocess\.\w+|os\.(system|popen)|get_ipython\(\)\.system|asyncio\.create_subprocess_\w+")
_AUTH = re.compile(
    r"(?i)\b(HTTPBearer|APIKeyHeader|OAuth2\w*|HTTPBasic|Security\(|login_required|jwt|verify_token|api_key|authenticat\w*"
    r"|authori[sz]\w*|require_auth|check_auth|AuthMiddleware|BasicAuth|current_user|ssl_cert_reqs|mtls)\b"
)


class _Fault(NamedTuple):
    message: str
    fix: str
    severity: Severity
    edits: tuple[Edit, ...] = ()


class ExposedService:
    """Find model servers, demos and dashboards bound to all interfaces, shared publicly or left in debug mode.

    A Ray, MLflow or Jupyter port runs code for whoever reaches it; a shared demo is a public address in front of your
    model; Flask's debugger is a Python console. Bind to loopback, put a gateway with authentication before it
    (`hauberk serve`), and never ship debug mode.

    Bad:

        demo.launch(share=True)
        app.run(host="0.0.0.0", debug=True)

    Good:

        demo.launch(auth=(user, password))
        uvicorn.run(app, host="127.0.0.1")
    """

    card: ClassVar[Card] = Card(
        title="Exposed service",
        summary="A model server, demo or dashboard is open to the network without protection.",
        paper="CWE-668, CWE-306, CWE-489; OWASP LLM10; MITRE ATLAS AML.T0049",
        threats=("CWE-668", "CWE-306", "AML.T0049"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that starts a server."""
        guarded = artifact.source is not None and _AUTH.search(artifact.source.text) is not None
        for site in program_of(artifact).calls:
            for fault in _judge(site, guarded):
                yield Draft(
                    message=fault.message, fix=fault.fix, severity=fault.severity, place=site.place, edits=fault.edits
                )


def _judge(site: CallSite, guarded: bool) -> Iterator[_Fault]:
    if _GRADIO.fullmatch(site.path) or (site.tail == "launch" and site.says("share") is True):
        yield from _gradio(site)
    elif _FLASK.fullmatch(site.path) or (site.tail in ("run", "run_server") and site.says("debug") is True):
        yield from _flask(site, guarded)
    elif site.path.endswith((".debug =", "[DEBUG] =")) and site.path.startswith(("flask.", "?app")):
        if site.arguments[0].constant is True:
            yield _Fault("debug mode serves a Python console", "drop it; take it from the environment", "medium")
    elif site.path in _SERVERS and (_open(site, "host") or _address(site)):
        yield _everywhere("the server listens on all interfaces", site, guarded)
    elif _RPC.match(site.path) and (_open(site, "host") or _open(site, "hostname") or _address(site)):
        yield _Fault("a server that runs calls for anyone listens on all interfaces", _BIND, "high")
    elif _GRPC.fullmatch(site.path) and site.argument(0).text.startswith(_EVERYWHERE):
        yield _everywhere("the server listens on all interfaces without TLS", site, guarded)
    elif site.path == "ray.init" and _open(site, "dashboard_host"):
        message = "Ray's dashboard, which runs jobs for anyone, listens on all interfaces"
        yield _Fault(message, "leave dashboard_host out", "high", _loopback(site, "dashboard_host"))
    elif site.path.endswith((".token =", ".password =")) and _is_jupyter(site.path):
        if site.arguments[0].constant == "":
            yield _Fault("Jupyter runs without a token: anyone who reaches it runs code", "leave the token on", "high")
    elif site.path.endswith("[OLLAMA_HOST] =") and str(site.arguments[0].constant).startswith(_EVERYWHERE):
        yield _Fault("Ollama, which asks for no password, listens on all interfaces", _BIND, "medium")
    elif _PROCESS.fullmatch(site.path) or site.path.endswith((".configure", ".TensorBoard().configure")):
        yield from _command(site)


_BIND = "bind it to 127.0.0.1, behind a gateway that authenticates"


def _everywhere(message: str, site: CallSite, guarded: bool) -> _Fault:
    """Word a server on all interfaces: in a file that speaks of authentication it is a matter of deployment."""
    severity: Severity = "low" if guarded else "medium"
    return _Fault(
        message + ("" if guarded else ", and nothing here authenticates"), _BIND, severity, _loopback(site, "host")
    )


def _loopback(site: CallSite, keyword: str) -> tuple[Edit, ...]:
    return set_keyword(site, keyword, '"127.0.0.1"') if _open(site, keyword) else ()


def _is_jupyter(path: str) -> bool:
    return any(name in path for name in ("NotebookApp", "ServerApp", "IdentityProvider"))


def _open(site: CallSite, keyword: str) -> bool:
    return site.says(keyword) in _EVERYWHERE


def _address(site: CallSite) -> bool:
    """Tell a first argument such as ("", 8000), "0.0.0.0", or a keyword address=("0.0.0.0", 1)."""
    first: Value = site.argument(0, "address")
    host = first.entries[0][1] if first.entries else first
    return host.constant in _EVERYWHERE or (bool(first.entries) and host.constant == "")


def _gradio(site: CallSite) -> Iterator[_Fault]:
    guarded = site.keyword("auth") is not None and site.says("auth") is not None
    if site.says("share") is True:
        yield _Fault(
            "share=True opens the demo to the whole internet" + (", behind a password" if guarded else ""),
            "drop share=True, or serve it behind an authenticating gateway",
            "low" if guarded else "high",
            set_keyword(site, "share", "False"),
        )
    if _open(site, "server_name") and not guarded:
        message = "the demo listens on all interfaces without auth"
        yield _Fault(message, "drop server_name or pass auth=", "medium", _loopback(site, "server_name"))


def _flask(site: CallSite, guarded: bool) -> Iterator[_Fault]:
    open_host = _open(site, "host") or site.argument(0).constant in _EVERYWHERE
    if site.says("debug") is True:
        where = " on all interfaces" if open_host else ""
        yield _Fault(
            f"debug mode serves a Python console{where}",
            "drop debug=True; take it from an environment variable in development only",
            "high" if open_host else "medium",
            (*set_keyword(site, "debug", "False"), *_loopback(site, "host")),
        )
    elif open_host:
        yield _everywhere("the development server listens on all interfaces", site, guarded)


def _command(site: CallSite) -> Iterator[_Fault]:
    command = site.argument(0, "args")
    if not command.entries and not command.text:
        command = site.keyword("argv") or command
    words = [str(item.constant) for _, item in command.entries if item.constant is not UNKNOWN]
    text = command.text or " ".join(words)
    if "configure" in site.path:
        text = f"tensorboard {text}"
    match = _COMMAND.search(text)
    if match is not None:
        yield _Fault(f"{match[1].split()[0]} is started on all interfaces", _BIND, "medium")
    if _NO_TOKEN.search(text):
        yield _Fault("Jupyter runs without a token: anyone who reaches it runs code", "leave the token on", "high")
