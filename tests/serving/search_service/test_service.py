"""Visitors get their products, ordered by the ranker if it answers in time, and what they saw is logged."""

import asyncio
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import threading
import time

import duckdb
import httpx
import pytest

from serving.search_service.app import build_search_app
from serving.search_service.engine import MemoryEngine
from serving.search_service.impressions import ImpressionLog
from serving.search_service.service import SearchService
from tfr_listbert.lists.readers.clicks import ClicksReader
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.rejections import Rejections

PRODUCTS = [
    {"document_id": "a", "title": "red dress", "price": 10.0},
    {"document_id": "b", "title": "red dress long", "price": float("nan")},
    {"document_id": "c", "title": "blue hat"},
]


class Ranker:
    """Prefers long titles, after a wait or with a fault."""

    def __init__(self, seconds=0.0, fault=None):
        self.seconds, self.fault = seconds, fault

    def score(self, query, documents):
        time.sleep(self.seconds)
        if self.fault:
            raise self.fault
        return [float(len(document["title"])) for document in documents]


@pytest.fixture
def search():
    """Searches once with a ranker; returns the ids, the outcome and the counts."""
    services = []

    def call(ranker, query="red dresses", name="new", deadline=0.5):
        service = SearchService(MemoryEngine(PRODUCTS, ["title"]), {"new": ranker}, deadline_seconds=deadline)
        services.append(service)
        answer = service.search(query, name)
        return [product["document_id"] for product in answer.products], answer.outcome, service.counts

    yield call
    for service in services:
        service.close()


def test_ranker_orders_what_the_engine_finds(search):
    ids, outcome, counts = search(Ranker())
    assert (ids, outcome) == (["b", "a"], "ranked")
    assert counts == {"ranked": 1, "late": 0, "down": 0, "engine_only": 0}


def test_late_ranker_leaves_the_engines_order(search):
    ids, outcome, counts = search(Ranker(seconds=0.5), deadline=0.05)
    assert (ids, outcome, counts["late"]) == (["a", "b"], "late", 1)


@pytest.mark.parametrize("fault", [RuntimeError("no"), httpx.ConnectError("no")])
def test_ranker_that_is_down_leaves_the_engines_order_and_says_why_once(fault, caplog):
    service = SearchService(MemoryEngine(PRODUCTS, ["title"]), {"new": Ranker(fault=fault)}, deadline_seconds=0.5)
    for _ in range(2):
        answer = service.search("red dresses", "new")
        assert [product["document_id"] for product in answer.products] == ["a", "b"] and answer.outcome == "down"
    service.close()
    assert caplog.messages == [f"The ranker new is down: {type(fault).__name__}: no"]


def test_a_fault_that_lasts_is_told_again_each_minute(search, caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("serving.search_service.service.time.monotonic", lambda: now[0])
    service = SearchService(MemoryEngine(PRODUCTS, ["title"]), {})
    for number in range(150):
        service._warn(f"fault {number}")
    for now[0] in (10.0, 59.0, 61.0):
        service._warn("fault 149")
    service._warn("fault 0")
    service.close()
    assert caplog.messages[150:] == ["fault 149 (2 times more since it was last said)", "fault 0"]


def test_a_ranker_that_hangs_does_not_keep_others_waiting():
    hung = threading.Event()

    class Hung:
        def score(self, query, documents):
            hung.wait()

    rankers = {"hung": Hung(), "new": Ranker()}
    service = SearchService(MemoryEngine(PRODUCTS, ["title"]), rankers, deadline_seconds=0.01)
    assert {service.search("dress", "hung").outcome for _ in range(40)} == {"late"}
    service._deadline_seconds = 30.0
    assert service.search("dress", "new").outcome == "ranked"
    hung.set()
    service.close()


@pytest.mark.parametrize(
    "scores",
    [[1.0], [1.0, 2.0, 3.0], None, [1.0, float("nan")]],
    ids=["too few", "too many", "none", "not a number"],
)
def test_ranker_that_answers_nonsense_is_down(search, scores):
    class Odd:
        def score(self, query, documents):
            return scores

    ids, outcome, counts = search(Odd())
    assert (ids, outcome, counts["down"]) == (["a", "b"], "down", 1)


def test_no_search_is_lost_from_the_counts():
    class SlowCounter(collections.Counter):
        def __getitem__(self, name):
            count = super().__getitem__(name)
            time.sleep(0.01)  # long enough for another thread to read the same count
            return count

    service = SearchService(MemoryEngine(PRODUCTS, ["title"]), {})
    service._counts = SlowCounter()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: service.search("dress", ""), range(16)))
    service.close()
    assert service.counts["engine_only"] == 16


def test_search_without_ranker_or_products_asks_none(search):
    assert search(Ranker(fault=RuntimeError), name="")[:2] == (["a", "b"], "engine_only")
    assert search(Ranker(fault=RuntimeError), query="sofa")[:2] == ([], "engine_only")


class Client:
    """Asks the application without a socket."""

    def __init__(self, app):
        self.app = app

    def request(self, method, path, **options):
        async def send():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)


@pytest.fixture
def client(tmp_path):
    service = SearchService(MemoryEngine(PRODUCTS, ["title"]), {"new": Ranker()}, deadline_seconds=5.0)
    log = ImpressionLog(tmp_path / "log.csv")
    page = tmp_path / "index.html"
    page.write_text("<title>Search</title>")
    yield Client(build_search_app(service, log, page))
    service.close()
    log.close()


def test_shown_and_clicked_products_are_summed_as_the_reader_sums_them(client, tmp_path):
    answer = client.get("/search", params={"q": "red dress", "ranker": "new"}).json()
    assert [product["document_id"] for product in answer["products"]] == ["b", "a"]
    assert "price" not in answer["products"][0]  # NaN is no JSON
    client.get("/search", params={"q": "red dress", "ranker": "", "log": "0"})
    client.get("/search", params={"q": " red\r\n dress " + "x" * 2000})  # a log has one line, and so many letters
    click = {"query": "red\tdress\n", "document_id": "a", "position": 2}
    assert client.post("/click", json=click).status_code == 200
    rows = duckdb.sql(
        f"SELECT query, document_id, position, sum(impressions), sum(clicks) FROM '{tmp_path}/log.csv' "
        "GROUP BY ALL ORDER BY position"
    ).fetchall()
    long = f"red dress {'x' * 990}"
    assert sorted(rows) == sorted(
        [("red dress", "b", 1, 1, 0), ("red dress", "a", 2, 1, 1), (long, "a", 1, 1, 0), (long, "b", 2, 1, 0)]
    )


def test_log_is_read_by_the_reader_of_clicks(tmp_path):
    log = ImpressionLog(tmp_path / "log.csv")
    for _ in range(4):
        log.add_search("red dress", ["a", "b", "c"])
    for document_id, clicks in {"a": 1, "b": 4}.items():
        for _ in range(clicks):
            log.add_click("red dress", document_id, 1)
    log.close()
    (tmp_path / "catalogue.csv").write_text("document_id,title\na,hat\nb,coat\nc,shoe\n")
    reader = ClicksReader(str(tmp_path / "log.csv"), str(tmp_path / "catalogue.csv"), min_impressions=4)
    with Rejections(tmp_path / "rejected.csv", 0.0) as rejections:
        request = ReadRequest(tmp_path / "scratch", rejections, ("title",))
        (read,) = reader.read(request)
    assert (read.query, read.query_count) == ("red dress", 4)
    # Equation 1 of the paper: ceil(4 · CTR / highest CTR), of 1/4, 4/4 and 0/4.
    assert {one.document_id: one.label for one in read.documents} == {"a": 1.0, "b": 4.0, "c": 0.0}


def test_click_that_is_none_is_refused(client):
    good = {"query": "a", "document_id": "b", "position": 1}
    wrong = [("position", "first"), ("position", 1e999), ("position", -3), ("position", True), ("query", " ")]
    wrong += [("query", "\ud800"), ("query", {"a": 1}), ("document_id", None), ("document_id", "a\nb")]
    bodies = [json.dumps({**good, name: value}) for name, value in wrong]
    for body in ("x", "[]", "{}", *bodies):
        assert client.post("/click", content=body).status_code == 400
    for body in ("[" * 9000, json.dumps({**good, "position": 1001})):
        assert client.post("/click", content=body).status_code == 400
    assert client.post("/click", content=json.dumps({**good, "query": "a" * 10_000})).status_code == 413
    assert client.post("/click", content=json.dumps(good)).status_code == 200


def test_a_log_that_cannot_be_written_stops_no_search(tmp_path, caplog):
    service = SearchService(MemoryEngine(PRODUCTS, ["title"]), {})
    log = ImpressionLog(tmp_path / "log.csv")
    log._path = pathlib.Path("/dev/full")  # a disk without room
    client = Client(build_search_app(service, log, tmp_path))
    assert len(client.get("/search", params={"q": "dress"}).json()["products"]) == 2
    assert client.post("/click", json={"query": "a", "document_id": "b", "position": 1}).status_code == 200
    assert "The search log cannot be written" in caplog.text
    service.close()


def test_a_ranker_that_is_not_there_is_refused(client):
    answer = client.get("/search", params={"q": "dress", "ranker": "New"})
    assert (answer.status_code, answer.json()) == (400, {"error": "no ranker 'New'; there are: new"})


def test_page_rankers_and_counts_are_served(client):
    assert "<title>Search" in client.get("/").text
    assert client.get("/rankers").json() == ["new"]
    client.get("/search", params={"q": "red"})
    assert client.get("/counts").json()["engine_only"] == 1


def test_log_goes_on_where_it_was_and_keeps_rows_whole(tmp_path):
    for _ in range(2):
        log = ImpressionLog(tmp_path / "log.csv")
        threads = [threading.Thread(target=log.add_search, args=("a, b", ["1", "2"])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.close()
    rows = duckdb.sql(f"SELECT count(*), any_value(query) FROM '{tmp_path}/log.csv'").fetchall()
    assert rows == [(32, "a, b")]


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_log_that_is_rotated_begins_anew_with_its_header(tmp_path, is_copied):
    path, log = tmp_path / "log.csv", ImpressionLog(tmp_path / "log.csv")
    log.add_search("red hat", ["1"])
    if is_copied:
        shutil.copyfile(path, tmp_path / "log.csv.1")
        os.truncate(path, 0)
    else:
        path.rename(tmp_path / "log.csv.1")
    log.add_click("red hat", "1", 1)
    log.add_click("red hat", "1", 1)
    log.close()
    before, after = ((tmp_path / name).read_text().splitlines() for name in ("log.csv.1", "log.csv"))
    assert before[0] == after[0] == "time,query,document_id,position,impressions,clicks"
    assert (len(before), len(after)) == (2, 3)


def test_log_of_a_killed_service_is_gone_on_with_in_a_row_of_its_own(tmp_path):
    path = tmp_path / "log.csv"
    for before in ("", "time,query,document_id,position,impressions,clicks\r\n2026-01-01 00:00:00,dre"):
        path.write_text(before)
        log = ImpressionLog(path)
        log.add_search("red hat", ["1"])
        log.close()
        lines = path.read_text().splitlines()
        assert lines[0] == "time,query,document_id,position,impressions,clicks"
        assert lines[-1].endswith(",red hat,1,1,1,0")
