"""A log and a catalogue become graded lists, the same whatever form the log has, with every loss accounted for."""

import gzip
import json

import duckdb
import pytest

from tfr_listbert.config import build_dataclass
from tfr_listbert.lists.readers.clicks import ClicksReader
from tfr_listbert.schema import InputError

CATALOGUE = "document_id,title,price\n" + "".join(f"p{index},Product {index},{index}.5\n" for index in range(1, 10))

# query, product, position, impressions, clicks
SUMMED = [
    ("dress", "p1", 2, 100, 10),
    ("dress", "p2", 1, 60, 3),
    ("dress", "p2", 5, 40, 1),  # mean position 2.6, 4 clicks in 100
    ("dress", "p3", 1, 50, 0),
    ("dress", "p4", 1, 49, 40),
    ("dress", "p5", 4, 200, 15),
    ("coat", "p1", 1, 50, 0),
    ("coat", "p2", 2, 50, 0),
]


@pytest.fixture
def shop(tmp_path):
    """Gives a function that writes a log and returns a reader of it."""
    (tmp_path / "catalogue.csv").write_text(CATALOGUE)

    def build(text: str = "", **options) -> ClicksReader:
        (tmp_path / "log.csv").write_text(text or format_log(SUMMED))
        options = {"log": str(tmp_path / "log.csv"), "catalogue": str(tmp_path / "catalogue.csv"), **options}
        return build_dataclass(ClicksReader, options, "data.options")

    return build


def format_log(rows, header="query,document_id,position,impressions,clicks") -> str:
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


EXPECTED = {"dress": {"p3": 0, "p1": 4, "p2": 2, "p5": 3}, "coat": {"p1": 0, "p2": 0}}


def test_grades_are_those_of_the_papers_equation_1(shop, read):
    reading = read(shop())
    assert reading.labels == EXPECTED
    dress = next(one for one in reading.lists if one.query == "dress")
    assert [document.document_id for document in dress.documents] == ["p3", "p1", "p2", "p5"]
    assert [document.position for document in dress.documents] == [1, 2, 3, 4]
    assert dress.query_count == 200
    assert dress.split == ""


def test_each_threshold_says_what_it_leaves(shop, read):
    steps = read(shop(), list_size=3).steps
    assert [(step.name, step.lists, step.documents, step.products) for step in steps] == [
        ("shown in the log", 2, 7, 5),
        ("impressions >= 50", 2, 6, 4),
        ("the first 3 by position", 2, 5, 3),
    ]


def test_the_best_rate_is_that_of_the_list_as_cut(shop, read):
    rows = [("q", "p1", 1, 100, 5), ("q", "p2", 2, 100, 10), ("q", "p3", 3, 100, 100)]
    assert read(shop(format_log(rows)), list_size=2).labels == {"q": {"p1": 2, "p2": 4}}


def test_thirty_products_are_listed_unless_the_config_says_otherwise(tmp_path, read):
    (tmp_path / "catalogue.csv").write_text("document_id,title\n" + "".join(f"p{index},t\n" for index in range(40)))
    (tmp_path / "log.csv").write_text(format_log([("q", f"p{index}", index, 50, 1) for index in range(40)]))
    reader = ClicksReader(str(tmp_path / "log.csv"), str(tmp_path / "catalogue.csv"))
    assert [len(read(reader, list_size=size).lists[0].documents) for size in (None, 7, 40)] == [30, 7, 40]


def test_single_impressions_and_sums_give_the_same_lists(shop, read):
    single = [
        (query, product, position, int(index < clicks))
        for query, product, position, impressions, clicks in SUMMED
        for index in range(impressions)
    ]
    by_row = read(shop(format_log(single, "query,document_id,position,clicks")))
    assert sorted(by_row.lists, key=str) == sorted(read(shop()).lists, key=str)


@pytest.mark.parametrize("form", ["gzip", "parquet", "jsonl", "many files"])
def test_every_form_of_a_log_gives_the_same_lists(shop, read, tmp_path, form):
    expected = read(shop(), features=["price"]).lists
    options = {}
    if form == "gzip":
        (tmp_path / "log.csv.gz").write_bytes(gzip.compress(format_log(SUMMED).encode()))
        options = {"log": str(tmp_path / "log.csv.gz")}
    if form == "many files":
        for index, row in enumerate(SUMMED):
            (tmp_path / f"part-{index}.csv").write_text(format_log([row]))
        options = {"log": str(tmp_path / "part-*.csv")}
    if form in ("parquet", "jsonl"):
        names = ("event.query.text", "event.product.id", "event.rank", "shown", "clicked")
        columns = dict(zip(("query", "document_id", "position", "impressions", "clicks"), names, strict=True))
        (tmp_path / "log.jsonl").write_text("".join(json.dumps(nest(row)) + "\n" for row in SUMMED))
        duckdb.sql(f"COPY (FROM read_json('{tmp_path}/log.jsonl')) TO '{tmp_path}/log.parquet'")
        options = {"log": str(tmp_path / f"log.{form}"), "columns": columns}
    assert read(shop(**options), features=["price"]).lists == expected


def test_sums_that_only_some_files_give_are_not_taken_for_single_impressions(shop, read, tmp_path):
    (tmp_path / "part-a.csv").write_text(format_log(SUMMED[:4]))
    (tmp_path / "part-b.csv").write_text(format_log([("coat", "p1", 1, 0)], "query,document_id,position,clicks"))
    with pytest.raises(InputError, match="columns.impressions` must name a column of .*part-b.csv, which has no"):
        read(shop(log=str(tmp_path / "part-*.csv")))


def test_a_column_of_jsonl_counts_though_the_first_thousand_lines_have_none(shop, read, tmp_path):
    events = [{"query": "q", "document_id": "p1", "position": 1, "clicks": 0}] * 1500
    events += [{"query": "q", "document_id": "p2", "position": 1, "clicks": 0, "purchases": 3}] * 5
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    options = {"log": str(tmp_path / "log.jsonl"), "grading": "clicks_over_expected"}
    assert read(shop(**options)).labels == {"q": {"p1": 0, "p2": 4}}


def nest(row) -> dict:
    query, product, position, impressions, clicks = row
    event = {"query": {"text": query}, "product": {"id": product}, "rank": position}
    return {"event": event, "shown": impressions, "clicked": clicks}


def test_clicks_over_expected_clicks_allow_for_the_position(shop, read):
    rows = [("q", "p1", 1, 100, 20), ("q", "p2", 2, 100, 10), ("r", "p3", 1, 100, 20), ("r", "p4", 2, 100, 0)]
    # Rates: 0.2 at position 1, 0.05 at 2, 0.125 at all; 40 impressions make a prior of 5 clicks. Products of q have
    # (20 + 5) / (20 + 5) = 1 and (10 + 5) / (5 + 5) = 1.5, hence the grades ceil(4 / 1.5) = 3 and 4.
    options = {"grading": "clicks_over_expected", "prior_impressions": 40}
    assert read(shop(format_log(rows), **options)).labels == {"q": {"p1": 3, "p2": 4}, "r": {"p3": 4, "p4": 0}}


def test_carts_and_purchases_weigh_more_than_clicks(shop, read):
    header = "query,document_id,position,clicks,carts,purchases"
    rows = [("q", "p1", 1, 1, 1, 1)] + [("q", "p2", 1, 1, "", "")] + [("q", "p3", 1, 0, 0, 0)]
    options = {
        "grading": "clicks_over_expected",
        "columns": {"add_to_cart": "carts"},
        "prior_impressions": 0,
        "add_to_cart_weight": 3,
        "purchase_weight": 4,
    }
    # Engagement 8, 1 and 0 at the same position: 4 * 1 / 8 is below 1.
    assert read(shop(format_log(rows, header), **options)).labels == {"q": {"p1": 4, "p2": 1, "p3": 0}}


def test_a_lucky_product_is_pulled_towards_the_average(shop, read):
    rows = [("q", "p1", 1, 1000, 500), ("q", "p2", 1, 1, 1), ("q", "p3", 1, 1000, 100)]
    options = {"grading": "clicks_over_expected"}
    assert read(shop(format_log(rows), prior_impressions=0, **options)).labels["q"]["p1"] == 2
    assert read(shop(format_log(rows), **options)).labels["q"] == {"p1": 4, "p2": 3, "p3": 1}


def test_positions_that_nobody_engages_with_give_grade_0_without_a_prior(shop, read):
    rows = [("q", "p1", 1, 100, 20), ("q", "p2", 1, 100, 10), ("q", "p3", 9, 100, 0), ("r", "p3", 9, 100, 0)]
    # 15 of 100 at position 1: values 20 / 15 and 10 / 15; nothing is expected at position 9, and nothing came.
    options = {"grading": "clicks_over_expected", "prior_impressions": 0}
    assert read(shop(format_log(rows), **options)).labels == {"q": {"p1": 4, "p2": 2, "p3": 0}, "r": {"p3": 0}}


def test_windows_split_a_log_and_a_query_may_be_in_both(shop, read):
    times = ["2022-03-01 08:00:00", "2022-03-15", "2022-05-01", "2022-05-07T23:59:59Z", "2022-05-08"]
    rows = [("q", f"p{index}", 1, 50, 1, time) for index, time in enumerate(times, 1)]
    log = format_log(rows, "query,document_id,position,impressions,clicks,when")
    options = {"train_window": ["2022-03-01", "2022-03-15"], "test_window": ["2022-05-01", "2022-05-08"]}
    reading = read(shop(log, columns={"time": "when"}, **options), split_by="time")
    found = {one.split: {document.document_id for document in one.documents} for one in reading.lists}
    assert found == {"train": {"p1"}, "test": {"p3", "p4"}}
    assert reading.passed_over == {"log rows outside the windows": 2}
    assert reading.notes == ["the log runs from 2022-03-01 08:00 to 2022-05-08 00:00 (UTC)"]
    assert reading.rejected == []


def test_nothing_is_asked_of_rows_outside_the_windows(shop, read):
    rows = [
        ("q", "p1", 1, 50, 1, "2022-03-01"),
        ("q", "gone", 1, 50, 1, "2022-02-01"),
        ("", "p1", 1, 50, -1, "2021-01-01"),
    ]
    rows += [("q", "gone", 1, 50, 1, "2022-03-01"), ("", "p1", 1, 50, 1, "?")]
    options = {"train_window": ["2022-03-01", "2022-03-02"], "test_window": ["2022-05-01", "2022-05-02"]}
    log = format_log(rows, "query,document_id,position,impressions,clicks,time")
    reading = read(shop(log, **options), split_by="time")
    assert [row[1:3] for row in reading.rejected] == [(5, "product is not in the catalogue"), (6, "no query")]
    assert reading.passed_over == {"log rows outside the windows": 2}
    with pytest.raises(InputError, match="runs from 2022-02-01 00:00 to 2022-02-01 00:00: no row is in a window"):
        read(
            shop(format_log(rows[1:2], "query,document_id,position,impressions,clicks,time"), **options),
            split_by="time",
        )


def test_queries_that_differ_in_case_and_white_space_alone_are_one(shop, read):
    rows = [
        ("Red  dress", "p1", 1, 30, 3),
        ("red dress", "p1", 1, 40, 4),
        ("RED DRESS", "p2", 2, 60, 3),
        ("coat", "p1", 1, 50, 1),
    ]
    reading = read(shop(format_log(rows)))
    assert reading.labels == {"RED DRESS": {"p1": 4, "p2": 2}, "coat": {"p1": 4}}
    assert {one.query: one.query_count for one in reading.lists} == {"RED DRESS": 70, "coat": 50}
    assert reading.notes == ["4 spellings (case, white space) of 2 queries"]
    assert read(shop(format_log(rows), fold_queries=False)).labels == {"RED DRESS": {"p2": 4}, "coat": {"p1": 4}}


def test_a_query_is_written_as_its_own_window_has_it(shop, read):
    days = ("2022-03-01", "2022-05-01")
    rows = [("Coat", "p1", 1, 50, 1, days[0]), ("coat", "p1", 1, 90, 1, days[1])]
    options = {"train_window": [days[0], "2022-03-02"], "test_window": [days[1], "2022-05-02"]}
    lists = read(
        shop(format_log(rows, "query,document_id,position,impressions,clicks,time"), **options), split_by="time"
    ).lists
    assert {one.split: one.query for one in lists} == {"train": "Coat", "test": "coat"}


def test_sums_without_a_column_of_impressions_are_not_taken_for_single_impressions(shop, read):
    rows = [("q", f"p{n % 9 + 1}", 1, int(n < 5) + int(n < 2)) for n in range(100)]
    log = format_log(rows, "query,document_id,position,clicks")
    with pytest.raises(
        InputError, match="7 clicks in 100 rows, .* 2 of the 5 rows with a click have several. .* summed"
    ):
        read(shop(log))
    rows = [("q", "p1", 1, int(n < 5) + int(n < 1)) for n in range(100)]  # somebody clicked twice
    assert read(shop(format_log(rows, "query,document_id,position,clicks"))).labels == {"q": {"p1": 4}}


def test_counts_with_a_point_between_thousands_are_rejected(shop, read):
    rows = [("q", "p1", 1, "1.250", 10), ("q", "p2", 2, 980, 10)]
    reading = read(shop(format_log(rows)))
    assert [row[1:] for row in reading.rejected] == [
        (2, "impressions has three decimals; if the point stands between thousands, leave it out", "1.250")
    ]
    reading = read(shop(format_log(rows).replace(",", ";"), csv={"decimal": ","}, catalogue_csv={}))
    assert reading.rejected == [] and reading.lists[0].query_count == 1250


def test_the_catalogue_may_be_written_otherwise_than_the_log(shop, read, tmp_path):
    (tmp_path / "products.csv").write_text("document_id;title;price\np1;Röcke;1.299,50\n", encoding="latin-1")
    options = {"catalogue": str(tmp_path / "products.csv"), "catalogue_csv": {"encoding": "latin-1", "decimal": ","}}
    (one,) = read(shop(format_log([("röcke", "p1", 1, 50, 1)]), **options), features=["price"]).lists
    assert (one.query, one.documents[0].fields["title"]) == ("röcke", "Röcke")
    assert one.documents[0].features == {"price": 1299.5}


def test_validation_lists_may_be_of_a_window_of_their_own(shop, read):
    days = {"train": "2022-03-01", "validation": "2022-04-01", "test": "2022-05-01"}
    clicks = {"train": (20, 10), "validation": (8, 8), "test": (0, 0)}
    rows = [("q", f"p{n}", n, 100, clicks[split][n - 1], day) for split, day in days.items() for n in (1, 2)]
    log = format_log(rows, "query,document_id,position,impressions,clicks,time")
    options = {f"{split}_window": [day, f"{day[:-1]}2"] for split, day in days.items()}
    lists = read(shop(log, **options), split_by="time").lists
    found = {one.split: [document.label for document in one.documents] for one in lists}
    assert found == {"train": [4, 2], "validation": [4, 4], "test": [0, 0]}


def test_rates_of_the_test_window_do_not_reach_training_labels(shop, read):
    train = [("q", "p1", 1, 100, 20, "2022-03-01"), ("q", "p2", 2, 100, 10, "2022-03-01")]
    header = "query,document_id,position,impressions,clicks,time"
    options = {
        "grading": "clicks_over_expected",
        "train_window": ["2022-03-01", "2022-03-02"],
        "test_window": ["2022-05-01", "2022-05-02"],
    }
    labels = []
    for clicks in (1, 90):
        log = format_log([*train, ("r", "p3", 2, 100, clicks, "2022-05-01")], header)
        lists = read(shop(log, **options), split_by="time").lists
        labels.append([one for one in lists if one.split == "train"])
    assert labels[0] == labels[1]


def test_a_log_without_positions_is_ordered_by_impressions(shop, read):
    rows = [("q", "p1", 60, 0), ("q", "p2", 90, 9), ("q", "p3", 70, 1)]
    (one,) = read(shop(format_log(rows, "query,document_id,impressions,clicks"))).lists
    assert [(document.document_id, document.position) for document in one.documents] == [
        ("p2", 0),
        ("p3", 0),
        ("p1", 0),
    ]


def test_expected_clicks_without_positions_are_answered(shop, read):
    log = format_log([("q", "p1", 60, 0)], "query,document_id,impressions,clicks")
    with pytest.raises(InputError, match="needs the column of positions, .* without positions set `grading: ctr`"):
        read(shop(log, grading="clicks_over_expected"))
    with pytest.raises(InputError, match="`data.options.columns.position` must name a column of .* no column 'rank'"):
        read(shop(log, grading="clicks_over_expected", columns={"position": "rank"}))


def test_rates_need_no_position_and_nan_is_no_click(shop, read):
    rows = [("q", "p1", "", 60, 0), ("q", "p2", 2, 90, 9), ("q", "p3", 1, 70, "NaN")]
    reading = read(shop(format_log(rows)))
    assert reading.rejected == []
    (one,) = reading.lists
    assert [document.document_id for document in one.documents] == ["p3", "p2", "p1"]
    assert reading.labels == {"q": {"p1": 0, "p2": 4, "p3": 0}}


def test_rows_that_cannot_be_used_are_named_and_the_rest_counts(shop, read):
    rows = [
        ("", "p1", 1, 50, 1),
        ("q", "", 1, 50, 1),
        ("q", "gone", 1, 50, 1),
        ("q", "p1", 1, 50, -1),
        ("q", "p1", 1, -50, 1),
        ("q", "p1", "", 50, 1),
        ("q", "p1", 1, "", 1),
        ("q", "p1", 1, 50, "many"),
        ("q", " p1 ", 1, 50, 1),
    ]
    reading = read(shop(format_log(rows), grading="clicks_over_expected"))
    assert reading.rejected == [
        ("log.csv", 2, "no query", ""),
        ("log.csv", 3, "no document id", ""),
        ("log.csv", 4, "product is not in the catalogue", "gone"),
        ("log.csv", 5, "clicks is negative", "-1"),
        ("log.csv", 6, "impressions is negative", "-50"),
        ("log.csv", 7, "no position", ""),
        ("log.csv", 8, "no impressions", ""),
        ("log.csv", 9, "clicks is not a number", "many"),
    ]
    assert reading.inputs["data.options.log"]["rows"] == 9
    assert reading.labels == {"q": {"p1": 4}}


def test_products_that_cannot_be_used_are_named_with_what_hangs_on_them(shop, read, tmp_path):
    reader = shop(format_log([("q", "p1", 1, 50, 1), ("q", "p2", 2, 50, 1), ("q", "p3", 3, 50, 1)]))
    rows = "p1,First,1\np1,Second,2\np2,Dear,lots\n,Nameless,1\np3,,\n"
    (tmp_path / "catalogue.csv").write_text("document_id,title,price\n" + rows)
    reading = read(reader, features=["price"])
    assert reading.rejected == [
        ("catalogue.csv", 3, "the same document again; the first row is kept", "p1"),
        ("catalogue.csv", 4, "price is not a number", "lots"),
        ("catalogue.csv", 5, "no document_id", ""),
        ("log.csv", 3, "product is not in the catalogue", "p2"),
    ]
    first, last = reading.lists[0].documents
    assert (first.fields, first.features) == ({"title": "First"}, {"price": 1.0})
    assert last.fields == {"title": ""} and last.features["price"] != last.features["price"]


def test_a_catalogue_without_the_products_is_answered_with_how_its_ids_look(shop, read):
    log = format_log([("q", f"SKU-{index}", 1, 50, 1) for index in range(9)])
    with pytest.raises(InputError, match="9 of 9 rows of `data.options.log`(.|\n)*look like 'p[0-9]'(.|\n)*'SKU-0'"):
        read(shop(log), max_rate=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grading": "ctrs"}, "`data.options.grading` names no way of grading: got 'ctrs'. Did you mean 'ctr'"),
        ({"min_impressions": -1}, "`data.options.min_impressions` must be >= 0"),
        ({"prior_impressions": 3}, "prior_impressions` is read by `grading: clicks_over_expected` only"),
        ({"train_window": ["2022-01-01", "2022-01-02"]}, "test_window` must be"),
        ({"min_impresions": 1}, "`data.options.min_impresions` is not a setting. Did you mean 'min_impressions'"),
    ],
)
def test_options_are_checked_when_they_are_read(shop, options, message):
    with pytest.raises(InputError, match=message):
        shop(**options)


@pytest.mark.parametrize(
    ("options", "split_by", "message"),
    [
        ({}, "given", "`data.split.by` must be query or time, since a log assigns no split, got 'given'"),
        (
            {"columns": {"clicks": "impressions", "impressions": "clicks"}},
            "query",
            "has 599 clicks in 69 impressions: are `data.options.columns.clicks` and `impressions` each other's",
        ),
        ({}, "time", "`data.split.by: time` and `data.options.train_window` .* go together, got 'time'"),
        ({"columns": {"query": "qeury"}}, "query", "no column 'qeury'. Did you mean 'query'"),
        ({"columns": {"purchases": "clicks"}}, "query", "purchases` is not read by anything"),
        ({"catalogue_columns": {"title": "name"}}, "query", "catalogue_columns.title` must name a column .* 'name'"),
        ({"log": "nowhere/*.csv"}, "query", "`data.options.log` must name a file"),
    ],
)
def test_what_does_not_fit_the_files_is_answered(shop, read, options, split_by, message):
    with pytest.raises(InputError, match=message):
        read(shop(**options), split_by=split_by)


def test_lists_do_not_come_in_the_order_of_their_text(shop, read):
    rows = [(f"q{index:02d}", "p1", 1, 50, 1) for index in range(30)]
    queries = [one.query for one in read(shop(format_log(rows))).lists]
    assert queries != sorted(queries) and sorted(queries) == [row[0] for row in rows]
    assert queries == [one.query for one in read(shop(format_log(rows[::-1]))).lists]


def test_windows_do_not_reach_into_each_other(shop, read):
    header = "query,document_id,position,impressions,clicks,time"
    rows = [("q", "p1", 2, 100, 5, "2022-03-01"), ("q", "p2", 3, 100, 10, "2022-03-01")]
    rows += [("q", "p3", 1, 300, 90, "2022-05-01")]
    windows = {"train_window": ["2022-03-01", "2022-03-02"], "test_window": ["2022-05-01", "2022-05-02"]}
    lists = read(shop(format_log(rows, header), **windows), split_by="time", list_size=2).lists
    (train,) = [one for one in lists if one.split == "train"]
    found = [(d.document_id, d.position, d.label) for d in train.documents]
    assert found == [("p1", 1, 2.0), ("p2", 2, 4.0)] and train.query_count == 100


def test_a_products_place_is_its_mean_over_impressions_not_over_rows(shop, read):
    rows = [("q", "p1", 3, 100, 1), ("q", "p2", 1, 90, 1), ("q", "p2", 9, 10, 1)]  # 3, and 1.8 (of rows: 5)
    (one,) = read(shop(format_log(rows))).lists
    assert [document.document_id for document in one.documents] == ["p2", "p1"]


def test_impressions_without_a_position_have_no_part_in_the_mean(shop, read):
    rows = [("q", "p1", 10, 50, 1), ("q", "p1", "", 50, 1), ("q", "p2", 6, 50, 1)]
    (one,) = read(shop(format_log(rows))).lists
    assert [document.document_id for document in one.documents] == ["p2", "p1"]


def test_a_rounding_error_raises_no_grade(shop, read):
    rows = [("q", "p1", 1, 50, 36), ("q", "p2", 2, 50, 27)]  # 4 * 0.54 / 0.72 is 3.0000000000000004
    assert read(shop(format_log(rows))).labels == {"q": {"p1": 4, "p2": 3}}
