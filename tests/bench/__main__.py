"""`make bench`: measurements beside a peer in the same run, as ratios. Nothing here passes or fails.

A table goes to standard output, all figures to bench.json. Times are milliseconds unless said; a figure is worth
something only beside its peer, since machines differ and are shared.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import claims, deliveries, pages, smooth, starts, tokens

BENCHES: dict[str, Callable[[Path], dict[str, object]]] = {
    "deliveries": deliveries.measure,
    "claims": claims.measure,
    "pages": pages.measure,
    "live log": smooth.measure,
    "starts": starts.measure,
    "tokens": tokens.measure,
}


def main() -> None:
    """Run every bench and show what it found."""
    found: dict[str, dict[str, object]] = {}
    for name, measure in BENCHES.items():
        with tempfile.TemporaryDirectory(prefix="kugetsu-bench-") as folder:
            found[name] = measure(Path(folder))
        print(f"\n{name}")
        for what, figure in found[name].items():
            print(f"  {what:<52} {figure}", flush=True)
    Path("bench.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
