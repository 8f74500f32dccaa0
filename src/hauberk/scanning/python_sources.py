"""Who steers a value from outside a Python program: language models, agents, users, data files; and what makes it safe.

Names are resolved paths as in `python_values`. "Sure" where the library is known, not sure where only a name says so.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hauberk.scanning.python_values import CallSite, Taint, Value, tail_of

_MODEL_CALL = re.compile(
    r"openai\.(ChatCompletion|Completion)\.a?create"
    r"|openai\.((Async)?(Azure)?OpenAI\(\)\.)?(beta\.)?(chat\.completions|completions|responses)\.(create|parse|stream)"
    r"|openai\.\w+\(\)\.beta\.threads\.(messages\.list|runs\.\w+)|(groq|together|cerebras[\w.]*|xai_sdk)\.\w+\(\)[\w.()]*\.create"
    r"|anthropic\.(Async)?Anthropic\w*\(\)\.(beta\.)?(messages\.(create|stream)|completions\.create)"
    r"|litellm\.(a?completion|a?text_completion|a?responses)"
    r"|ollama\.((Async)?Client\(\)\.)?(chat|generate)"
    r"|cohere\.\w+\(\)\.(chat|generate|chat_stream)"
    r"|replicate\.(run|stream|Client\(\)\.run)"
    r"|mistralai[\w.]*\(\)\.(chat|chat\.complete|chat\.stream)"
    r"|huggingface_hub\.(Async)?InferenceClient\(\)\.(text_generation|chat_completion|conversational)"
    r"|(google\.generativeai|vertexai|google\.genai)[\w.()]*\.(generate_content|generate_content_async|send_message"
    r"|generate_text|predict)"
    r"|google\.generativeai\.generate_text"
    r"|transformers\.pipeline\(\)(\(\))?"
    r"|transformers\.\w+\.from_pretrained\(\)[\w.()]*\.(generate|chat)"
    r"|vllm\.LLM\(\)\.(generate|chat)"
    r"|llama_cpp\.Llama(\.from_pretrained)?\(\)(\.create_completion|\.create_chat_completion)?"
    r"|langchain[\w.]*\.(\w*Chat\w*|\w*LLM\w*|\w*Chain|\w*OpenAI|\w*Anthropic|\w*Agent\w*|\w*_agent|Ollama|HuggingFace\w*"
    r"|init_chat_model|chain)(\.from_\w+)?\(\)(\.with_\w+\(\)|\.bind\w*\(\))*"
    r"(\.(a?invoke|a?predict|a?run|a?generate|a?batch|a?stream|call|acall|predict_messages))?"
    r"|llama_index[\w.()]*\.(a?query|a?chat|a?complete|a?predict|stream_chat|stream_complete)"
    r"|(smolagents|crewai|autogen|dspy)[\w.]*\(\)(\.(run|kickoff|generate_reply|initiate_chat|forward))?"
    r"|[^ ]*\.(chat\.completions\.(create|parse)|responses\.create|generate_content(_async)?|create_chat_completion"
    r"|invoke_model|converse"
    r"|as_query_engine\(\)\.query|as_chat_engine\(\)\.chat)"
)
_MODEL_NAME = re.compile(
    r"(\w*_)?(llm|chat_?model|language_?model|llm_?chain|gpt\w*|claude|chatgpt|openai_client)", re.I
)
_AGENT_NAME = re.compile(r"(\w*_)?(agent|chain|agent_executor|query_engine)", re.I)
_ASK = frozenset(
    ["invoke", "ainvoke", "predict", "apredict", "generate", "agenerate", "complete", "acomplete", "chat", "achat",
     "run", "arun", "query", "call", "ask", "prompt", "send_message", "create_completion", "text_generation",
     "completion", "acompletion", "respond", "answer", "stream", "astream", "batch"]
)  # fmt: skip
_ASK_MODEL = frozenset(["generate", "chat", "invoke", "ainvoke", "complete", "ask", "generate_text", "agenerate"])
_ASK_FUNCTION = re.compile(
    r"_?(ask|call|query|invoke|prompt|complete|run|request)_?(the_|an_)?(llm|gpt\w*|claude|openai|chatgpt|language_model)\w*"
    r"|_?(llm|gpt|claude|chatgpt)_(complete|completion|call|query|generate|chat|answer|response|reply)\w*"
    r"|_?(generate|get)_(completion|chat_completion|llm_\w+|gpt_\w+)|chat_completion",
    re.I,
)
_MODEL_URL = re.compile(
    r"/v1/(chat/)?completions|/v1/(messages|responses)\b|/api/(generate|chat)\b|api\.openai\.com|api\.anthropic\.com"
    r"|:generateContent|api-inference\.huggingface\.co|api\.mistral\.ai|api\.groq\.com|api\.cohere"
)
_POST = re.compile(r"(requests|httpx)(\.(Session|Client|AsyncClient)\(\))?\.(post|request)")
_REQUEST = re.compile(
    r"(flask|quart|bottle)\.request\.(args|form|json|data|values|cookies|headers|files|query_string|query|forms"
    r"|get_json|get_data)"
    r"|\?request\.(GET|POST|FILES|body|data|query_params|path_params|match_info|query|args|form|forms|files|json|get_json"
    r"|get_data|post|text|read|COOKIES|cookies|headers|values)"
    r"|:\w+\(\)\.request\.(GET|POST|FILES|data|body|query_params|headers|body_file)"
    r"|:\w+\(\)\.rfile|\?(update\.)?message\.(text|content)"
)
_ASKED = re.compile(
    r"input|(streamlit|st)\.(sidebar\.)?(text_input|text_area|chat_input|file_uploader)|click\.prompt"
    r"|\?(websocket|ws)\.(receive_text|receive_json|receive|recv)|fastapi\.WebSocket\(\)\.receive_(text|json|bytes)"
    r"|chainlit\.AskUserMessage\(\)\.send|:\w+\(\)\.get_(query_)?arguments?"
)
_FETCHED = re.compile(
    r"(requests|httpx|cloudscraper)(\.(Session|Client|AsyncClient)\(\))?\.(get|request)"
    r"|aiohttp\.ClientSession\(\)\.get|urllib\.request\.urlopen"
    r"|langchain[\w.]*\.\w*Loader(\.from_\w+)?\(\)\.(a?load|load_and_split|lazy_load)|imaplib\.\w+\(\)\.fetch"
    r"|.*\.(similarity_search(_with_score)?|get_relevant_documents|as_retriever\(\)\.a?invoke)"
    r"|(\?|.*[._])(retriever|vector_?store|vector_?db)(\(\))?\.(a?invoke|search|query|retrieve|a?get_relevant_documents)"
    r"|email\.message_from_\w+|trafilatura\.(extract|fetch_url)|newspaper\.Article|llama_index[\w.]*Reader\(\)\.load_data"
    r"|playwright[\w.()]*\.(content|inner_text)|slack_sdk[\w.()]*\.conversations_history|wikipedia\.(page|summary)"
)
_ENVIRONMENT = re.compile(r"os\.(environ\.get|getenv|environ\.__getitem__)|decouple\.config|\??getenv")
_SECRET_NAME = re.compile(
    r"(?i)([a-z0-9_]*_)?(api_?key|secret(_?key)?|access_?key|private_?key|password|passwd|pwd|(access|auth|api|bearer|hf|refresh)"
    r"_?token|token|credentials?|connection_?string|database_url|dsn)"
)
_FILE_DATA = re.compile(
    r"(omegaconf\.)?OmegaConf\.load|json\.loads?|yaml\.(safe_load|load|unsafe_load|full_load)|tomllib\.loads?|toml\.loads?"
    r"|torch\.load"
)
_ROUTE = re.compile(r".*\.(get|post|put|patch|delete|route|websocket|api_route)\(\)")
_TOOL = re.compile(
    r"(.*\.)?(tool|function_tool|kernel_function|register_for_execution|register_for_llm|ai_callable|tool_plain"
    r"|llm_tool|beta_tool|ai_function|skill|call_tool)(\(\))?"
)
_TOOL_MAKER = re.compile(
    r"(langchain[\w.]*\.(Tool|StructuredTool)(\.from_function)?|llama_index[\w.]*\.FunctionTool\.from_defaults"
    r"|autogen[\w.]*\.(register_function|FunctionTool)|haystack[\w.]*\.Tool)"
)
_FORM_MAKER = re.compile(r"gradio\.(Interface|ChatInterface)|gradio\.\w+\(\)\.(click|submit|change|upload)")
_SAID_BY_MODEL = re.compile(
    r"(llm|gpt|ai|assistant|claude|agent|chatbot|completion|model)_(output|response|answer|reply|completion|message|text"
    r"|code|sql|query|command|cmd|html|json|result|generated\w*)|(generated|suggested)_(code|sql|query|command|script|html"
    r"|text)|tool_(input|args|arguments|call)",
    re.I,
)
_NAMED_TEXT = re.compile(r"(.*_)?model_(code|result|message|query)", re.I)
_SAID_BY_USER = re.compile(
    r"(user|customer|client|visitor)_(input|message|msg|query|prompt|text|question|content)|untrusted_\w+", re.I
)
_INJECTED = frozenset({"self", "cls", "db", "session", "response", "background_tasks", "settings", "client", "app"})


@lru_cache(maxsize=8192)
def _kind(path: str) -> str:
    """Name the kind of source a path is, from the path alone."""
    if _MODEL_CALL.fullmatch(path):
        return "model"
    if path.endswith(".messages.create"):
        return "messages"
    if _POST.fullmatch(path):
        return "post"
    if _guessed(path):
        return "guessed"
    if _ASKED.fullmatch(path):
        return "asked"
    if _FETCHED.fullmatch(path):
        return "document"
    if _ENVIRONMENT.fullmatch(path):
        return "environment"
    return "file" if _FILE_DATA.fullmatch(path) else ""


def answer(site: CallSite) -> Taint | None:
    """Return the taint of a call's result where the call itself brings outside data in."""
    path, line = site.path, site.place.line or 0
    kind = _kind(path)
    if not kind:
        return None
    if kind == "model":
        return Taint("model", f"a language model answers {shown(path)}()", line)
    if kind == "messages" and site.keyword("model") is not None and site.keyword("max_tokens") is not None:
        return Taint("model", f"a language model answers {shown(path)}()", line)
    if kind == "post" and any(_MODEL_URL.search(value.text) for value in _values(site)):
        return Taint("model", f"a language model answers {shown(path)}()", line)
    if kind == "guessed":
        return Taint("model", f"by its name a language model answers {shown(path)}()", line, sure=False)
    if kind == "asked":
        return Taint("request", f"a user types {shown(path)}()", line)
    if kind == "document":
        return Taint("document", f"{shown(path)}() fetches a text others wrote", line)
    if kind == "environment":
        name = site.argument(0).constant
        return secret(name, line) if isinstance(name, str) else None
    if kind == "file":
        own = isinstance(site.argument(0).constant, str) and not path.endswith("loads")
        return Taint("config", f"{shown(path)}() reads a data file", line, sure=not own)
    return None


def attribute(path: str, line: int) -> Taint | None:
    """Return the taint of an attribute that holds what a user sent."""
    if "request." in path and _REQUEST.fullmatch(path):
        return Taint("request", f"a user sends {shown(path)}", line)
    return None


def secret(name: str, line: int) -> Taint | None:
    """Return the taint of an environment variable that holds a key or password, by its name."""
    return Taint("secret", f"the environment holds {name}", line) if _SECRET_NAME.fullmatch(name) else None


def parameter(name: str, decorators: tuple[str, ...], function: str, line: int) -> Taint | None:
    """Return the taint of a function's parameter, by the decorators that hand the function to an agent or a router."""
    if name in _INJECTED:
        return None
    if any(_TOOL.fullmatch(path) for path in decorators):
        return Taint("model", f"an agent fills in {name} of its tool {function.lstrip(':')}", line)
    if any(_ROUTE.fullmatch(path) for path in decorators):
        return Taint("request", f"a user sends {name} to {function.lstrip(':')}", line)
    if _SAID_BY_USER.fullmatch(name):
        return Taint("request", f"by its name {name} comes from a user", line, sure=False)
    if _SAID_BY_MODEL.fullmatch(name) and not _NAMED_TEXT.fullmatch(name):
        return Taint("model", f"by its name {name} comes from a language model", line, sure=False)
    if name == "event" and function.rsplit(".", 1)[-1].lstrip(":") in ("lambda_handler", "handler"):
        return Taint("request", "a user sends the event", line)
    return None


def handed(site: CallSite) -> tuple[Value, str] | None:
    """Return a function that the call hands to an agent ("model") or to a form ("request"), and which of the two."""
    if _made(site.path) == "tool":
        function = site.keyword("func") or site.keyword("fn") or site.keyword("function")
        functions = [value for value in site.arguments if value.path.startswith(":")]
        return (function or (functions[0] if functions else Value()), "model")
    if _made(site.path) == "form":
        return (site.argument(0, "fn"), "request")
    return None


@lru_cache(maxsize=8192)
def _made(path: str) -> str:
    if _TOOL_MAKER.fullmatch(path):
        return "tool"
    return "form" if _FORM_MAKER.fullmatch(path) else ""


def is_runnable(value: Value) -> bool:
    """Tell whether calling or piping the value asks a language model."""
    return _MODEL_CALL.fullmatch(value.path) is not None or _MODEL_NAME.fullmatch(tail_of(value.path)) is not None


def shown(path: str) -> str:
    """Write a path for people."""
    return path.replace("?", "").lstrip(":") or "it"


def _guessed(path: str) -> bool:
    if path.startswith(":"):
        return False
    base, _, tail = path.rpartition(".")
    if tail in _ASK and base:
        holder = tail_of(base)
        if _MODEL_NAME.fullmatch(holder) or (tail in _ASK_MODEL and holder == "model"):
            return True
        return tail in ("run", "arun", "invoke", "ainvoke", "query", "ask") and bool(_AGENT_NAME.fullmatch(holder))
    name = tail_of(path)
    return _ASK_FUNCTION.fullmatch(name) is not None or (path.startswith("?") and bool(_MODEL_NAME.fullmatch(path[1:])))


def _values(site: CallSite) -> list[Value]:
    return [*site.arguments, *(value for _, value in site.keywords)]
