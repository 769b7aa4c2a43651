"""The memory of all uploads together is bounded."""

import pytest

from app.errors import OverloadedError
from app.middleware.upload_memory import UploadMemory


def test_uploads_share_a_budget_which_ends_with_them() -> None:
    memory = UploadMemory(100)
    with memory.upload() as first:
        first.add(60)
        with memory.upload() as second:
            second.add(30)
            second.add(10)
            with pytest.raises(OverloadedError, match="0 KiB of other uploads") as refused:
                second.add(1)
            assert refused.value.headers == {"Retry-After": "1"}
            with pytest.raises(OverloadedError):
                first.add(1)
        assert memory.in_use == 60
        first.add(40)
    assert memory.in_use == 0


def test_an_upload_that_is_alone_may_exceed_it() -> None:
    memory = UploadMemory(100)
    with memory.upload() as only:
        only.add(99)
        only.add(1000)
        with memory.upload() as other, pytest.raises(OverloadedError):
            other.add(1)


def test_it_is_free_again_after_an_error() -> None:
    memory = UploadMemory(100)
    with pytest.raises(ZeroDivisionError), memory.upload() as upload:
        upload.add(1 // 0 if upload.add(7) is None else 0)  # type: ignore[func-returns-value]
    assert memory.in_use == 0
