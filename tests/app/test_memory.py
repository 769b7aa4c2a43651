import platform

from app import memory


def test_threads_share_arenas_where_the_c_library_is_glibc() -> None:
    assert memory.share() == (platform.libc_ver()[0] == "glibc")
