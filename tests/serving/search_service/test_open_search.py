"""Candidates come from OpenSearch as its official client gets them; what is wrong there is told."""

import pytest

from serving.search_service.engine import EngineError
from serving.search_service.open_search import OpenSearchEngine
from serving.search_service.service import SearchService

from .conftest import SOURCES


def test_documents_come_in_the_order_of_their_score(open_search):
    url, asked = open_search
    engine = OpenSearchEngine(url, "products", ["title", "brand"])
    first, second = engine.retrieve("red dress", 100)
    assert first == {
        "document_id": "b",
        "title": "long red dress",
        "brand": "red hat",
        "price": 20.0,
        "engine_score": 3,
    }
    assert (second["document_id"], second["engine_score"]) == ("a", 2)
    match = {"query": "red dress", "fields": ["title", "brand"], "type": "most_fields"}
    assert asked == [
        (
            "/products/_search",
            {"query": {"multi_match": match}, "size": 100, "_source": {"excludes": ["listbert_vector"]}},
        )
    ]


def test_document_without_an_id_of_the_shop_has_that_of_the_index(open_search):
    (product,) = OpenSearchEngine(open_search[0], "products", ["title"]).retrieve("blue", 5)
    assert product["document_id"] == "3"


def test_ids_that_the_index_holds_as_numbers_are_texts(open_search, monkeypatch):
    monkeypatch.setitem(SOURCES["3"], "document_id", 9007199254740993)
    (product,) = OpenSearchEngine(open_search[0], "products", ["title"]).retrieve("blue", 5)
    assert product["document_id"] == "9007199254740993"  # as numbers a page would round them


def test_service_ranks_what_the_index_holds(open_search):
    class Ranker:
        def score(self, query, documents):
            return [-document["price"] for document in documents]

    service = SearchService(OpenSearchEngine(open_search[0], "products", ["title"]), {"cheap": Ranker()}, 5.0)
    try:
        answer = service.search("dress", "cheap")
    finally:
        service.close()
    assert [product["document_id"] for product in answer.products] == ["a", "b"]
    assert answer.outcome == "ranked"


@pytest.mark.parametrize("index", ["nothing", "products"], ids=["no index", "no server"])
def test_engine_that_cannot_look_says_why(open_search, index):
    url = open_search[0] if index == "nothing" else "http://127.0.0.1:1"
    with pytest.raises(EngineError, match=f"index '{index}' of OpenSearch cannot be asked: .+"):
        OpenSearchEngine(url, index, ["title"]).retrieve("dress", 5)
