"""A log of ten million rows is prepared within the memory that the options allow."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

SCRIPT = Path(__file__).parents[3] / "pipelines" / "prepare_data.py"
ROWS = 10_000_000
PROCESS_GIGABYTES = 1.0
"""What Python, TensorFlow and lists in passing need beside the database."""

MEASURED = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("peak kilobytes", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.soak
@pytest.mark.parametrize("memory_gigabytes", [0.5, 1.0])
def test_ten_million_rows_stay_within_the_memory_limit(tmp_path, memory_gigabytes):
    write_shop(tmp_path)
    config = {
        "data": {
            "options": {
                "log": str(tmp_path / "log.csv"),
                "catalogue": str(tmp_path / "catalogue.csv"),
                "min_impressions": 2,
                "memory_gigabytes": memory_gigabytes,
            },
            "lists": str(tmp_path / "lists"),
        }
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-c", MEASURED, str(SCRIPT), str(tmp_path / "config.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=True)
    peak = int(ended.stdout.rsplit("peak kilobytes", 1)[1]) / 1024**2
    statistics = json.loads((tmp_path / "lists" / "stats.json").read_text())
    print(f"peak {peak:.2f} GiB with memory_gigabytes {memory_gigabytes}, {statistics['steps']}")
    assert statistics["inputs"]["data.options.log"]["rows"] == ROWS
    assert peak < memory_gigabytes + PROCESS_GIGABYTES


def write_shop(folder) -> None:
    """Writes one impression per row: 50,000 queries with a head and a tail, millions of different pairs."""
    database = duckdb.connect()
    database.execute("SET memory_limit = '1GB'")
    database.execute(
        "COPY (SELECT 'query number ' || query AS query, 'p' || ((query * 7919 + choice) % 200000) AS document_id, "
        "1 + choice % 60 AS position, CAST(hash(i) % 20 = 0 AS INTEGER) AS clicks, 'session-' || i AS session "
        "FROM (SELECT i, CAST(floor(50000 * pow((hash(i * 3) % 1000000) / 1e6, 2)) AS BIGINT) AS query, "
        f"hash(i * 5) % 400 AS choice FROM range({ROWS}) AS r(i))) TO '{folder}/log.csv'"
    )
    database.execute(
        "COPY (SELECT 'p' || i AS document_id, 'Product ' || i || repeat(' and words', 10) AS title "
        f"FROM range(200000) AS r(i)) TO '{folder}/catalogue.csv'"
    )
