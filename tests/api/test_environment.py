"""The installed packages of an environment, found without importing any."""

from __future__ import annotations

import msgspec
import pytest

from hauberk.api.environment import METADATA, site_packages
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Finding
from hauberk.core.project import ScanSection
from hauberk.scanning.engine import scan


def test_an_environment_is_judged_by_its_metadata(tmp_path, monkeypatch):
    folder = tmp_path / "lib" / "python3.12" / "site-packages"
    (folder / "torch-2.5.0.dist-info").mkdir(parents=True)
    (folder / "torch-2.5.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.4\nName: torch\nVersion: 2.5.0\n\n")
    (folder / "torch.py").write_text("raise SystemExit('imported')")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert site_packages() == site_packages(tmp_path) == site_packages(folder) == folder
    section = msgspec.structs.replace(ScanSection(), include=METADATA[:1])
    found = [row for row in scan(folder, section) if isinstance(row, Finding)]
    assert "CVE-2025-32434" in {name for row in found for name in row.references}


def test_a_folder_without_packages_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError):
        site_packages(tmp_path)
