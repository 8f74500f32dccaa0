"""Safe changes: shown first, made when asked, and never over a file that changed meanwhile."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from hauberk.api.mending import mend, proposed
from hauberk.api.scanning import scan
from hauberk.cli.main import cli

TEXT = "import torch\nimport requests\n\nmodel = torch.load('m.pt')\nrequests.get('https://a.b', verify=False)\n"


def test_what_is_proposed_parses_and_is_clean(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(TEXT)
    (change,) = proposed([tmp_path])
    assert "+model = torch.load('m.pt', weights_only=True)" in change.diff
    assert file.read_text() == TEXT
    assert list(mend([change])) == [file]
    assert "verify=False" not in file.read_text()
    assert not [one for one in scan(tmp_path).findings if one.rule in ("code.unsafe_load", "code.unverified_tls")]
    assert not proposed([tmp_path])


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(TEXT)
    changes = proposed([tmp_path])
    file.write_text("x = 1\n")
    assert list(mend(changes)) == []
    assert file.read_text() == "x = 1\n"


def test_the_command_shows_and_does_not_change_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(TEXT)
    shown = CliRunner().invoke(cli, ["scan", "--fix", str(tmp_path)], standalone_mode=False)
    assert "weights_only=True" in shown.output
    assert file.read_text() == TEXT
    CliRunner().invoke(cli, ["scan", "--fix", "--yes", str(tmp_path)], standalone_mode=False)
    assert "weights_only=True" in file.read_text()
