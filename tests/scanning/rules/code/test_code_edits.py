"""Edits that rules propose: applied they mend the program, and it still parses."""

# ruff: noqa: E501 - a sample is easier to read in one line

from __future__ import annotations

import ast

import pytest

from hauberk.scanning.fixing import fixed


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("unsafe_load", "import torch\nx = torch.load(p, map_location=d)", "import torch\nx = torch.load(p, map_location=d, weights_only=True)"),
        ("unsafe_load", "import torch\nx = torch.load(p, weights_only=False)", "import torch\nx = torch.load(p, weights_only=True)"),
        ("unsafe_load", "import torch\nx = torch.load(\n    'ü',  # the path\n)", "import torch\nx = torch.load(\n    'ü', weights_only=True,  # the path\n)"),
        ("unsafe_load", "import yaml\nyaml.load(f, Loader=yaml.Loader)", "import yaml\nyaml.safe_load(f)"),
        ("unsafe_load", "import yaml\nyaml.load(f)", "import yaml\nyaml.safe_load(f)"),
        ("unsafe_load", "import numpy as np\nnp.load(f, allow_pickle=True)", "import numpy as np\nnp.load(f)"),
        ("unsafe_load", "import keras\nkeras.saving.load_model(f, safe_mode=False)", "import keras\nkeras.saving.load_model(f)"),
        ("remote_code", "A.from_pretrained('a/b', trust_remote_code=True, x=1)", "A.from_pretrained('a/b', x=1)"),
        ("remote_code", "build(trust_remote_code=True, x=1)", "build(x=1)"),
        ("remote_code", "build(trust_remote_code=True)", "build()"),
        ("unverified_tls", "import requests\nrequests.get(u, verify=False)", "import requests\nrequests.get(u)"),
        ("exposed_service", "import gradio as gr\ngr.Blocks().launch(share=True)", "import gradio as gr\ngr.Blocks().launch(share=False)"),
        ("exposed_service", "import uvicorn\nuvicorn.run(a, host='0.0.0.0')", 'import uvicorn\nuvicorn.run(a, host="127.0.0.1")'),
        ("exposed_service", "from flask import Flask\nFlask('x').run(debug=True)", "from flask import Flask\nFlask('x').run(debug=False)"),
        ("unverified_weights", "import requests\nrequests.get('http://huggingface.co/m.pt')", "import requests\nrequests.get('https://huggingface.co/m.pt')"),
    ],
)  # fmt: skip
def test_a_finding_mends_itself(judge, rule, before, after):
    edits = [edit for hit in judge(f"code.{rule}", "a.py", before) for edit in hit.draft.edits]
    result = fixed(before, edits, "a.py")
    assert result.text == after
    assert result.applied >= 1
    assert result.diff.startswith("--- a/a.py\n+++ b/a.py\n")
    ast.parse(result.text)


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nkw = {'weights_only': False}\ntorch.load(p, **kw)",
        "import yaml\nfrom yaml import load\nload(f)",
        "import yaml\nyaml.load(f, yaml.Loader)",
        "A.from_pretrained('a/b')",
        "import torch\ntorch.load(p, pickle_module=dill)",
    ],
)
def test_what_is_not_safe_to_mend_is_left(judge, text):
    edits = [edit for hit in judge("code.", "a.py", text) for edit in hit.draft.edits]
    assert edits == []
