"""What is said of the disk becomes events: each as it was said, and of too many a few."""

from edge.store.sentences import HOUR_NS, HOURLY, Sentences


def test_what_was_said_waits_in_order_and_as_it_was_said() -> None:
    said = Sentences()
    said.add(True, "It fails.")
    said.add(False, "It works.")
    assert list(said.due(1)) == [(True, "It fails."), (False, "It works.")]
    said.told(1, 1)
    assert list(said.due(2)) == [(False, "It works.")]


def test_of_more_than_an_hour_may_have_the_latest_waits_and_counts_the_others() -> None:
    said = Sentences()
    for n in range(HOURLY):
        said.add(True, f"{n}.")
        assert list(said.due(n)) == [(True, f"{n}.")]
        said.told(1, n)
    for word in ("One.", "Two.", "Three."):
        said.add(True, word)
    assert list(said.due(HOUR_NS - 1)) == []
    (only,) = said.due(HOUR_NS)
    assert only == (True, "Three. 2 more such messages before it were held back.")
    said.told(1, HOUR_NS)
    said.add(False, "It works.")
    assert list(said.due(HOUR_NS + 1)) == [(False, "It works.")]
