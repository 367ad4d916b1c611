"""Files that the scripts for graphs cannot use end in a message, and not in a traceback."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models

from scripts import onnx_files


def refused(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(SystemExit) as error:
        call(*arguments)
    return str(error.value)


def test_a_model_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert "no such file; give a model in ONNX" in refused(onnx_files.read_model, path)
    assert "is a folder; give a model in ONNX" in refused(onnx_files.read_model, tmp_path)
    for damaged in (b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"\x00\xff" * 50):
        path.write_bytes(damaged)
        assert str(path) in refused(onnx_files.read_model, path)
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "graph", value[:1], value[1:])
    onnx.save(helper.make_model(graph), path)
    assert onnx_files.read_model(path).graph.node[0].op_type == "Identity"


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1024]) for name in "ab"]
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [1024], b"\x00" * 4096, raw=True)
    add = helper.make_node("Add", ["a", "weights"], ["b"])
    model = helper.make_model(helper.make_graph([add], "graph", value[:1], value[1:], [weights]))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    assert onnx_files.read_model(path).graph.initializer[0].name == "weights"
    (tmp_path / "weights.bin").unlink()
    assert "weights.bin" in refused(onnx_files.read_model, path)


def test_a_tokenizer_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    assert "no such file; give a tokenizer.json" in refused(onnx_files.read_tokenizer, path)
    path.write_text("{}")
    assert "cannot be read as a tokenizer" in refused(onnx_files.read_tokenizer, path)
    Tokenizer(models.WordLevel({"[UNK]": 0}, "[UNK]")).save(str(path))
    assert onnx_files.read_tokenizer(path).get_vocab_size() == 1


def test_texts_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "Zoë"}\n\n{"text": "Köln"}\n{"text": 5}\n')
    assert onnx_files.read_texts(path, 2) == ["Zoë", "Köln"]
    assert "line 4: has no field `text` with a string" in refused(onnx_files.read_texts, path, 3)
    assert "--documents 0: give 1 or more" in refused(onnx_files.read_texts, path, 0)
    path.write_text("Köln")
    assert "line 1: is not JSON" in refused(onnx_files.read_texts, path, 1)
    path.write_text("\n")
    assert "has no texts" in refused(onnx_files.read_texts, path, 1)
    path.write_bytes("Köln".encode("latin-1"))
    assert "is not UTF-8" in refused(onnx_files.read_texts, path, 1)


def test_where_to_write_is_checked_first(tmp_path: Path) -> None:
    onnx_files.check_can_be_written(tmp_path / "out.onnx")
    assert "is a folder" in refused(onnx_files.check_can_be_written, tmp_path)
    assert "no such folder" in refused(onnx_files.check_can_be_written, tmp_path / "missing" / "out.onnx")
