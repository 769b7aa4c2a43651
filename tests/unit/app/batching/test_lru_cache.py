from app.batching.lru_cache import LruCache

# What a file of 1000 bytes takes, with all that is around it.
ROOM = 1400


def test_what_was_put_is_kept_until_there_is_no_room() -> None:
    cache = LruCache(3 * ROOM)
    for key in "abc":
        cache.put(key, key.encode() * 1000)
    assert cache.get("a") == b"a" * 1000  # used, so that b is now the oldest
    cache.put("d", b"d" * 1000)
    assert cache.get("b") is None
    assert [cache.get(key) is not None for key in "acd"] == [True, True, True]
    assert 3000 < cache.taken <= 3 * ROOM


def test_a_large_file_drives_out_several_and_one_too_large_none() -> None:
    cache = LruCache(3 * ROOM)
    for key in "abc":
        cache.put(key, bytes(1000))
    cache.put("huge", bytes(4 * ROOM))
    assert cache.get("huge") is None
    assert len(cache) == 3
    cache.put("large", bytes(2 * ROOM))
    assert [key for key in ("a", "b", "c", "large") if cache.get(key)] == ["large"]


def test_a_file_put_anew_counts_once() -> None:
    cache = LruCache(3 * ROOM)
    cache.put("a", bytes(1000))
    before = cache.taken
    cache.put("a", bytes(1000))
    assert (cache.taken, len(cache)) == (before, 1)
    cache.put("a", bytes(500))
    assert cache.taken == before - 500


def test_without_room_nothing_is_kept() -> None:
    cache = LruCache(0)
    cache.put("a", b"")
    assert (cache.get("a"), cache.taken, len(cache)) == (None, 0, 0)


def test_many_small_files_stay_within_the_bound() -> None:
    cache = LruCache(100_000)
    for k in range(10_000):
        cache.put(str(k), bytes(k % 700))
        assert cache.taken <= 100_000
    assert 100 < len(cache) < 500
    for k in range(10_000):
        cache.put(str(k), b"")
    assert len(cache) > 300
