"""What a call does to what steers its arguments: drops it, makes it safe for one use, or carries it along."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from hauberk.scanning.python_conditions import PROMISES
from hauberk.scanning.python_values import CallSite, Taint, tail_of

_CLEAN = frozenset(
    ["int", "float", "bool", "len", "isinstance", "hash", "id", "abs", "round", "sum", "min", "max", "type", "range",
     "hashlib.sha256", "hashlib.md5", "hashlib.sha1", "hashlib.blake2b", "uuid.UUID", "callable", "hasattr",
     "issubclass", "datetime.datetime.fromisoformat", "ast.literal_eval", "decimal.Decimal", "uuid.uuid5",
     "enumerate().count", "hmac.new", "secrets.compare_digest", "hmac.compare_digest"]
)  # fmt: skip
_ESCAPES = {
    "html.escape": "html", "markupsafe.escape": "html", "flask.escape": "html", "bleach.clean": "html",
    "nh3.clean": "html", "cgi.escape": "html", "django.utils.html.escape": "html", "jinja2.escape": "html",
    "xml.sax.saxutils.escape": "html", "django.utils.html.format_html": "html", "markdown_it.escapeHtml": "html",
    "shlex.quote": "shell", "pipes.quote": "shell", "shlex.join": "shell",
    "werkzeug.utils.secure_filename": "path", "werkzeug.secure_filename": "path", "os.path.basename": "path",
    "ntpath.basename": "path", "posixpath.basename": "path", "slugify.slugify": "path",
    "werkzeug.utils.safe_join": "path", "flask.safe_join": "path", "pathvalidate.sanitize_filename": "path",
}  # fmt: skip
_TAILS = {"secure_filename": "path", "safe_join": "path", "slugify": "path", "basename": "path", "escape_html": "html"}
_CARRIES = re.compile(
    r"str|repr|format|dict|list|tuple|set|sorted|reversed|zip|map|filter|enumerate|iter|next|bytes|bytearray|print"
    r"|json\.(loads|dumps)|textwrap\.\w+|re\.\w+|copy\.(deep)?copy|urllib\.parse\.\w+|base64\.\w+|os\.path\.\w+"
    r"|(omegaconf\.)?OmegaConf\.\w+|str\.\w+|pathlib\.\w+|io\.(BytesIO|StringIO)|sqlalchemy\.(sql\.)?text|\w*\.?Path"
    r"|string\.Template(\(\)\.\w+)?|codecs\.\w+|zlib\.\w+|gzip\.\w+|os\.fspath|orjson\.\w+|ast\.parse|compile|SystemMessage|HumanMessage"
    r"|langchain[\w.]*\.\w*(Message|PromptTemplate)(\.from_\w+)?(\(\)\.\w+)?|numpy\.(array|asarray)|email\.\w+"
    r"|bs4\.BeautifulSoup(\(\)\.\w+)*|pypdf\.\w+|torch\.tensor"
)


def passed(site: CallSite, incoming: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """Return which of the taints that go into an unknown call come out of it.

    What a model said stays what a model said through any call; the rest only through what plainly carries text along,
    for the answer of a database to a user's question is not the user's.
    """
    if not incoming or site.path in _CLEAN:
        return ()
    escaped = _ESCAPES.get(site.path) or _TAILS.get(site.tail)
    if escaped is not None:
        return tuple(taint._replace(safe_for=taint.safe_for | {escaped}) for taint in incoming)
    if PROMISES.match(tail_of(site.path)):
        return judged(incoming)
    if site.tail == "get" and _is_table(site.node):
        return ()
    own = set(site.receiver.taints)
    carries = _carries(site.path)
    return tuple(taint for taint in incoming if taint.kind == "model" or carries or taint in own)


def _is_table(node: ast.Call | None) -> bool:
    """Tell a look-up in a constant of the program, by its name in capitals: what comes out was put there by it."""
    holder = node.func.value if node is not None and isinstance(node.func, ast.Attribute) else None
    return (
        isinstance(holder, ast.Name | ast.Attribute)
        and (holder.id if isinstance(holder, ast.Name) else holder.attr).isupper()
    )


def judged(taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """Note that a function whose name promises a check stood in the way."""
    return tuple(taint._replace(safe_for=taint.safe_for | {"judged"}) for taint in taints)


@lru_cache(maxsize=8192)
def _carries(path: str) -> bool:
    return _CARRIES.fullmatch(path) is not None


_CHECKS = re.compile(
    r".*\.verify|verify_\w+|(.*\.)?_?(verify|check|validate|assert)_?\w*(hash|sha|digest|checksum|signature|integrity)\w*"
)


@lru_cache(maxsize=8192)
def is_digest_check(path: str) -> bool:
    """Tell whether a call compares a digest or a signature."""
    return path in ("hmac.compare_digest", "secrets.compare_digest") or _CHECKS.fullmatch(path.lstrip(":?")) is not None


def is_digest(path: str) -> bool:
    """Tell whether a value is a digest: what hashlib gives, or what is called one."""
    if path.endswith((".hexdigest()", ".digest()")):
        return True
    return re.search(r"(?i)sha_?256|sha_?512|digest|checksum|file_?hash", path.rsplit(".", 1)[-1]) is not None
