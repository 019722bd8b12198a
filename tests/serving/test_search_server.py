"""The search server as it is started, and its page as a visitor sees it."""

import json
import subprocess
import sys
import time

import httpx
import pytest

from tests.chromium import Chromium, find_chromium

PRODUCTS = """document_id,title,brand,price
a,red dress,acme,10
b,long red summer dress,acme,20
c,blue denim jacket,other,
"""
READ_TITLES = "[...document.querySelectorAll('ol')].map(l => [...l.children].map(i => i.firstChild.textContent))"
READ_ORIGINS = "[...new Set(performance.getEntriesByType('resource').map(e => new URL(e.name).origin))]"


def start(*arguments):
    command = [sys.executable, "serving/search_server.py", "--port", "0", "--fields", "title,brand", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("search") / "log.csv"


@pytest.fixture(scope="module")
def search_url(served, log):
    """The server over three products, with a ranker and one that is down."""
    catalogue = log.with_name("products.csv")
    catalogue.write_text(PRODUCTS)
    rankers = ["--ranker", f"new={served[0]}/ranker", "--ranker", "lost=http://127.0.0.1:1/ranker"]
    options = ["--catalogue", str(catalogue), "--features", "price", "--log", str(log), *rankers]
    with start("--deadline-milliseconds", "20000", *options) as server:
        line = server.stdout.readline()
        assert "over 3 products." in line
        yield next(word for word in line.split() if "://" in word)
        server.terminate()
        assert server.wait(60) == 0
        assert "Traceback" not in server.stderr.read()


def test_server_ranks_and_falls_back(search_url, served):
    def search(ranker):
        answer = httpx.get(f"{search_url}/search", params={"q": "red dress", "ranker": ranker, "log": "0"}, timeout=30)
        return [product["document_id"] for product in answer.json()["products"]], answer.json()["outcome"]

    body = {
        "query": ["red dress"],
        "title": [["red dress", "long red summer dress"]],
        "brand": [["acme"] * 2],
        "price": [[10, 20]],
        "rating": [[float("nan")] * 2],
    }
    (scores,) = httpx.post(f"{served[0]}/v1/models/ranker:predict", content=json.dumps({"inputs": body})).json()[
        "outputs"
    ]
    assert search("new") == (["a", "b"] if scores[0] >= scores[1] else ["b", "a"], "ranked")
    assert search("lost") == (["a", "b"], "down")
    assert search("") == (["a", "b"], "engine_only")


def read_rows(log, count):
    """Returns the lines of the log once there are so many."""
    deadline = time.monotonic() + 20
    while len(rows := log.read_text().splitlines()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows


def test_page_shows_two_orders_side_by_side_and_tells_of_clicks(search_url, log, tmp_path):
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed here; CI installs one")
    with Chromium(path, tmp_path / "profile") as browser:
        browser.open(search_url)
        browser.wait_for_text("Search", 60)
        browser.evaluate("document.getElementById('query').value = 'red dress'")
        browser.evaluate("document.getElementById('form').requestSubmit()")
        shown = browser.wait_for_text("down", 60)
        assert " ms, ranked" in shown and " ms, down" in shown and "acme · 10" in shown
        left, right = browser.evaluate(READ_TITLES)
        assert sorted(left) == sorted(right) == ["long red summer dress", "red dress"]
        assert right == ["red dress", "long red summer dress"], "the engine's order"
        assert browser.evaluate(READ_ORIGINS) == [search_url]
        browser.evaluate("document.querySelectorAll('li')[1].click()")
        rows = read_rows(log, 4)
    assert rows[0] == "time,query,document_id,position,impressions,clicks"
    assert [row.split(",", 1)[1].split(",", 2)[2] for row in rows[1:]] == ["1,1,0", "2,1,0", "2,0,1"]


LATE_BLUE = """
const send = window.fetch, held = [];
window.fetch = async (url, options) => {
  if (url.includes("q=blue")) await new Promise((go) => held.push(go));
  return send(url, options);
};
const seek = (query) => { document.getElementById("query").value = query; return search(); };
const late = seek("blue");
seek("dress").then(() => held.forEach((go) => go())).then(() => late).then(() => document.title = "both answered");
"""


def test_page_ignores_the_answer_to_an_older_search(search_url, tmp_path):
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed here; CI installs one")
    with Chromium(path, tmp_path / "profile") as browser:
        browser.open(search_url)
        browser.wait_for_text("Search", 60)
        browser.evaluate(LATE_BLUE)
        deadline = time.monotonic() + 60
        while browser.evaluate("document.title") != "both answered":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        shown = browser.evaluate(READ_TITLES)
    assert [sorted(titles) for titles in shown] == [["long red summer dress", "red dress"]] * 2


def test_settings_that_cannot_be_used_are_told_with_exit_code_2(tmp_path):
    catalogue = tmp_path / "products.csv"
    catalogue.write_text(PRODUCTS)
    for arguments, message in [
        ([], "usage: "),
        (["--catalogue", str(catalogue), "--language", "germen"], "invalid choice: 'germen'"),
        (["--catalogue", str(catalogue), "--features", "stock"], "--fields or --features"),
        (["--catalogue", str(tmp_path / "none")], "none"),
        (["--catalogue", str(catalogue), "--csv-encoding", "utf-7"], "`csv.encoding` must be utf-8, latin-1 or utf-16"),
        (["--open-search", "products"], "must read URL/INDEX"),
        (["--catalogue", str(catalogue), "--ranker", "new"], "must read NAME=URL/MODEL"),
        (["--catalogue", str(catalogue), *["--ranker", "new=http://127.0.0.1:1/a"] * 2], "names 'new' twice"),
    ]:
        with start(*arguments) as process:
            errors = process.communicate(timeout=60)[1]
        assert process.returncode == 2
        assert message in errors and errors.startswith(("error: ", "usage: "))
