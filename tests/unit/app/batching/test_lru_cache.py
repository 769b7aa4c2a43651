from app.batching.lru_cache import LruCache

# Bytes that an entry with a file of 1000 bytes takes, with some to spare.
ROOM = 1400


def test_files_are_evicted_in_the_order_of_their_last_use() -> None:
    cache = LruCache(3 * ROOM)
    for key in "abc":
        cache.put(key, key.encode() * 1000)
    assert cache.get("a") == b"a" * 1000  # now b is the least recently used
    cache.put("d", b"d" * 1000)
    assert cache.get("b") is None
    assert [cache.get(key) is not None for key in "acd"] == [True, True, True]
    assert 3000 < cache.size <= 3 * ROOM


def test_a_large_file_evicts_several_and_a_file_above_the_bound_none() -> None:
    cache = LruCache(3 * ROOM)
    for key in "abc":
        cache.put(key, bytes(1000))
    cache.put("huge", bytes(4 * ROOM))
    assert cache.get("huge") is None
    assert len(cache) == 3
    cache.put("large", bytes(2 * ROOM))
    assert [key for key in ("a", "b", "c", "large") if cache.get(key)] == ["large"]


def test_a_replaced_file_counts_once() -> None:
    cache = LruCache(3 * ROOM)
    cache.put("a", bytes(1000))
    before = cache.size
    cache.put("a", bytes(1000))
    assert (cache.size, len(cache)) == (before, 1)
    cache.put("a", bytes(500))
    assert cache.size == before - 500


def test_a_bound_of_0_stores_nothing() -> None:
    cache = LruCache(0)
    cache.put("a", b"")
    assert (cache.get("a"), cache.size, len(cache)) == (None, 0, 0)


def test_many_small_files_stay_within_the_bound() -> None:
    cache = LruCache(100_000)
    for k in range(10_000):
        cache.put(str(k), bytes(k % 700))
        assert cache.size <= 100_000
    assert 100 < len(cache) < 500
    for k in range(10_000):
        cache.put(str(k), b"")
    assert len(cache) > 300
