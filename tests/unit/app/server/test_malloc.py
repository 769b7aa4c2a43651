import platform

from app.server import malloc


def test_arenas_are_limited_where_the_c_library_is_glibc() -> None:
    assert malloc.limit_arenas() == (platform.libc_ver()[0] == "glibc")
