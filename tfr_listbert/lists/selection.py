"""Which lists are kept, and what each threshold costs."""

from __future__ import annotations

import dataclasses

from tfr_listbert.lists.request import Step
from tfr_listbert.schema import RankedList


class _Counter:
    def __init__(self, name: str):
        self._name, self._lists, self._documents, self._products = name, 0, 0, set()

    def add(self, ranked_list: RankedList) -> None:
        self._lists += 1
        self._documents += len(ranked_list.documents)
        self._products.update(document.document_id for document in ranked_list.documents)

    def build_step(self) -> Step:
        return Step(self._name, self._lists, self._documents, len(self._products))


class Selection:
    """Cuts lists to their size and drops those that cannot serve, counting what each step leaves.

    A list that is too short is dropped in every split. A training list whose labels are all 0, as where nobody clicked,
    or all equal has no order to learn and is dropped too, unless the config keeps it; in validation and test it stays,
    for a visitor may ask that query.
    """

    def __init__(self, list_size: int | None, min_list: int, min_test_list: int | None, keep_equal_labels: bool):
        """Takes the settings of the same names in the `data` section."""
        self._list_size, self._min_list, self._keep_equal_labels = list_size, min_list, keep_equal_labels
        self._min_test_list = min_list if min_test_list is None else min_test_list
        shortest = f"{self._min_list} documents or more"
        if self._min_test_list != self._min_list:
            shortest += f" ({self._min_test_list} in validation and test)"
        self._counters = {
            "read": _Counter("read"),
            "cut": _Counter(f"the first {list_size} of each list"),
            "long": _Counter(shortest),
            "relevant": _Counter("training labels not all 0"),
            "unequal": _Counter("training labels not all equal"),
        }
        if list_size is None:
            del self._counters["cut"]
        if keep_equal_labels:
            del self._counters["relevant"], self._counters["unequal"]

    def choose_list(self, ranked_list: RankedList, split: str) -> RankedList | None:
        """Returns the list as it is kept in `split`, or None if it is not."""
        self._counters["read"].add(ranked_list)
        if self._list_size is not None:
            ranked_list = dataclasses.replace(ranked_list, documents=ranked_list.documents[: self._list_size])
            self._counters["cut"].add(ranked_list)
        if len(ranked_list.documents) < (self._min_list if split == "train" else self._min_test_list):
            return None
        self._counters["long"].add(ranked_list)
        if self._keep_equal_labels:
            return ranked_list
        labels = {document.label for document in ranked_list.documents}
        if split == "train" and labels == {0.0}:
            return None
        self._counters["relevant"].add(ranked_list)
        if split == "train" and len(labels) == 1:
            return None
        self._counters["unequal"].add(ranked_list)
        return ranked_list

    def build_steps(self) -> list[Step]:
        """Returns what each step has left so far, in order."""
        return [counter.build_step() for counter in self._counters.values()]
