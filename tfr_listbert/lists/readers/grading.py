"""Grades from clicks, in SQL: what was shown, clicked and bought becomes a graded pair of query and product.

Both ways end alike: a product's grade is `ceil(4 * value / best value of its list)`, from 0 to 4, and a product that
nobody engaged with gets 0. They differ in the value.

- `ctr`: clicks over impressions (Kumar & Sarkar, ListBERT, 2022, equation 1).
- `clicks_over_expected`: engagement over what an average product gets at the same positions (Zhang & Jones, Comparing
  click logs and editorial labels for training query rewriting, 2007), with a prior that pulls products seldom shown
  towards the average, which is 1: `(engagement + prior * rate) / (expected + prior * rate)`. `rate` is the engagement
  per impression at all positions; `expected` sums over a product's impressions the rate at their position.
"""

from __future__ import annotations

from tfr_listbert.lists.tables.database import Database

GRADINGS = ("ctr", "clicks_over_expected")

_SUMS = """
    split, query, document_id,
    sum(impressions) AS impressions,
    sum(engagement) AS engagement,
    sum(position * impressions) / nullif(sum(impressions) FILTER (position IS NOT NULL), 0) AS position"""


def sum_by_ctr(database: Database) -> None:
    """Makes the table `pair` with the click-through rate as `value`.

    Args:
        database: has the table `shown` of `split`, `query`, `document_id`, `position`, `impressions` and `engagement`,
            in any number of rows per pair. The table `pair` has one, with `position` the mean over impressions that
            have one.
    """
    value = "sum(engagement) / nullif(sum(impressions), 0)"
    database.run(f"CREATE TABLE pair AS SELECT {_SUMS}, {value} AS value FROM shown GROUP BY ALL")


def sum_by_expected_clicks(database: Database, prior_impressions: float) -> None:
    """Makes the table `pair` with engagement over expected engagement as `value`; rates hold within one split.

    Args:
        database: as for `sum_by_ctr`.
        prior_impressions: weight of the prior, in impressions.
    """
    database.run(
        "CREATE TABLE position_rate AS SELECT split, round(position) AS place, "
        "sum(engagement) / sum(impressions) AS rate FROM shown GROUP BY ALL HAVING sum(impressions) > 0; "
        f"CREATE TABLE split_prior AS SELECT split, {prior_impressions} * sum(engagement) / "
        "nullif(sum(impressions), 0) AS prior FROM shown GROUP BY ALL"
    )
    expected = "sum(impressions * coalesce(rate, 0)) + any_value(prior)"  # 0 where nobody engaged, without a prior
    value = f"(sum(engagement) + any_value(prior)) / nullif({expected}, 0)"
    database.run(
        f"CREATE TABLE pair AS SELECT {_SUMS}, {value} AS value FROM (SELECT *, round(position) AS place FROM shown) "
        "LEFT JOIN position_rate USING (split, place) JOIN split_prior USING (split) GROUP BY ALL"
    )


def build_grade() -> str:
    """Returns SQL for the grade of a row of `pair`, given all rows of its list.

    A quotient a rounding error above a whole number is taken for that number.
    """
    best = "max(value) OVER (PARTITION BY split, query)"
    return f"CASE WHEN engagement > 0 THEN greatest(1.0, ceil(4 * value / {best} - 1e-9)) ELSE 0.0 END"
