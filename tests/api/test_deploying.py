"""`init --deploy` writes files for the project that our own scan has nothing to say about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from hauberk.api.deploying import deploy, slug
from hauberk.cli.init_command import command
from hauberk.core.errors import ProjectError
from hauberk.core.evidence import Finding, Skipped
from hauberk.scanning.engine import scan


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "Fraud Model 2"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "m.safetensors").write_bytes(b"")
    (folder / "serve.py").write_text("print()\n")
    (folder / "requirements.txt").write_text("a==1 --hash=sha256:" + "0" * 64 + "\n")
    return folder


def test_our_own_scan_has_nothing_to_say(project):
    deploy(project)
    for path in project.iterdir():
        if path.is_file():
            path.unlink()
    (project / "models" / "m.safetensors").unlink()
    found = [entry for entry in scan(project) if isinstance(entry, Finding | Skipped)]
    assert found == []


def test_an_empty_folder_gets_files_too(tmp_path):
    written = deploy(tmp_path)
    assert [path.name for path in written.paths] == [
        "Dockerfile", "Dockerfile.dockerignore", "compose.yaml", "kubernetes.yaml", "seccomp.json",
    ]  # fmt: skip
    assert written.todo > 3


def test_they_are_written_for_the_project(project):
    deploy(project)
    docker = (project / "deploy" / "Dockerfile").read_text()
    assert "COPY requirements.txt" in docker
    assert 'CMD ["python", "serve.py"]' in docker
    compose = yaml.safe_load((project / "deploy" / "compose.yaml").read_text())
    assert compose["services"]["model"]["volumes"] == ["../models:/models:ro"]
    assert compose["networks"]["inner"] == {"internal": True}
    assert "ports" not in compose["services"]["model"]
    kinds = {item["kind"] for item in yaml.safe_load_all((project / "deploy" / "kubernetes.yaml").read_text())}
    assert {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "Namespace"} <= kinds


def test_the_seccomp_profile_refuses_what_escapes_use(project):
    deploy(project)
    profile = json.loads((project / "deploy" / "seccomp.json").read_text())
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not allowed & {
        "ptrace", "mount", "umount2", "bpf", "keyctl", "unshare", "setns", "userfaultfd", "io_uring_setup",
        "kexec_load", "init_module", "perf_event_open", "process_vm_readv", "open_by_handle_at", "pivot_root", "clone3",
    }  # fmt: skip
    assert {"read", "mmap", "futex", "epoll_wait", "execve", "clone", "socket", "getrandom"} <= allowed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Fraud Model 2", "fraud-model-2"),
        ("3d", "model-3d"),
        ("ünïcode", "n-code"),
        ("---", "model"),
        ("a\nb: c", "a-b-c"),
    ],
)
def test_names_become_labels(name, expected):
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["new\nline", 'quo"te', "{{ 7*7 }}", "$(id)"])
def test_odd_names_write_no_lines_of_their_own(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    deploy(folder)
    list(yaml.safe_load_all((folder / "deploy" / "kubernetes.yaml").read_text()))
    compose = yaml.safe_load((folder / "deploy" / "compose.yaml").read_text())
    assert set(compose["services"]) == {"model", "proxy"}


def test_files_that_are_there_stay_unless_forced(project):
    deploy(project)
    path = project / "deploy" / "Dockerfile"
    path.write_text("mine")
    with pytest.raises(ProjectError, match="--force"):
        deploy(project)
    assert path.read_text() == "mine"
    deploy(project, force=True)
    assert path.read_text() != "mine"


def test_the_command(project):
    shown = CliRunner().invoke(command, [str(project), "--deploy", "--dry-run"])
    assert "deploy/compose.yaml" in shown.output
    assert not (project / "deploy").exists()
    done = CliRunner().invoke(command, [str(project), "--deploy"])
    assert done.exit_code == 0
    assert done.output.count("wrote") == 5
