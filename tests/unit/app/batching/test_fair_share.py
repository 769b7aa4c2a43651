from app.batching.fair_share import FairShare


def test_while_half_is_free_nobody_has_too_much() -> None:
    shares = FairShare(100)
    shares.take("few", 1)
    shares.take("many", 39)
    assert shares.excess("many", 10) == 0
    assert shares.excess("many", 11) == 39 + 11 - 100 // 2


def test_who_is_alone_may_have_it_all() -> None:
    shares = FairShare(100)
    shares.take("many", 99)
    assert shares.excess("many", 1) == 0
    assert shares.surplus("many", 1) == 0
    assert shares.surplus("many", 2) == 1


def test_who_holds_nothing_is_never_over_the_share() -> None:
    shares = FairShare(100)
    for client in range(60):
        shares.take(client, 1)
    assert shares.excess("new", 30) == 0
    assert shares.excess(0, 30) == 1 + 30 - 100 // 60


def test_who_was_turned_away_has_a_share_until_nobody_waits() -> None:
    shares = FairShare(100)
    shares.take("many", 100)
    assert shares.surplus("few", 10) == 10
    shares.free("many", 20)
    assert shares.excess("many", 1) == 31  # that room is for others
    assert shares.excess("few", 10) == shares.surplus("few", 10) == 0
    shares.free("many", 80)
    assert shares.waiting == 0
    shares.take("many", 60)
    assert shares.excess("many", 1) == 0


def test_how_many_were_turned_away_does_not_grow_without_end() -> None:
    shares = FairShare(10_000)
    shares.take("many", 10_000)
    for client in range(5000):
        assert shares.surplus(client, 1)
    assert shares.excess("many", 1) == 10_001 - 10_000 // 1001
