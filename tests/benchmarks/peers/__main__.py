"""``python -m tests.benchmarks.peers`` makes the environment that ``python -m tests.benchmarks --peers`` runs them in."""

from __future__ import annotations

from tests.benchmarks.peers.environment import prepare

if __name__ == "__main__":
    print(prepare())
