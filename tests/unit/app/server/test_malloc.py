import platform

from app.server import malloc


def test_threads_share_arenas_where_the_c_library_is_glibc() -> None:
    assert malloc.share() == (platform.libc_ver()[0] == "glibc")
