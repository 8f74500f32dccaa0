"""Settings, variables and flags of model servers that open them to anyone, as one table."""

from __future__ import annotations

import re
from typing import NamedTuple

from hauberk.core.evidence import Severity

_ALL = r"(?:https?://)?(?:0\.0\.0\.0|\[?::\]?(?=$|[\s:/\"'])|\*(?=$|[\s:\"']))"
_COMMAND = ("RUN", "CMD", "ENTRYPOINT")
_SETTING = ("SETTING",)


class Fault(NamedTuple):
    """What an instruction must not say. keywords: the instructions it is looked for in. unless: what excuses it."""

    keywords: tuple[str, ...]
    pattern: re.Pattern[str]
    message: str
    fix: str
    severity: Severity
    unless: re.Pattern[str] | None = None


def _fault(
    keywords: tuple[str, ...], pattern: str, message: str, fix: str, severity: Severity, unless: str = ""
) -> Fault:
    return Fault(keywords, re.compile(pattern), message, fix, severity, re.compile(unless) if unless else None)


FAULTS = (
    _fault(_SETTING, rf"^management_address={_ALL}", "TorchServe's management is open: whoever reaches it loads models,"
           " and models run code (ShellTorch)", "bind management_address to 127.0.0.1", "high"),
    _fault(_SETTING, r"^enable_model_api=true", "TorchServe lets clients register models, and models run code",
           "leave enable_model_api off and load models at start", "medium"),
    _fault(_SETTING, r"^install_py_dep_per_model=true", "TorchServe installs the packages a model archive asks for",
           "leave install_py_dep_per_model off; build them into the image", "medium"),
    _fault(_SETTING, r"^disable_token_authorization=true", "TorchServe's token authorization is switched off",
           "leave it on", "medium"),
    _fault(_SETTING, r"^allowed_urls=.*(?:\.\*|https?\|file|http://\.\*)", "TorchServe loads models from any address"
           " (CVE-2023-43654)", "list the one address models come from", "medium"),
    _fault(_SETTING, rf"^metrics_address={_ALL}", "TorchServe's metrics are open", "bind them to 127.0.0.1", "low"),
    _fault(_SETTING, r"^cors_allowed_origin=\*", "TorchServe answers scripts of every web site", "name the "
        "origin", "low"),
    _fault(_COMMAND, r"\btritonserver\b[^\n]{0,500}--model-control-mode[= ](?:explicit|poll)", "Triton lets "
        "clients load and"
           " unload models over its API", "leave --model-control-mode at none", "medium",
           r"--(?:http|grpc)-restricted-(?:api|protocol)|--allow-http[= ](?:false|0)|--http-address[= ]127\."),
    _fault(_COMMAND, r"\btritonserver\b[^\n]{0,500}--(?:backend-config"
        r"|allow-vertex-ai)[= ]\S*shm-region-prefix", "Triton's"
           " shared memory regions have a name that others can open (CVE-2025-23319)", "leave the prefix at its default"
           " and update Triton", "low"),
    _fault(_SETTING, r"^triton\.parameters\.EXECUTION_ENV_PATH=(?!\$\$TRITON_MODEL_DIRECTORY|/)\S",
           "Triton's Python backend unpacks an environment from elsewhere", "ship it in the model's folder", "medium"),
    _fault(_SETTING, r"^triton\.backend=python$", "this model is a Python program that Triton runs",
           "read and seal its model.py", "info"),
    _fault(_SETTING, r"(?:NotebookApp|ServerApp|IdentityProvider|PasswordIdentityProvider|LabApp)\.(?:token"
        r"|hashed_password"
           r"|password)=(?:$|''|\"\"|null$|None$)", "Jupyter is configured without a token: whoever reaches it "
           "runs code",
           "leave the token on", "high"),
    _fault(_SETTING, rf"(?:NotebookApp|ServerApp|JupyterHub)\.(?:ip|hub_ip|bind_url)={_ALL}", "Jupyter listens on all"
           " interfaces", "bind it to 127.0.0.1, and reach it through a tunnel", "low"),
    _fault(_SETTING, r"(?:NotebookApp|ServerApp|LabApp)\.(?:allow_origin=\*|allow_origin_pat=\.\*"
        r"|disable_check_xsrf=(?i:true)"
           r"|allow_remote_access=(?i:true).*\*)", "Jupyter answers scripts of every web site", "name the "
           "origin", "medium"),
    _fault(_SETTING, r"(?:NotebookApp|ServerApp|LabApp)\.allow_root=(?i:true)", "Jupyter runs as root",
           "run it as a user", "low"),
    _fault(_SETTING, r"JupyterHub\.authenticator_class=.*(?i:dummy|null)", "JupyterHub lets everybody in",
           "use a real authenticator", "high"),
    _fault(("ENV",), r"^OLLAMA_ORIGINS=[\"']?\*", "Ollama answers scripts of every web site", "name the "
        "origin", "medium"),
    _fault(("ENV",), r"(?i)^AUTHENTICATION_APIKEY_ENABLED=[\"']?false", "Weaviate's keys are switched off",
           "leave them on", "medium"),
    _fault(("ENV",), r"(?i)^AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=[\"']?true", "Weaviate lets everybody in",
           "switch anonymous access off and keys on", "medium"),
    _fault(("ENV",), r"(?i)^ALLOW_RESET=[\"']?true", "Chroma lets every client delete everything", "leave it "
        "off", "medium"),
    _fault(("ENV",), r"(?i)^WEBUI_AUTH=[\"']?(?:false|0)", "Open WebUI lets everybody in", "leave WEBUI_AUTH "
        "on", "high"),
    _fault(("ENV",), r"(?i)^(?:LANGFLOW_AUTO_LOGIN|LANGFLOW_SKIP_AUTH_AUTO_LOGIN)=[\"']?(?:true|1)", "Langflow lets"
           " everybody in, and flows run code (CVE-2025-3248)", "set LANGFLOW_AUTO_LOGIN=false", "high"),
    _fault(("ENV",), r"(?i)^N8N_BASIC_AUTH_ACTIVE=[\"']?false|^N8N_USER_MANAGEMENT_DISABLED=[\"']?true", "n8n lets"
           " everybody in", "leave its users on", "high"),
    _fault(("ENV",), r"(?i)^(?:xpack\.security\.enabled|DISABLE_SECURITY_PLUGIN)=[\"']?(?:false(?=$|\")|true(?=$|\"))",
           "the search index lets everybody in", "leave its security on", "medium",
           r"(?i)xpack\.security\.enabled=[\"']?true|DISABLE_SECURITY_PLUGIN=[\"']?false"),
    _fault(("ENV",), r"(?i)^POSTGRES_HOST_AUTH_METHOD=[\"']?trust|^MYSQL_ALLOW_EMPTY_PASSWORD=[\"']?(?:yes|true|1)"
           r"|^ALLOW_EMPTY_PASSWORD=[\"']?yes", "the database lets everybody in", "set a password", "medium"),
    _fault(("ENV",), r"(?i)^(?:VLLM_ALLOW_RUNTIME_LORA_UPDATING|VLLM_SERVER_DEV_MODE|VLLM_ALLOW_INSECURE_SERIALIZATION)"
           r"=[\"']?(?:1|true)", "vLLM lets clients load adapters or reset the server, or reads "
           "pickles", "leave it off",
           "high"),
    _fault(("ENV", *_COMMAND), r"(?i)\b(?:TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD|TORCH_FORCE_WEIGHTS_ONLY_LOAD=0\b)",
           "torch.load is made to run what a checkpoint contains", "leave it out", "high",
           r"(?i)NO_WEIGHTS_ONLY_LOAD=[\"']?(?:0|false)"),
    _fault(("ENV",), r"(?i)^(?:FLASK_DEBUG|DEBUG|GRADIO_DEBUG|UVICORN_RELOAD)=[\"']?(?:1|true)", "the server "
        "runs in debug"
           " mode", "leave it off where others reach it", "low"),
    _fault(("ENV",), r"(?i)^GRADIO_ALLOWED_PATHS=[\"']?/(?:$|[\"',])|^GRADIO_ALLOWED_PATHS=.*(?:/etc|/root"
        r"|/home)(?:$|,)",
           "Gradio hands out every file", "name the one folder", "high"),
    _fault(_COMMAND, r"\b(?:uvicorn|gunicorn|hypercorn)\b[^\n]{0,500}--reload\b", "the server watches and "
        "reloads its source",
           "leave --reload out", "low"),
    _fault(_COMMAND, r"\bjupyter\b[^\n]{0,500}--allow-root\b", "Jupyter runs as root", "run it as a user", "low"),
    _fault(_COMMAND, r"\b(?:chroma\s+run|langflow\s+run|streamlit\s+run|text-generation-launcher|llama-server"
        r"|open-webui"
           rf"\s+serve)\b[^\n]{{0,500}}--(?:host|address|server\.address|hostname)[= ]{_ALL}", "the server listens on "
           "all interfaces",
           "bind it to 127.0.0.1, or put an authenticating gateway before it", "low", r"--api-key"),
    _fault(_COMMAND, r"\bllama-server\b[^\n]{0,500}--(?:slots|props)\b", "the server shows or changes its state for any"
           " client", "leave it off", "low"),
    _fault(_COMMAND, r"--allowed-local-media-path[= ]/(?:\s|$|\")", "the server reads any file a request names",
           "name the one folder", "high"),
    _fault(_SETTING, r"(?i)^(?:service\.)?(?:enable_)?(?:anonymous_?access|allow_anonymous)=true"
        r"|^auth(?:entication)?\.enabled=false",
           "the server lets everybody in", "switch its authentication on", "medium"),
    _fault(_SETTING, r"^nginx\.client_max_body_size=0$", "nginx takes bodies of any size", "bound it", "low"),
    _fault(_SETTING, r"^nginx\.autoindex=on", "nginx lists the folder's files", "leave autoindex off", "low"),
    _fault(_SETTING, r"^nginx\.ssl_protocols=.*\b(?:SSLv[23]|TLSv1(?:\.1)?)(?:\s|$)", "nginx speaks broken TLS",
           "allow TLSv1.2 and TLSv1.3", "medium"),
    _fault(_SETTING, r"^nginx\.proxy_ssl_verify=off", "nginx does not check who answers behind it",
           "set proxy_ssl_verify on with the authority's certificate", "low"),
)  # fmt: skip
