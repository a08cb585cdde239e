"""What goes next: live rows first, then what goes again, then the backlog, at its rate."""

from edge.fleet.boxqueue import PER_S, BoxQueue, Chosen

S = 1_000_000_000


def all_of(queue: BoxQueue, now_ns: int) -> list[Chosen]:
    found = []
    while (chosen := queue.choose(now_ns, backlog=True)) is not None:
        found.append(chosen)
    return found


def test_live_rows_pass_the_backlog_and_what_goes_again_is_first_in_it() -> None:
    queue = BoxQueue()
    queue.put_off([1, 2, 3])
    queue.offer([8, 9], S)
    queue.again([5, 4])
    assert [each.row for each in all_of(queue, S)] == [8, 9, 4, 5, 1, 2, 3]
    assert len(queue) == 0


def test_a_row_that_waited_too_long_is_not_live_any_more() -> None:
    queue = BoxQueue()
    queue.offer([1], S)
    assert queue.choose(12 * S, backlog=False) is None
    assert queue.choose(12 * S, backlog=True) == Chosen(1, backfilled=True)


def test_without_a_connection_nothing_is_live() -> None:
    queue = BoxQueue()
    queue.offer([1], S)
    queue.disconnected()
    assert queue.choose(S, backlog=True) == Chosen(1, backfilled=True)


def test_the_backlog_keeps_to_its_rate_and_says_when_it_goes_on() -> None:
    queue = BoxQueue()
    queue.put_off(range(1000))
    first = len(all_of(queue, S))
    assert first == PER_S / 5
    wait_s = queue.wait_s
    assert wait_s is not None
    assert 0 < wait_s <= 1 / PER_S
    assert len(all_of(queue, S + S // 10)) == PER_S / 10
    queue.offer([5000], 2 * S)
    assert queue.choose(2 * S, backlog=True) == Chosen(5000, backfilled=False)
