"""One running session: how soon the answer follows an added row. Prints seconds as JSON, by the clock and of CPU.

python -m benchmarks.session DAY SOURCE FOUNDER: compares with the last published run and adds rows after DAY.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time

from benchmarks.processes import Latest, news

ROWS = 3


def main() -> None:
    since, source, founder = sys.argv[1:4]
    last = Latest(dt.date.fromisoformat(since), source, founder)
    from valuation.study import open_change

    change = open_change()
    assert change.answer
    seconds: list[tuple[float, float]] = []
    for number in range(1, ROWS + 1):
        subprocess.run(
            [sys.executable, "-m", "valuation", *news(last, number)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        start, busy = time.perf_counter(), time.process_time()
        change = open_change(like=change)
        assert len(change.answer["items"]) == number
        seconds.append((time.perf_counter() - start, time.process_time() - busy))
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
