"""Every code rule on bad programs, which it must name at the right severity, and on safe twins, which stay quiet."""

# ruff: noqa: E501 - a sample is easier to read in one line

from __future__ import annotations

import textwrap

import pytest

from hauberk.core.plugins import catalog

LLM = """
from openai import OpenAI
client = OpenAI()
def ask(question):
    reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": question}])
    return reply.choices[0].message.content
out = ask("hello")
"""

BAD = [
    # rule, severity, program
    ("obfuscated_code", "high", "import base64\nexec(base64.b64decode('cHJpbnQoMSk='))"),
    ("obfuscated_code", "high", "import zlib, base64\ncode = zlib.decompress(base64.b64decode(text))\nexec(code)"),
    ("obfuscated_code", "high", "import marshal\nexec(marshal.loads(blob))"),
    ("obfuscated_code", "high", "eval(compile(bytes.fromhex('31').decode(), 'a', 'eval'))"),
    (
        "model_module",
        "high",
        "import os\nfrom transformers import PreTrainedModel\nos.system('id')\nclass A(PreTrainedModel):\n    pass",
    ),
    (
        "model_module",
        "high",
        "import requests, diffusers\nrequests.get('https://example.org/x')\nclass A(diffusers.DiffusionPipeline):\n    pass",
    ),
    (
        "model_module",
        "medium",
        "import subprocess\nfrom transformers import PretrainedConfig\nclass A(PretrainedConfig):\n    def __init__(self):\n        subprocess.run(['id'])",
    ),
    ("model_module", "medium", "class EndpointHandler:\n    def __call__(self, data):\n        return eval(data['x'])"),
    ("unsafe_load", "high", "import pickle\npickle.load(open('m.pkl', 'rb'))"),
    ("unsafe_load", "high", "from pickle import loads as l\nl(data)"),
    ("unsafe_load", "high", "import cPickle as p\np.load(f)"),
    (
        "unsafe_load",
        "high",
        "import pickle\nclass M:\n    def read(self, f):\n        return pickle.Unpickler(f).load()",
    ),
    ("unsafe_load", "high", "import importlib\np = importlib.import_module('pickle')\np.loads(b)"),
    ("unsafe_load", "high", "import pickle\nf = getattr(pickle, 'loads')\nf(b)"),
    ("unsafe_load", "high", "from torch import load as l\nl('m.pt', weights_only=False)"),
    ("unsafe_load", "high", "import torch as t\nkw = {'weights_only': False}\nt.load('m.pt', **kw)"),
    (
        "unsafe_load",
        "high",
        "import torch, functools\nl = functools.partial(torch.load, weights_only=False)\nl('m.pt')",
    ),
    ("unsafe_load", "high", "import torch\nSAFE = False\ntorch.load('m.pt', weights_only=SAFE)"),
    ("unsafe_load", "high", "import torch, dill\ntorch.load('m.pt', pickle_module=dill)"),
    ("unsafe_load", "medium", "import torch\ntorch.load('m.pt', map_location='cpu')"),
    ("unsafe_load", "medium", "from torch import *\nload('m.pt')"),
    ("unsafe_load", "high", "import joblib\nmodel = joblib.load('m.joblib')"),
    ("unsafe_load", "high", "from sklearn.externals import joblib\njoblib.load('m')"),
    ("unsafe_load", "high", "import cloudpickle, dill\ndill.load(f)"),
    ("unsafe_load", "high", "import numpy as np\nnp.load('x.npy', allow_pickle=True)"),
    ("unsafe_load", "high", "import pandas as pd\npd.read_pickle('x.pkl')"),
    ("unsafe_load", "high", "import yaml\nyaml.load(f)"),
    ("unsafe_load", "high", "import yaml\nyaml.load(f, Loader=yaml.UnsafeLoader)"),
    ("unsafe_load", "medium", "import yaml\nyaml.load(f, yaml.FullLoader)"),
    ("unsafe_load", "high", "import tensorflow as tf\ntf.keras.models.load_model('m.keras', safe_mode=False)"),
    ("unsafe_load", "high", "import keras\nkeras.config.enable_unsafe_deserialization()"),
    ("unsafe_load", "high", "import skops.io as sio\nsio.load('m.skops', trusted=True)"),
    ("unsafe_load", "medium", "from skops.io import *\nload('m', trusted=get_untrusted_types(file='m'))"),
    (
        "unsafe_load",
        "high",
        "try:\n    import cloudpickle as pickle\nexcept ImportError:\n    import pickle\npickle.load(f)",
    ),
    (
        "remote_code",
        "high",
        "from transformers import AutoModel\nAutoModel.from_pretrained('a/b', trust_remote_code=True)",
    ),
    ("remote_code", "high", "build(**{'trust_remote_code': True})"),
    ("remote_code", "high", "import torch\ntorch.hub.load('owner/repo', 'resnet')"),
    ("unpinned_download", "medium", "from transformers import AutoModel as A\nA.from_pretrained('bert-base-uncased')"),
    ("unpinned_download", "medium", "from huggingface_hub import snapshot_download\nsnapshot_download('o/m')"),
    ("unpinned_download", "medium", "from datasets import load_dataset\nload_dataset('squad')"),
    ("unpinned_download", "medium", "from transformers import pipeline\npipeline('text-generation', model='gpt2')"),
    ("model_output_executed", "critical", LLM + "exec(out)"),
    ("model_output_executed", "critical", LLM + "def run(code):\n    exec(code)\nrun(out.strip())"),
    ("model_output_executed", "critical", LLM + "import re\nexec(re.search('```(.*)```', out).group(1))"),
    ("model_output_executed", "critical", LLM + "import subprocess as sp\nsp.run(out, shell=True)"),
    ("model_output_executed", "critical", LLM + "import subprocess\nsubprocess.run(['bash', '-c', out])"),
    ("model_output_executed", "critical", LLM + "import subprocess\nsubprocess.run(out.split())"),
    ("model_output_executed", "critical", LLM + "from os import system\nsystem(f'ls {out}')"),
    (
        "model_output_executed",
        "critical",
        LLM + "code = ''\nfor i in range(3):\n    eval(code)\n    code = ask('again')",
    ),
    (
        "model_output_executed",
        "critical",
        """
        import anthropic, json
        class Agent:
            def __init__(self):
                self.client = anthropic.Anthropic()
            def act(self, text):
                said = self.client.messages.create(model="m", max_tokens=9, messages=[])
                return json.loads(said.content[0].text)["code"]
            def go(self):
                exec(self.act("x"))
        """,
    ),
    (
        "model_output_executed",
        "critical",
        """
        from langchain_core.tools import tool
        import subprocess
        @tool
        def shell(command: str) -> str:
            return subprocess.check_output(command, shell=True)
        """,
    ),
    (
        "model_output_executed",
        "critical",
        """
        from langchain.tools import BaseTool
        class Sh(BaseTool):
            def _run(self, command):
                import os
                return os.popen(command).read()
        """,
    ),
    (
        "model_output_executed",
        "critical",
        """
        from langchain.agents import Tool
        def compute(expression):
            return eval(expression)
        tools = [Tool(name="calc", func=compute, description="x")]
        """,
    ),
    (
        "model_output_executed",
        "critical",
        """
        from langchain_openai import ChatOpenAI
        from langchain_core.prompts import ChatPromptTemplate
        chain = ChatPromptTemplate.from_template("write {x}") | ChatOpenAI()
        exec(chain.invoke({"x": "code"}).content)
        """,
    ),
    (
        "model_output_executed",
        "critical",
        """
        import requests
        r = requests.post("http://localhost:11434/api/generate", json={})
        exec(r.json()["response"])
        """,
    ),
    ("model_output_executed", "high", "def go(llm, q):\n    exec(llm.invoke(q))"),
    ("model_output_executed", "high", "from .chat import ask_llm\neval(ask_llm('1+1'))"),
    ("model_output_in_sql", "high", LLM + "import sqlite3\nc = sqlite3.connect('x')\nc.execute(out)"),
    ("model_output_in_sql", "high", LLM + "cursor.execute(f\"SELECT * FROM t WHERE name = '{out}'\")"),
    ("model_output_in_sql", "high", LLM + "import pandas as pd\npd.read_sql(out, engine)"),
    ("model_output_in_sql", "high", LLM + "from sqlalchemy import text\nsession.execute(text(out))"),
    ("model_output_in_html", "high", LLM + "from markupsafe import Markup\nMarkup(out)"),
    ("model_output_in_html", "high", LLM + "from flask import render_template_string\nrender_template_string(out)"),
    ("model_output_in_html", "high", LLM + "import streamlit as st\nst.markdown(out, unsafe_allow_html=True)"),
    (
        "model_output_in_html",
        "high",
        LLM + "from flask import Flask\napp = Flask('x')\n@app.route('/')\ndef page():\n    return f'<p>{ask(1)}</p>'",
    ),
    ("model_output_as_address", "medium", LLM + "import requests\nrequests.get(out)"),
    ("model_output_as_address", "medium", LLM + "import shutil\nshutil.rmtree(out)"),
    ("dangerous_tools", "high", "from langchain_experimental.tools import PythonREPLTool\nPythonREPLTool()"),
    ("dangerous_tools", "high", "from langchain_experimental.utilities import PythonREPL as R\nR().run('x')"),
    ("dangerous_tools", "high", "agent = make(llm, df, allow_dangerous_code=True)"),
    ("dangerous_tools", "high", "db = FAISS.load_local('x', e, allow_dangerous_deserialization=True)"),
    ("dangerous_tools", "high", "from langchain.agents import load_tools\nload_tools(['terminal'], llm=llm)"),
    ("dangerous_tools", "high", "AssistantAgent('a', code_execution_config={'use_docker': False})"),
    (
        "untrusted_prompt",
        "medium",
        "from flask import request\nname = request.args['n']\nmessages = [{'role': 'system', 'content': f'You serve {name}'}]\n"
        "client.chat.completions.create(model='m', messages=messages)",
    ),
    (
        "untrusted_prompt",
        "medium",
        """
        from fastapi import FastAPI
        import anthropic
        app = FastAPI()
        @app.post("/ask")
        def ask(question: str):
            c = anthropic.Anthropic()
            return c.messages.create(model="m", max_tokens=5, system="Obey. " + question, messages=[])
        """,
    ),
    (
        "untrusted_prompt",
        "medium",
        "from flask import request\nfrom langchain.prompts import PromptTemplate\n"
        "PromptTemplate.from_template(request.json['template'])",
    ),
    ("exposed_service", "high", "import gradio as gr\ndemo = gr.Interface(f, 'text', 'text')\ndemo.launch(share=True)"),
    ("exposed_service", "medium", "import gradio as gr\ngr.Blocks().launch(server_name='0.0.0.0')"),
    ("exposed_service", "high", "from flask import Flask\napp = Flask('x')\napp.run(host='0.0.0.0', debug=True)"),
    ("exposed_service", "high", "import ray\nray.init(dashboard_host='0.0.0.0')"),
    ("exposed_service", "medium", "import uvicorn\nuvicorn.run('a:b', host='0.0.0.0')"),
    ("exposed_service", "low", "import uvicorn\nuvicorn.run('a:b', host='0.0.0.0')  # behind login_required"),
    ("exposed_service", "medium", "import subprocess\nsubprocess.Popen(['mlflow', 'server', '--host', '0.0.0.0'])"),
    ("unverified_tls", "high", "import requests\nrequests.get('https://h.example/model.bin', verify=False)"),
    ("unverified_tls", "medium", "import httpx\nhttpx.Client(verify=False)"),
    ("unverified_tls", "medium", "import ssl\nssl._create_default_https_context = ssl._create_unverified_context"),
    ("unverified_tls", "medium", "import os\nos.environ['CURL_CA_BUNDLE'] = ''"),
    (
        "untrusted_instantiation",
        "medium",
        "import sys\nfrom hydra.utils import instantiate\nfrom omegaconf import OmegaConf\n"
        "cfg = OmegaConf.load(sys.argv[1])\nmodel = instantiate(cfg.model)",
    ),
    (
        "untrusted_instantiation",
        "high",
        "import hydra\nfrom flask import request\nhydra.utils.instantiate(request.json)",
    ),
    ("logged_secrets", "medium", "import os\nkey = os.environ['HF_TOKEN']\nprint('using', key)"),
    ("logged_secrets", "medium", "import logging\nlogging.info('%s %s', patient.date_of_birth, patient.ssn)"),
    (
        "logged_secrets",
        "medium",
        "import logging\nlogger = logging.getLogger(__name__)\nlogger.info('key %s', api_key)",
    ),
    (
        "logged_secrets",
        "medium",
        "import logging\nfrom fastapi import FastAPI, Request\napp = FastAPI()\n@app.post('/s')\nasync def score(request: Request):\n"
        "    body = await request.json()\n    logging.info('application %s', body)",
    ),
    ("logged_secrets", "low", "import logging\nlogging.debug(f'prompt: {prompt}')"),
]

SAFE = [
    "import base64\ndef f(t):\n    x = base64.b64decode(t)\n    return x\ndef g(x):\n    return eval(x)",
    "import os\nclass Job:\n    def run(self):\n        os.system('make')",
    "import requests\nfrom transformers import AutoModel\nrequests.get('https://example.org/x', timeout=5)",
    "from transformers import PreTrainedModel\nclass A(PreTrainedModel):\n    def forward(self, x):\n        return x",
    "import torch\ntorch.load('m.pt', weights_only=True)",
    "import torch\nSAFE = True\ntorch.load('m.pt', weights_only=SAFE)",
    "import functools, torch\nload = functools.partial(torch.load, weights_only=True)\nload('m.pt')",
    "import torch\nkw = dict(weights_only=True)\ntorch.load('m.pt', **kw)",
    "from safetensors.torch import load_file\nload_file('m.safetensors')",
    "import json\njson.load(open('x.json'))",
    "def load(path):\n    return open(path).read()\nload('m.pt')",
    "class Pickle:\n    def load(self, f):\n        return f\npickle = Pickle()\npickle.load(1)",
    "import pickle\ncopy = pickle.loads(pickle.dumps(model))",
    "import pickle, io\nclass Safe(pickle.Unpickler):\n    def find_class(self, m, n):\n        raise ValueError\nSafe(f).load()",
    "import hmac, pickle\ndef read(b, t, k):\n    if not hmac.compare_digest(t, k):\n        raise ValueError\n    return pickle.loads(b)",
    "import numpy as np\nnp.load('x.npy')\nnp.load('y.npy', allow_pickle=False)",
    "import yaml\nyaml.safe_load(f)\nyaml.load(f, Loader=yaml.SafeLoader)\nyaml.load(f, yaml.CSafeLoader)",
    "import keras\nkeras.models.load_model('m.keras')\nkeras.saving.load_model('m.keras', safe_mode=True)",
    "import skops.io as sio\nsio.load('m.skops', trusted=['sklearn.svm._classes.SVC'])",
    "'''pickle.load(f) and exec(llm(x)) in a docstring'''\n# torch.load('x', weights_only=False)",
    'text = "pickle.loads(b); trust_remote_code=True"',
    "from transformers import AutoModel\nAutoModel.from_pretrained('a/b', revision='"
    + "a" * 40
    + "', trust_remote_code=False)",
    "from transformers import AutoModel\nAutoModel.from_pretrained('./model')\nAutoModel.from_pretrained('/srv/m')",
    "from transformers import AutoModel\nAutoModel.from_pretrained('bert', local_files_only=True)",
    "from transformers import AutoModel\nREVISION = '"
    + "0" * 40
    + "'\nAutoModel.from_pretrained('b', revision=REVISION)",
    "from datasets import load_dataset\nload_dataset('csv', data_files='x.csv')",
    "import torch\ntorch.hub.load('./repo', 'm', source='local')",
    LLM + "print(out)",
    LLM + "import ast\nvalue = ast.literal_eval(out)",
    LLM + "ALLOWED = {'a': 1}\nif out not in ALLOWED:\n    raise ValueError(out)\nimport os\nos.system(out)",
    LLM + "import subprocess\nif out in ('ls', 'df'):\n    subprocess.run([out])",
    LLM + "import subprocess\nsubprocess.run(['grep', '-F', '--', out, 'log.txt'], check=True)",
    LLM + "import os, shlex\nos.system('echo ' + shlex.quote(out))",
    LLM + "n = int(out)\nexec(f'x = {n}')",
    LLM + "out = 'constant'\nexec(out)",
    LLM + "def exec(x):\n    return x\nexec(out)",
    LLM + "def pick(said):\n    return {'a': 'ls', 'b': 'df'}.get('a')\nimport os\nos.system(pick(out))",
    LLM + "cursor.execute('SELECT * FROM t WHERE name = ?', (out,))",
    LLM
    + "import re\nif not re.fullmatch(r'[a-z]+', out):\n    raise ValueError\ncursor.execute(f'SELECT {out} FROM t')",
    LLM + "tool.execute(out)\nmodel.eval()\ndf.query('a > 1')",
    LLM + "from markupsafe import Markup, escape\nMarkup(escape(out))",
    LLM + "import html\nfrom IPython.display import HTML\nHTML('<p>' + html.escape(out) + '</p>')",
    LLM + "from flask import render_template\nrender_template('x.html', answer=out)",
    LLM + "import streamlit as st\nst.markdown(out)\nst.markdown('<b>x</b>', unsafe_allow_html=True)",
    LLM + "import requests\nrequests.get('https://api.example.org/search', params={'q': out})",
    LLM + "import requests\nrequests.get(f'https://api.example.org/search?q={out}')",
    LLM + "open('answer.txt', 'w').write(out)",
    "from flask import request\nclient.chat.completions.create(model='m', messages=[{'role': 'system', 'content': 'Help.'},"
    " {'role': 'user', 'content': request.json['q']}])",
    "from flask import request\nuser = db.get(request.args['id'])\nsystem = f'You serve {user.name}'\n"
    "client.messages.create(model='m', max_tokens=3, system=system)",
    "import gradio as gr\ngr.Interface(f, 'text', 'text').launch()\ngr.Blocks().launch(server_name='0.0.0.0', auth=('a', p))",
    "from flask import Flask\nFlask('x').run(host='127.0.0.1')",
    "import uvicorn\nuvicorn.run('a:b', host='127.0.0.1')",
    "import ray\nray.init()",
    "import requests\nrequests.get('https://h.example/model.json', verify='ca.pem')\nrequests.get('https://x', verify=True)",
    "import hydra\n@hydra.main(config_path='conf')\ndef main(cfg):\n    model = hydra.utils.instantiate(cfg.model)",
    "import sys\nfrom hydra.utils import instantiate\nfrom omegaconf import OmegaConf\ncfg = OmegaConf.load(sys.argv[1])\n"
    "if cfg._target_ not in ALLOWED:\n    raise ValueError\nm = instantiate(cfg)",
    "import logging\nlogging.info('%d tokens, prompt of %d characters', n_tokens, len(prompt))",
    "import logging\nlogging.info('max_tokens=%s tokenizer=%s', max_tokens, tokenizer)",
    "from langchain_core.tools import tool\n@tool\ndef add(a: int, b: int) -> int:\n    return a + b",
    "agent = make(llm, allow_dangerous_code=False)",
    "import subprocess\nsubprocess.run(command, shell=True)",
    "exec(open('setup.py').read())",
]


@pytest.mark.parametrize(("rule", "severity", "text"), BAD, ids=[f"{rule}-{at}" for at, (rule, _, _) in enumerate(BAD)])
def test_bad_programs_are_named(judge, rule, severity, text):
    hits = judge(f"code.{rule}", "app.py", textwrap.dedent(text))
    assert severity in {hit.severity for hit in hits}, hits
    assert all(hit.draft.place.line for hit in hits)


@pytest.mark.parametrize("text", SAFE, ids=range(len(SAFE)))
def test_safe_twins_stay_quiet(judge, loud, text):
    assert loud(judge("code.", "app.py", textwrap.dedent(text))) == []


def test_every_sample_names_a_rule():
    named = {entry.name for entry in catalog("rules") if entry.name.startswith("code.")}
    assert named >= {f"code.{rule}" for rule, _, _ in BAD}


def test_a_trace_tells_the_way_from_the_model_to_the_sink(judge):
    (hit,) = judge("code.model_output_executed", "app.py", LLM + "def run(code):\n    exec(code)\nrun(out)")
    assert hit.draft.place.line == 9
    assert "openai.OpenAI().chat.completions.create" in hit.draft.trace[0]
    assert hit.draft.trace[-1] == "line 9: into exec()"


def test_a_function_that_promises_a_check_lowers_the_finding(judge):
    (hit,) = judge("code.model_output_executed", "app.py", LLM + "from checks import validate\nexec(validate(out))")
    assert (hit.severity, hit.draft.confidence) == ("low", "low")
    assert "not judged" in hit.draft.message


def test_a_check_of_this_file_is_read_instead_of_believed(judge):
    text = LLM + "def validate(code):\n    return code\nexec(validate(out))"
    assert [hit.severity for hit in judge("code.model_output_executed", "app.py", text)] == ["critical"]
    text = (
        LLM
        + "def validate(code):\n    if code not in LIST:\n        raise ValueError\n    return code\nexec(validate(out))"
    )
    assert judge("code.model_output_executed", "app.py", text) == []


def test_a_pinned_commit_lowers_remote_code(judge):
    text = f"m = AutoModel.from_pretrained('a/b', trust_remote_code=True, revision='{'c' * 40}')"
    assert [hit.severity for hit in judge("code.", "app.py", text)] == ["medium"]


def test_a_branch_is_not_a_pin(judge):
    hits = judge("code.unpinned_download", "app.py", "AutoModel.from_pretrained('a/b', revision='main')")
    assert [hit.severity for hit in hits] == ["low"]
    assert "can move" in hits[0].draft.message


def test_names_and_answers_travel_between_the_cells_of_a_notebook(judge):
    import json

    cells = [
        "import torch as t\nfrom openai import OpenAI",
        "c = OpenAI()\nout = c.responses.create(input='x').output_text",
    ]
    cells += ["%time\n!pip install x\nt.load('m.pt', weights_only=False)\nexec(out)"]
    book = {"cells": [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells], "nbformat": 4}
    hits = judge("code.", "a.ipynb", json.dumps(book))
    found = {(hit.rule, hit.part, hit.draft.place.line) for hit in hits}
    assert found == {("code.unsafe_load", "cell 3", 3), ("code.model_output_executed", "cell 3", 4)}
