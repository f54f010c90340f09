"""What 100 million segments would need, on paper: `python -m benchmarks.scale_model [rows:ms ...]`.

Nothing is run. Three kinds of numbers go in, and each line of the answer says which it rests on.

Published by the engine's makers and hosts, read in November 2026:

- vectors per compute unit, questions a second and price of Zilliz Cloud:
  https://docs.zilliz.com/docs/cu-types-explained
- memory of an HNSW index over its raw vectors (8 million of 768 dimensions: 31.2 GB over 22.9 GB)
  and 1 core for 4 GB, from the resource calculator described at
  https://www.alibabacloud.com/help/en/milvus/user-guide/milvus-resource-estimation-and-configuration-recommendations
- one shard is what a collection has by default, and spreads writes only:
  https://milvus.io/api-reference/pymilvus/v2.4.x/ORM/Collection/Collection.md

Measured on a small machine with 2 cores, 512 dimensions: the exact search of Milvus Lite, and rows a
second that one shard of a server took in. Other measurements of Lite, from benchmarks.search, can be
given as rows:milliseconds; the exponent is fitted to them.

Assumed: a segment of 4 seconds, one row each; a node of 64 GB that is filled to 70 %, for 400 USD a
month. A second option, such as sound, is as many rows again.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from core.settings import PRICE_PER_MINUTE

SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000)
DIMENSIONS = (512, 256, 128)
SEGMENT_SEC = 4.0

# Measured.
LITE_MS = {10_000: 7.0, 100_000: 65.0, 500_000: 430.0, 1_000_000: 1061.0}
ROWS_A_SECOND = 8_500

# Published.
INDEX_OVER_RAW = 31.2 / 22.9
GB_A_CORE = 4

# Assumed.
NODE_GB = 64
NODE_FILLED = 0.7
NODE_USD = 400


@dataclass(frozen=True)
class Unit:
    """A kind of compute unit of Zilliz Cloud: millions of vectors it holds by dimension, questions a
    second, and its price a month, which is that of a million 768-dimensional vectors times their
    number."""

    name: str
    millions: dict[int, float]
    questions: str
    usd: float


UNITS = (
    Unit("performance", {512: 2.25, 256: 4.5, 128: 7.5}, "500 to 1500", 1.5 * 65),
    Unit("capacity", {512: 7.5, 256: 15.0, 128: 25.0}, "100 to 300", 5 * 20),
    Unit("tiered", {512: 30.0, 256: 60.0, 128: 100.0}, "5 to 20", 20 * 7),
)


def main() -> None:
    given = [pair.split(":") for pair in sys.argv[1:]]
    print_lite({int(rows): float(ms) for rows, ms in given} or LITE_MS)
    for dimension in DIMENSIONS:
        print_servers(dimension)
    print_embedding()


def print_lite(measured: dict[int, float]) -> None:
    """Exact search in a file (measured, and drawn out by the exponent)."""
    exponent, factor = fitted(measured)
    print(f"Milvus Lite, exact: milliseconds grow with rows to the power of {exponent:.2f}")
    for rows in SIZES:
        print(f"  {rows:>12,} rows {factor * rows**exponent:>10,.0f} ms")
    within = (1000 / factor) ** (1 / exponent)
    print(f"  one second is reached at {within:,.0f} rows: beyond that, a server\n")


def fitted(measured: dict[int, float]) -> tuple[float, float]:
    """The exponent and the factor of the power law through these points."""
    slope, level = np.polyfit(np.log(list(measured)), np.log(list(measured.values())), 1)
    return float(slope), math.exp(float(level))


def print_servers(dimension: int) -> None:
    """Memory and nodes of one's own (published, assumed), and units of Zilliz Cloud (published)."""
    print(f"{dimension} dimensions")
    names = "".join(f"{f'Zilliz {unit.name}':>22}" for unit in UNITS)
    print(f"{'rows':>14}{'raw GB':>9}{'index GB':>10}{'own nodes':>17}{names}{'one shard':>12}")
    for rows in SIZES:
        raw = rows * dimension * 4 / 1e9
        index = raw * INDEX_OVER_RAW
        nodes = math.ceil(index / (NODE_GB * NODE_FILLED))
        own = f"{nodes} = {nodes * NODE_USD:,} USD"
        units = "".join(f"{_units(unit, rows, dimension):>22}" for unit in UNITS)
        loading = f"{rows / ROWS_A_SECOND / 3600:.1f} h"
        print(f"{rows:>14,}{raw:>9.1f}{index:>10.1f}{own:>17}{units}{loading:>12}")
    cores = NODE_GB // GB_A_CORE
    speeds = ", ".join(f"{unit.name} {unit.questions}" for unit in UNITS)
    print(f"  USD a month, of nodes those that search, with {cores} cores each")
    print(f"  questions a second: {speeds}\n")


def _units(unit: Unit, rows: int, dimension: int) -> str:
    number = math.ceil(rows / 1e6 / unit.millions[dimension])
    return f"{number} = {number * unit.usd:,.0f} USD"


def print_embedding() -> None:
    """What it costs once to embed so much (list price of the settings)."""
    price = max(PRICE_PER_MINUTE.values())
    print(f"Embedding at Twelve Labs, at {price} USD a minute, once")
    for rows in SIZES:
        minutes = rows * SEGMENT_SEC / 60
        print(f"  {rows:>12,} rows {minutes / 60:>10,.0f} hours {minutes * price:>12,.0f} USD")


if __name__ == "__main__":
    main()
