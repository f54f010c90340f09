"""Rebuilds concepts.npz after concepts.txt was edited, and SHA256SUMS with it. Needs numpy only.

    python -m core.embedders.local_data.build.bridge

A line of concepts.txt is one concept: ways to say it, a bar, and the classes that look like it. The
way closest to a text counts. Write general vocabulary: what is fitted to a test set helps nobody
else. The names of the classes are in concepts.npz; one that is not there is an error.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from core.embedders.local import CLASSES, DATA, _WordTable

CARRIED = ("lite0_w8.onnx", "text_table.npz", "concepts.npz", "concepts.txt", "quiet.npy", "NOTICE")


def build() -> None:
    words = _WordTable(DATA / "text_table.npz")
    with np.load(DATA / "concepts.npz") as table:
        names, labels = str(table["names"]), table["labels"]
    numbers = {name: number for number, name in reversed([*enumerate(names.split("\n"))])}
    lines = (DATA / "concepts.txt").read_text(encoding="utf-8").splitlines()
    synonyms, owner, spread = [], [], np.zeros((len(lines), CLASSES), np.float32)
    for row, line in enumerate(lines):
        ways, _, classes = line.partition("|")
        said = [*(way.strip() for way in ways.split(",")), ways]
        synonyms += said
        owner += [row] * len(said)
        spread[row, [numbers[name] for name in classes.split(";")]] = 1
    np.savez_compressed(
        DATA / "concepts.npz",
        labels=labels,
        bridge=words.vectors(synonyms).astype(np.float16),
        owner=np.array(owner, np.int16),
        spread=(spread / spread.sum(axis=1, keepdims=True)).astype(np.float16),
        names=np.array(names),
    )
    write_checksums(DATA)


def write_checksums(folder: Path) -> None:
    sums = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in CARRIED)
    lines = [f"{value}  {name}\n" for value, name in zip(sums, CARRIED, strict=True)]
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    build()
