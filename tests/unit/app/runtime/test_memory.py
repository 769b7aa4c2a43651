from pathlib import Path

import pytest

from app.runtime import memory

GIB = 2**30


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/", {"memory.max": "max\n"}, None),
        ("0::/", {"memory.max": "1048576\n"}, 2**20),
        ("0::/a/b", {"a/memory.max": "2097152", "a/b/memory.max": "max"}, 2**21),
        ("4:memory:/a", {"memory/a/memory.limit_in_bytes": "3145728"}, 3 * 2**20),
        ("4:memory:/host", {"memory/memory.limit_in_bytes": "3145728"}, 3 * 2**20),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("4:cpu:/a", {"memory/a/memory.limit_in_bytes": "3145728"}, None),
        ("", {}, None),
    ],
)
def test_the_container_limits_the_memory_of_the_machine(
    tmp_path: Path, own: str, files: dict[str, str], limit: int | None
) -> None:
    for name, text in {**files, "own": own}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = memory.available(tmp_path / "nothing", tmp_path / "nothing")
    assert machine > GIB // 8
    assert memory.available(tmp_path, tmp_path / "own") == (limit or machine)
