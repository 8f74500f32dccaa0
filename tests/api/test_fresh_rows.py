"""New rows between two seals are weighed against the trusted rest."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from hauberk.api.fresh_rows import fresh
from hauberk.api.sealing import new_key, seal
from hauberk.cli.data_command import command
from hauberk.core.errors import UsageError


def _line(rng: random.Random, *, planted: bool = False) -> str:
    income, age = rng.gauss(0, 1), rng.randrange(18, 80)
    good = income + rng.gauss(0, 0.3) > 0
    return f"{income * 20000 + 50000:.0f},{age},{'yes' if good != planted else 'no'}\n"


@pytest.fixture
def sealed(tmp_path: Path):
    rng = random.Random(3)
    old = tmp_path / "old"
    old.mkdir()
    (old / "rows.csv").write_text("income,age,paid\n" + "".join(_line(rng) for _ in range(400)))
    (old / "readme.txt").write_text("x")
    new_key(tmp_path / "k.pem")
    seal(old, key=tmp_path / "k.pem")

    def grown(*, planted: bool) -> Path:
        new = Path(shutil.copytree(old, tmp_path / f"new{planted}", ignore=shutil.ignore_patterns("model.*")))
        with (new / "rows.csv").open("a") as file:
            file.writelines(_line(rng, planted=planted) for _ in range(60))
        seal(new, key=tmp_path / "k.pem")
        return new

    return old, grown


def test_rows_like_the_others_are_measured_and_nothing_more(sealed) -> None:
    old, grown = sealed
    report = fresh(old, grown(planted=False), label="paid")
    figures = {row.name: row for row in report.measurements}
    assert set(figures) == {"fresh_rows_pull", "fresh_rows_against"}
    assert figures["fresh_rows_pull"].n == 60
    assert figures["fresh_rows_against"].value < 0.3
    assert not report.findings
    assert report.verdict().exit_status == 0


def test_rows_that_contradict_the_trusted_ones_are_a_finding_with_their_numbers(sealed) -> None:
    old, grown = sealed
    report = fresh(old, grown(planted=True), label="paid")
    assert {row.rule for row in report.findings} == {"data.fresh_rows"}
    (said,) = [row for row in report.findings if "deny" in row.message]
    shown = {int(number) for number in said.trace[0].partition("rows ")[2].split(", ")}
    assert shown <= set(range(400, 460)) and len(shown) == 20
    assert report.verdict().exit_status == 1


def test_the_command(sealed) -> None:
    old, grown = sealed
    done = CliRunner().invoke(command, ["fresh", str(old), str(grown(planted=True)), "--label", "paid"])
    assert "new rows" in done.output


def test_what_cannot_be_weighed_is_said(sealed, tmp_path) -> None:
    old, grown = sealed
    new = grown(planted=False)
    (new / "more.csv").write_text("a,paid\n1,yes\n")
    shutil.copytree(new, tmp_path / "more", ignore=shutil.ignore_patterns("model.*"))
    seal(tmp_path / "more", key=tmp_path / "k.pem")
    report = fresh(old, tmp_path / "more", label="paid")
    assert ["new as a whole" in row.reason for row in report.skipped if row.subject == "more.csv"] == [True]
    (gap,) = [row for row in fresh(old, new, label="nothing").skipped if row.subject == "rows.csv"]
    assert "nothing" in gap.reason


def test_the_rows_themselves_are_needed(sealed, tmp_path) -> None:
    old, _ = sealed
    with pytest.raises(UsageError, match="rows themselves"):
        fresh(old, tmp_path / "nowhere", label="paid")


def test_tables_it_cannot_read_by_the_seals_rows_are_said(sealed, tmp_path) -> None:
    _, grown = sealed
    old = grown(planted=False)
    (old / "lines.jsonl").write_text("".join(f'{{"a": {row}, "paid": "yes"}}\n' for row in range(80)))
    (old / "broken.csv").write_text("a,paid\n" + "".join(f"{row},yes\n" for row in range(80)))
    seal(old, key=tmp_path / "k.pem")
    new = Path(shutil.copytree(old, tmp_path / "later", ignore=shutil.ignore_patterns("model.*")))
    (new / "lines.jsonl").write_text((old / "lines.jsonl").read_text() + '{"a": 1, "paid": "no"}\n')
    (new / "broken.csv").write_text((old / "broken.csv").read_text() + '"two\nlines",no\n')
    seal(new, key=tmp_path / "k.pem")
    report = fresh(old, new, label="paid")
    reasons = {row.subject: row.reason for row in report.skipped}
    assert "not weighed" in reasons["lines.jsonl"]
    assert "a seal's rows are lines" in reasons["broken.csv"]
    assert report.command.endswith("--label paid --neighbours 10")
