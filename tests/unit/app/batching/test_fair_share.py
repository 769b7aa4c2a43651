from app.batching.fair_share import FairShare


def test_below_half_of_the_capacity_no_client_exceeds_its_share() -> None:
    shares = FairShare(100)
    shares.add("few", 1, 1)
    shares.add("many", 39, 39)
    assert shares.excess("many", 10) == 0
    assert shares.excess("many", 11) == 39 + 11 - 100 // 2


def test_a_client_alone_may_use_the_whole_capacity() -> None:
    shares = FairShare(100)
    shares.add("many", 99, 99)
    assert shares.excess("many", 1) == 0
    assert shares.surplus(1) == 0
    assert shares.surplus(2) == 1


def test_a_client_without_queued_rows_never_exceeds_its_share() -> None:
    shares = FairShare(100)
    for client in range(60):
        shares.add(client, 1, 1)
    assert shares.excess("new", 30) == 0
    assert shares.excess(0, 30) == 1 + 30 - 100 // 60


def test_a_refused_client_has_a_share_until_the_queue_is_empty() -> None:
    shares = FairShare(100)
    shares.add("many", 100, 100)
    assert shares.surplus(10) == 10
    shares.note_refused("few")
    shares.remove("many", 20, 20)
    assert shares.excess("many", 1) == 31  # that room is for others
    assert shares.excess("few", 10) == shares.surplus(10) == 0
    shares.remove("many", 80, 80)
    assert shares.waiting == 0
    shares.add("many", 60, 60)
    assert shares.excess("many", 1) == 0


def test_asking_changes_nothing() -> None:
    shares = FairShare(100)
    shares.add("many", 60, 60)
    for _ in range(2):
        assert shares.surplus(41) == 1
        assert shares.excess("few", 41) == 0
        assert shares.excess("many", 40) == 0


def test_the_number_of_remembered_clients_is_bounded() -> None:
    shares = FairShare(10_000)
    shares.add("many", 10_000, 10_000)
    for client in range(5000):
        shares.note_refused(client)
    assert shares.excess("many", 1) == 10_001 - 10_000 // 1001
