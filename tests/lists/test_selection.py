"""Lists are cut and dropped by rules that differ between training and test, and every step is counted."""

from tfr_listbert.lists.selection import Selection
from tfr_listbert.schema import Document, RankedList


def make_list(*labels: float, first: int = 0) -> RankedList:
    documents = [Document(f"p{first + index}", {}, label) for index, label in enumerate(labels)]
    return RankedList("q", "q", tuple(documents))


def count(selection: Selection) -> list[tuple]:
    return [(step.name, step.lists, step.documents, step.products) for step in selection.build_steps()]


def test_the_first_documents_are_kept():
    kept = Selection(2, 1, None, False).choose_list(make_list(0, 1, 2), "train")
    assert kept == make_list(0, 1)


def test_short_lists_are_dropped_and_tests_may_ask_for_longer_ones():
    selection = Selection(None, 2, 3, True)
    assert selection.choose_list(make_list(1), "train") is None
    assert selection.choose_list(make_list(0, 1), "train") is not None
    assert selection.choose_list(make_list(0, 1), "test") is None
    assert selection.choose_list(make_list(0, 1), "validation") is None
    assert selection.choose_list(make_list(0, 1, 1), "test") is not None


def test_training_lists_with_equal_labels_are_dropped_unless_kept():
    equal = make_list(1, 1)
    assert Selection(None, 2, None, False).choose_list(equal, "train") is None
    assert Selection(None, 2, None, True).choose_list(equal, "train") is equal
    for split in ("validation", "test"):
        assert Selection(None, 2, None, False).choose_list(equal, split) is equal


def test_a_list_that_is_equal_only_as_cut_is_dropped():
    assert Selection(2, 2, None, False).choose_list(make_list(0, 0, 4), "train") is None


def test_steps_count_what_is_left():
    selection = Selection(2, 2, None, False)
    made = [make_list(0, 1, 2), make_list(3, 3), make_list(0, 0)]
    for split, one in [*(("train", one) for one in made), ("test", make_list(5, first=2))]:
        selection.choose_list(one, split)
    assert count(selection) == [
        ("read", 4, 8, 3),
        ("the first 2 of each list", 4, 7, 3),
        ("2 documents or more", 3, 6, 2),
        ("training labels not all 0", 2, 4, 2),
        ("training labels not all equal", 1, 2, 2),
    ]


def test_a_step_that_does_nothing_is_not_told():
    assert count(Selection(None, 2, 5, True)) == [
        ("read", 0, 0, 0),
        ("2 documents or more (5 in validation and test)", 0, 0, 0),
    ]
