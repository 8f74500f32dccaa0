"""Whole folders as hubs and registries keep them: settings that bring code, the code beside them, layers of images."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

MODELING = """
import os
from transformers import PreTrainedModel
os.system("id")
class Net(PreTrainedModel):
    pass
"""


@pytest.fixture
def write(scan_folder, tmp_path: Path):
    """Write files whose names have "__" for a point, and scan their folder."""

    def run(**files: object):
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".")
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return scan_folder(tmp_path)

    return run


def test_auto_map_and_the_code_beside_it(write) -> None:
    config = {"model_type": "net", "auto_map": {"AutoModel": "modeling_net.Net", "AutoConfig": "a/b--conf.C"}}
    result = write(config__json=config, modeling_net__py=MODELING)
    brought = {(one.location.path, one.severity) for one in result.of("model.brought_code")}
    assert brought == {("config.json", "medium"), ("config.json", "high")}
    acting = result.of("code.model_module")
    assert [(one.location.path, one.location.line, one.severity) for one in acting] == [("modeling_net.py", 4, "high")]


def test_code_that_only_computes_is_named_by_the_settings_alone(write) -> None:
    config = {"auto_map": {"AutoModel": "modeling_net.Net"}}
    result = write(config__json=config, modeling_net__py=MODELING.replace('os.system("id")', ""))
    assert {one.rule for one in result.findings} == {"model.brought_code"}


def test_a_repository_without_code_is_quiet(write) -> None:
    config = {"model_type": "bert", "architectures": ["BertModel"], "_name_or_path": "bert-base-uncased"}
    tokenizer = {"tokenizer_class": "BertTokenizer", "model_max_length": 512}
    result = write(config__json=config, tokenizer_config__json=tokenizer, generation_config__json={"top_k": 5})
    assert result.findings == []


def test_settings_that_refer_out_of_the_repository(write) -> None:
    modules = [{"idx": 0, "name": "0", "path": "../../other", "type": "sentence_transformers.models.Transformer"}]
    index = {"_class_name": "Pipe", "unet": ["my_unet", "Net"], "vae": ["diffusers", "AutoencoderKL"]}
    result = write(modules__json=modules, model_index__json=index)
    found = {(one.location.path, one.severity) for one in result.of("model.brought_code")}
    assert found == {("modules.json", "high"), ("model_index.json", "medium")}


def test_layers_of_an_image(scan_folder, tmp_path: Path, op) -> None:
    evil = b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."
    layer = gzip.compress(tarred({"models/m.pkl": evil}), mtime=0)
    digest = hashlib.sha256(layer).hexdigest()
    manifest = {"schemaVersion": 2, "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}]}
    files = {"oci-layout": b"{}", f"blobs/sha256/{digest}": layer, "blobs/sha256/00": json.dumps(manifest).encode()}
    (tmp_path / "image.tar").write_bytes(tarred(files))
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / digest).write_bytes(layer)
    found = scan_folder(tmp_path).of("model.pickle_call")
    assert {(one.location.path, one.severity) for one in found} == {
        ("image.tar", "critical"),
        (f"image/{digest}", "critical"),
    }


def tarred(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()
