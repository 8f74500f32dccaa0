"""Every deployment rule on bad build files and scripts, and on good ones."""

# ruff: noqa: E501 - a sample is easier to read in one line

from __future__ import annotations

import json

import pytest

PIN = "@sha256:" + "0a" * 32
BASE = f"FROM python:3.12-slim{PIN}\n"
BAD = [
    ("root_user", "medium", "FROM python:3.12\nCMD python serve.py"),
    ("root_user", "medium", "FROM python:3.12\nUSER app\nUSER root\nCMD python serve.py"),
    ("root_user", "medium", "FROM python:3.12 AS build\nUSER app\nFROM python:3.12\nCMD x"),
    ("unpinned_base", "medium", "FROM python:latest"),
    ("unpinned_base", "medium", "FROM --platform=linux/amd64 registry:5000/team/image"),
    ("unpinned_base", "medium", "ARG TAG=latest\nFROM vllm/vllm-openai:${TAG}"),
    ("unpinned_base", "info", "FROM python:3.12-slim"),
    ("secret_in_image", "high", BASE + "ENV OPENAI_API_KEY=sk-live-abcdef0123"),
    ("secret_in_image", "high", BASE + 'ENV A=1 \\\n    HF_TOKEN="hf_abcdef01234"'),
    ("secret_in_image", "high", BASE + "ENV DB_PASSWORD opensesame99"),
    ("secret_in_image", "low", BASE + "ARG GITHUB_TOKEN"),
    ("piped_installer", "high", BASE + "RUN curl -fsSL https://example.org/install.sh | sh"),
    ("piped_installer", "high", BASE + "RUN wget -qO- https://example.org/i.sh \\\n  | sudo bash -s -- -y"),
    ("piped_installer", "high", BASE + "RUN <<EOF\nset -e\ncurl https://example.org/get.py | python3\nEOF"),
    ("piped_installer", "high", BASE + 'RUN bash -c "$(curl -fsSL https://example.org/install.sh)"'),
    ("open_server", "high", BASE + "CMD jupyter lab --ip=0.0.0.0 --NotebookApp.token=''"),
    ("open_server", "high", BASE + 'CMD ["jupyter", "lab", "--ServerApp.token="]'),
    ("open_server", "high", BASE + """CMD ["jupyter", "lab", "--ip=0.0.0.0", "--ServerApp.token=''"]"""),
    ("open_server", "high", BASE + "CMD ray start --head --dashboard-host=0.0.0.0"),
    ("open_server", "medium", BASE + "CMD mlflow server --host 0.0.0.0"),
    ("open_server", "medium", BASE + "ENV OLLAMA_HOST=0.0.0.0"),
    ("open_server", "medium", BASE + "ENTRYPOINT vllm serve org/model --host 0.0.0.0"),
    ("remote_code", "high", BASE + 'CMD ["vllm", "serve", "org/model", "--trust-remote-code"]'),
    ("remote_add", "medium", BASE + "ADD https://example.org/m.pt /m.pt"),
    ("weak_install", "medium", BASE + "RUN pip install --trusted-host pypi.corp.example -r requirements.txt"),
    ("weak_install", "high", BASE + "RUN pip install --index-url http://pypi.corp.example/simple flask"),
    ("weak_install", "info", BASE + "RUN pip install flask"),
    ("weak_install", "medium", BASE + "RUN curl -k https://example.org/m.bin -o m.bin"),
    ("copied_context", "info", BASE + "COPY . /app"),
]
SAFE = BASE + "\n".join(
    [
        "# RUN curl https://example.org/install.sh | sh",
        "ENV PIP_NO_CACHE_DIR=1 TOKENIZERS_PARALLELISM=false MAX_TOKEN=4096 API_KEY=$RUNTIME PASSWORD_FILE=/run/secrets/p",
        "COPY --from=build /app /app",
        "COPY requirements.txt serve.py ./",
        "ADD --checksum=sha256:" + "0" * 64 + " https://example.org/m.safetensors /m.safetensors",
        "RUN --mount=type=secret,id=token pip install --require-hashes -r requirements.txt",
        "RUN curl -fsSLo tool.tgz https://example.org/tool-1.2.tgz && echo '0a  tool.tgz' | sha256sum -c - && tar xf tool.tgz",
        "RUN useradd --create-home app",
        "USER app",
        "EXPOSE 8080",
        'CMD ["vllm", "serve", "/m", "--host", "127.0.0.1"]',
    ]
)


@pytest.mark.parametrize(("rule", "severity", "text"), BAD, ids=range(len(BAD)))
def test_bad_build_files_are_named(judge, rule, severity, text):
    hits = judge(f"deployment.{rule}", "Dockerfile", text)
    assert severity in {hit.severity for hit in hits}
    assert all(hit.draft.place.line for hit in hits)


def test_a_good_build_file_stays_quiet(judge, loud):
    assert loud(judge("deployment.", "Dockerfile", SAFE)) == []


def test_a_stage_inherits_the_user_of_the_stage_it_is_built_from(judge):
    text = BASE.strip() + " AS base\nUSER app\nFROM base\nCMD x"
    assert judge("deployment.root_user", "Dockerfile", text) == []


def test_start_scripts_are_read_too(judge):
    hits = judge(
        "deployment.", "start.sh", "#!/bin/sh\n# comment\nexec vllm serve m --trust-remote-code --api-key $KEY\n"
    )
    assert [(hit.rule, hit.draft.place.line) for hit in hits] == [("deployment.remote_code", 3)]


def test_shell_commands_of_notebooks_are_read_too(judge):
    book = {"cells": [{"cell_type": "code", "source": "x = 1\n!curl https://example.org/i.sh | bash"}], "nbformat": 4}
    (hit,) = judge("deployment.", "a.ipynb", json.dumps(book))
    assert (hit.rule, hit.part, hit.draft.place.line) == ("deployment.piped_installer", "cell 1", 2)


def test_a_value_of_a_variable_is_not_shown_whole(judge):
    (hit,) = judge("deployment.secret_in_image", "Dockerfile", BASE + "ENV API_KEY=abcdef0123456789")
    assert "ab…" in hit.draft.message
    assert "abcd" not in hit.draft.message
