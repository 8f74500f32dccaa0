"""The command line starts light, teaches, and words its faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hauberk.cli.main import COMMANDS

HEAVY = [
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "onnx",
    "onnxruntime",
    "sqlalchemy",
    "cryptography",
    "rich",
    "jinja2",
    "polars",
    "pyarrow",
    "msgspec",
    "asyncio",
]


def hauberk(*arguments: str, folder=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hauberk", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def loaded(*arguments: str) -> set[str]:
    code = f"import sys\nsys.argv = {['hauberk', *arguments]!r}\n"
    code += "from hauberk.cli.main import main\n"
    code += "try:\n    main()\nfinally:\n    print('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return set(done.stderr.split())


def test_help_loads_nothing_heavy():
    modules = loaded("--help")
    assert "click" in modules
    assert modules.isdisjoint(HEAVY)


def test_listing_a_catalogue_imports_no_framework():
    modules = loaded("list", "attacks")
    assert modules.isdisjoint({"torch", "numpy", "sklearn", "rich", "sqlalchemy"})


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches(name):
    done = hauberk(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
    assert len(done.stdout.splitlines()) > 8
    assert "hauberk " in done.stdout.partition("\n")[2], "an example stands in the help"


def test_an_unknown_command_offers_the_nearest():
    done = hauberk("chek")
    assert done.returncode == 2
    assert 'did you mean "check"?' in done.stderr


def test_an_unknown_option_is_a_usage_error():
    assert hauberk("check", "--frobnicate").returncode == 2


def test_version():
    from hauberk import __version__

    assert hauberk("--version").stdout.strip() == f"hauberk {__version__}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    done = hauberk("completion", shell)
    assert done.returncode == 0
    assert "_HAUBERK_COMPLETE" in done.stdout


def test_check_without_a_project_says_how_to_make_one(tmp_path):
    done = hauberk("check", folder=tmp_path)
    assert done.returncode == 2
    assert "hauberk init" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_of_one_plugin_shows_its_settings():
    done = hauberk("list", "attacks", "evasion.pgd")
    assert done.returncode == 0
    assert "setting steps" in done.stdout


def test_a_fault_of_its_own_is_never_taken_for_a_verdict(monkeypatch, capsys):
    from hauberk.cli import main as entry

    def crash(**_):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(entry.cli, "main", crash)
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 3
    assert "planted" in capsys.readouterr().err


def test_a_long_catalogue_is_listed_by_groups():
    groups = [group.splitlines() for group in hauberk("list", "attacks").stdout.split("\n\n")]
    heads = [group[0] for group in groups]
    assert heads == sorted(heads)
    gradients, labels = (groups[heads.index(f"evasion, needs {what}")] for what in ("gradients", "labels only"))
    (pgd,) = [line for line in gradients if line.split()[0] == "evasion.pgd"]
    assert pgd.startswith("  ") and pgd.endswith("  linf l2 l1 l0")
    assert any(line.split()[0] == "evasion.rays" for line in labels)
    assert "  training.adversarial_training  " in hauberk("list", "defenses").stdout


def test_of_one_plugin_the_settings_inside_have_dotted_names():
    assert "setting driving.early_stop" in hauberk("list", "attacks", "evasion.fmn").stdout
