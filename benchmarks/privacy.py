"""What the classifier finds on the labelled cases, beside detect-secrets as it comes, and how fast it reads.

    uv run python benchmarks/privacy.py [--megabytes N]

Prints one markdown table per part of the cases and one over all. The bare scanner scans each case as a file with its
own default plugins and filters; for it every finding but a public IP address counts as a secret (those
one of its filters drops again, as values without letters).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "privacy"))

from labelled import CLASSIFIER, PARTS, Case, Place, cases, ours, scored

from core.privacy import FindingKind, redact, scrub

SUFFIXES = {"py", "js", "ts", "json", "md", "ini", "toml", "env", "log", "go", "java", "rb", "php", "sh", "xml", "cs"}


def bare_scanner(folder: Path) -> Callable[[Case], list[Place]]:
    """detect-secrets on a file that holds the case."""

    def find(case: Case) -> list[Place]:
        suffix = (
            case.form if case.form in SUFFIXES else {"yaml": "yml", "properties": "properties"}.get(case.form, "txt")
        )
        path = folder / f"case.{suffix}"
        path.write_text(case.text, encoding="utf-8")
        collection = SecretsCollection()
        with default_settings():
            collection.scan_file(str(path))
        places: list[Place] = []
        for _, secret in collection:
            kind = FindingKind.IP_ADDRESS if "IP" in secret.type.split() else FindingKind.SECRET
            value = str(secret.secret_value)
            start = case.text.find(value)
            places.append((kind, max(start, 0), max(start, 0) + len(value)))
        return places

    return find


def table(title: str, over: Iterable[Case], bare: Callable[[Case], list[Place]]) -> str:
    """Precision, recall and F1 by kind; the bare scanner only where it looks for the kind at all."""
    chosen = tuple(over)
    mine, its = scored(chosen, ours), scored(chosen, bare)
    near = sum(not case.labels for case in chosen)
    lines = [
        f"\n**{title}**: {len(chosen)} cases, {near} of them near misses\n",
        "| kind | places | precision | recall | F1 | detect-secrets: precision | recall | F1 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in FindingKind:
        one, other = mine[kind], its[kind]
        compared = kind in (FindingKind.SECRET, FindingKind.IP_ADDRESS)
        beside = f"{other.precision:.3f} | {other.recall:.3f} | {other.f1:.3f}" if compared else "– | – | –"
        places = one.hits + one.misses
        lines.append(f"| {kind} | {places} | {one.precision:.3f} | {one.recall:.3f} | {one.f1:.3f} | {beside} |")
    return "\n".join(lines)


def speed(name: str, run: Callable[[str], object], text: str) -> str:
    """Megabytes per second of processor time over ``text``, read in pieces of 20 KB."""
    pieces = [text[start : start + 20_000] for start in range(0, len(text), 20_000)]
    run(pieces[0])
    started = time.process_time()
    for piece in pieces:
        run(piece)
    spent = time.process_time() - started
    return f"| {name} | {len(text.encode()) / 1e6 / spent:.2f} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=2.0)
    megabytes = parser.parse_args().megabytes
    with tempfile.TemporaryDirectory() as folder:
        bare = bare_scanner(Path(folder))
        for part in PARTS:
            print(table(part, cases(part), bare))
        print(table("all", (case for part in PARTS for case in cases(part)), bare))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path("core").rglob("*.py")))
    prose = (sources * (int(megabytes * 1e6 / len(sources)) + 1))[: int(megabytes * 1e6)]
    labelled = "\n".join(case.text for part in PARTS for case in cases(part))
    print("\n| reading | MB/s |\n|---|---:|")
    print(speed("classify, source code", CLASSIFIER.classify, prose))
    print(speed("classify, the cases (dense with findings)", CLASSIFIER.classify, labelled))
    print(speed("redact, source code", lambda text: redact(text, CLASSIFIER), prose))
    print(speed("scrub, source code", scrub, prose))
    line = (
        "2026-03-02 10:11:12,345 INFO index worker 3 wrote 512 passages of 48 documents in 0.231 s, 12 pending, " * 2
    )[:200]
    started = time.perf_counter()
    for _ in range(20_000):
        scrub(line)
    print(f"\nscrub of a clean line of 200 characters: {(time.perf_counter() - started) / 20_000 * 1e6:.1f} µs")


if __name__ == "__main__":
    main()
