"""Ingestion as a whole (read, cut, store, index, embed) against bare FastEmbed on the same texts and threads.

uv run python benchmarks/ingest.py [PACKAGE …] [--threads N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from core.config import cache_folder, load_settings, with_flag
from core.engine import Duties
from core.index.model_files import resolve_model
from core.workspace import Workspace


def ours(packages: list[str], threads: int) -> tuple[float, list[str]]:
    """Passages a second from `add` to the last vector, and the texts that were embedded."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = with_flag(load_settings(root), "index.threads", threads)
        workspace = Workspace(root, settings, role="benchmark", duties=Duties.WORK)
        started = time.perf_counter()
        for package in packages:
            workspace.add_package(package, python=sys.executable)
        workspace.wait_until_idle()
        seconds = time.perf_counter() - started
        texts = []
        for item in workspace.agentfs.items.changes_since(0, 1_000_000):
            texts += [passage.embedding_text for passage in workspace.document(item.id).content.passages]
        workspace.close()
    unique = list(dict.fromkeys(texts))
    return len(unique) / seconds, unique


def bare(texts: list[str], threads: int, batch_size: int) -> float:
    """Passages a second of FastEmbed's own ``embed``."""
    from fastembed import TextEmbedding

    files = resolve_model(cache_folder())
    model = TextEmbedding(files.name, specific_model_path=str(files.folder), threads=threads)
    model.model.tokenizer.enable_truncation(256)
    started = time.perf_counter()
    count = sum(1 for _ in model.embed(texts, batch_size=batch_size))
    return count / (time.perf_counter() - started)


def main() -> None:
    """Measure in turn, so that a machine that slows down slows both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="*", default=["rich", "click"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    resolve_model(cache_folder())
    rates: dict[str, list[float]] = {"whole ingestion": [], "bare FastEmbed, batch 64": [], "bare, batch 256": []}
    texts: list[str] = []
    for _ in range(arguments.runs):
        rate, texts = ours(arguments.packages, arguments.threads)
        rates["whole ingestion"].append(rate)
        rates["bare FastEmbed, batch 64"].append(bare(texts, arguments.threads, 64))
        rates["bare, batch 256"].append(bare(texts, arguments.threads, 256))
    print(
        f"{len(texts):,} texts of {', '.join(arguments.packages)}, {arguments.threads} threads, {arguments.runs} runs\n"
    )
    print("| | passages/s (median) | ratio of ours |\n|---|---|---|")
    middle = statistics.median(rates["whole ingestion"])
    for name, values in rates.items():
        print(f"| {name} | {statistics.median(values):.1f} | {middle / statistics.median(values):.2f} |")


if __name__ == "__main__":
    main()
