"""Values that travel between the modules of a project."""

from __future__ import annotations

import pickle

import pytest

from hauberk.core.limits import Limits
from hauberk.scanning import python_modules
from hauberk.scanning.artifact import Artifact, Source
from hauberk.scanning.python_modules import EMPTY, knowing, survey
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import run_by
from hauberk.scanning.python_text import parse
from hauberk.scanning.tree import Listed

ASK = (
    "from openai import OpenAI\ndef ask(q):\n"
    "    return OpenAI().chat.completions.create(model='m', messages=q).choices[0].message.content\n"
)


@pytest.fixture
def steered(tmp_path):
    """Return the traces of what a model runs, by module."""

    def run(files, limits=None):
        listed = []
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            listed.append(Listed(path, name))
        index = survey(sorted(listed, key=lambda item: item.path), limits or Limits())
        found = {}
        for name, text in files.items():
            source = Source(text, parse(text)[0])
            artifact = knowing(
                Artifact(path=name, part="", format="python_source", size=1, source=source), index.of(name)
            )
            traces = [taint.trace() for site in program_of(artifact).calls if (taint := run_by(site, "model"))]
            if traces:
                found[name] = traces
        return found, index

    return run


def test_an_answer_returned_by_another_module(steered):
    found, _ = steered({"llm.py": ASK, "app.py": "from llm import ask\nexec(ask('x'))\n"})
    assert list(found) == ["app.py"]
    assert found["app.py"][0][0].startswith("llm.py:3: a language model answers")


def test_an_answer_handed_to_a_function_of_another_module(steered):
    files = {"p/__init__.py": "", "p/run.py": "def go(code):\n    exec(code)\n"}
    found, _ = steered(files | {"p/main.py": ASK + "from .run import go\ngo(ask('x'))\n"})
    assert list(found) == ["p/run.py"]


def test_through_three_modules_and_a_package_under_src(steered):
    files = {
        "src/a/__init__.py": "",
        "src/a/llm.py": ASK,
        "src/a/middle.py": "from a import llm\ndef plan(q):\n    text = llm.ask(q)\n    return text.strip()\n",
        "src/a/main.py": "from a.middle import plan\nimport os\nos.system(plan('x'))\n",
    }
    assert list(steered(files)[0]) == ["src/a/main.py"]


def test_a_method_and_a_client_of_another_module(steered):
    files = {
        "clients.py": "from openai import OpenAI\nclient = OpenAI()\n",
        "agent.py": "from clients import client\nclass Agent:\n    def act(self):\n"
        "        return client.responses.create(model='m', input='x').output_text\n",
        "main.py": "from agent import Agent\na = Agent()\neval(a.act())\n",
    }
    assert list(steered(files)[0]) == ["main.py"]


def test_a_check_in_the_other_module_counts(steered):
    llm = (
        ASK
        + "def choose(q):\n    said = ask(q)\n    if said not in ('a', 'b'):\n        raise OSError\n    return said\n"
    )
    assert steered({"llm.py": llm, "app.py": "from llm import choose\nexec(choose('x'))\n"})[0] == {}


def test_modules_of_one_name_in_two_folders_are_not_confused(steered):
    talk = ASK.replace("def ask", "def say")
    files = {"a/talk.py": talk, "b/talk.py": "import openai\ndef say(q):\n    return 'constant'\n"}
    app = "from talk import say\nexec(say('x'))\n"
    assert list(steered(files | {"b/app.py": app, "a/app.py": app})[0]) == ["a/app.py"]


def test_modules_that_import_each_other_end(steered):
    files = {
        "a.py": ASK + "from b import run\ndef go(x):\n    return run(x)\n",
        "b.py": "from a import ask, go\ndef run(x):\n    exec(ask(x))\n    return go(x)\n",
    }
    assert list(steered(files)[0]) == ["b.py"]


def test_one_module_or_no_source_costs_nothing(steered):
    assert steered({"llm.py": ASK})[1] is EMPTY
    assert steered({"c.py": "import d\n", "d.py": "x = 1\n"})[1] is EMPTY


def test_what_could_not_be_read_is_counted(steered, monkeypatch):
    monkeypatch.setattr(python_modules, "MODULES", 1)
    _, index = steered({"llm.py": ASK, "app.py": "from llm import ask\nexec(ask('x'))\n"})
    assert index.omitted == 1


def test_broken_and_hostile_modules_are_passed_over(steered):
    files = {
        "llm.py": ASK,
        "app.py": "from llm import ask\nexec(ask('x'))\n",
        "bad.py": "from llm import (\n" + "(" * 5000,
    }
    assert list(steered(files)[0]) == ["app.py"]


def test_the_index_is_small_and_its_stamp_is_the_same_everywhere(steered):
    files = {"llm.py": ASK, "app.py": "from llm import ask\nexec(ask('x'))\n"}
    index, again = steered(files)[1], steered(files)[1]
    assert index.stamp("app.py") == again.stamp("app.py") != ""
    assert index.stamp("llm.py") == index.stamp("none.py") == ""
    assert len(pickle.dumps(index)) < 3000


def test_what_is_known_survives_the_way_to_another_process(tmp_path) -> None:
    from hauberk.scanning.known_wire import from_wire, to_wire
    from hauberk.scanning.python_values import Known, Taint, Value

    taint = Taint("model", "ask()", 3, False, frozenset({"html", "path"}), ("a", "b"))
    values = [
        Value("a.b", 1.5, (taint,), "{}", (("k", Value(constant=True)),), (taint,)),
        Value(constant=None),
        Value(),
    ]
    known = Known((("f", ("x", "y"), values[0]),), (("n", values[1]), ("big", Value(constant=7))), (("g", values[2]),))
    assert from_wire(to_wire(known)) == known
    assert from_wire(to_wire(None)) is None
    assert from_wire(to_wire(Known(names=(("n", Value(constant=1 << 90)),)))) == Known(names=(("n", Value()),))
    (tmp_path / "a.py").write_text(ASK)
    (tmp_path / "b.py").write_text("from a import ask\nx = ask('q')\nexec(x)\n")
    index = survey([Listed(tmp_path / name, name) for name in ("a.py", "b.py")])
    assert index.known
    assert {path: from_wire(to_wire(one)) for path, one in index.known.items()} == index.known
