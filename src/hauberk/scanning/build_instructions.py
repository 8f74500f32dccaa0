"""What rules share about instructions: which run commands, which image a FROM names, which variables are secrets."""

from __future__ import annotations

import re

COMMANDS = ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK", "ONBUILD")
"""Instructions whose value is a command line; a script's and a notebook's commands are RUN too."""
_SECRET = re.compile(
    r"(?i)(?:.*[_.-])?(?:api_?key|apikey|secret|secret_?key|access_?key|private_?key|master_?key|encryption_?key|token|password"
    r"|passwd|pwd|pass|credentials?|auth|connection_?string|dsn)"
)
_HARMLESS = re.compile(
    r"(?i)(?:.*_)?(?:(?:eos|bos|pad|unk|mask|sep|cls|max|min|num|stop|image)_token|no_auth|require_auth)"
)
_STAND_IN = re.compile(
    r"(?i)^[$/@]|^\$\{|^<|^\.{0,2}/|^file:|\.(?:json|pem|txt|key|crt|ya?ml)$|^(?:false|true|none|null|yes|no|on|off|\d{1,5})$"
    r"|^(?:your|my|some|example|placeholder|replace|todo|redacted|dummy|fake|test)\b.*|^(?:basic|bearer|jwt|oauth2?|scram.*|md5)$"
    r"|change.?me|<.*>|\bx{3,}\b|\*{3,}|\.{3,}|_here$|\$\{|\$\(|\{\{|^vault:|^ssm:|^op:|^arn:|^projects/|^secretref|replace[_-]?"
    r"|EXAMPLE(?:KEY)?$|^Eby8vdM02xNO"  # the documented keys of AWS and of Azure's storage emulator
    r"|your[_-]|1234567890|^sha256:|^https?://[^:@]*$|not-?needed|^empty$|^sk-(?:no-key|dummy|fake|xxx).*"
)
_SHORTEST = 6


def image_of(value: str) -> str:
    """Return the image of `FROM [--platform=…] image [AS name]`."""
    words = [word for word in value.split() if not word.startswith("--")]
    return words[0] if words else ""


def secret_name(name: str) -> bool:
    """Say whether a variable's name promises a key, a token or a password."""
    plain = name.strip()
    return _SECRET.fullmatch(plain) is not None and _HARMLESS.fullmatch(plain) is None


def stand_in(value: str) -> bool:
    """Say whether a value is no secret: empty, a reference to one, a path, a word such as "changeme"."""
    return len(value) < _SHORTEST or _STAND_IN.search(value) is not None
