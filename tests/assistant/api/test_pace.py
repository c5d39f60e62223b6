"""A clock that the test moves."""

from assistant.api.pace import Pace


def test_so_many_a_minute_whenever_the_minute_begins():
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert [pace.wait(1, 3) for _ in range(3)] == [0, 0, 0]
    assert pace.wait(1, 3) == 60
    assert pace.wait(2, 3) == 0
    now[0] = 45
    assert pace.wait(1, 3) == 15
    now[0] = 60
    assert [pace.wait(1, 3) for _ in range(4)] == [0, 0, 0, 60]


def test_a_refused_request_does_not_count():
    now = [0.0]
    pace = Pace(lambda: now[0])
    for second in range(0, 120, 5):
        now[0] = second
        assert (pace.wait(1, 1) == 0) == (second % 60 == 0)
