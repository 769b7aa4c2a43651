from pathlib import Path

import numpy as np
import pytest

from training.data import label_file
from training.errors import DataError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def test_each_line_names_an_image_and_the_attributes_that_it_has(path: Path) -> None:
    path.write_text('\ufeffanna.jpg,glasses,smile\n\n"b, c.png", smile ,\r\n,,\nholidays/d.jpg\n')
    found = label_file.read(path)
    assert found.images == ("anna.jpg", "b, c.png", "holidays/d.jpg")
    assert found.names == ("glasses", "smile")
    np.testing.assert_array_equal(found.has, [[1, 1], [0, 1], [0, 0]])
    assert str(found.error(1, "is damaged")) == f"{path}, line 3: is damaged"


NO_NAME = "is no name of an attribute, which begins with a letter from a to z, goes on with such"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg,hat\nb.jpg,Red hair\n", f", line 2: 'Red hair' {NO_NAME}"),
        ("a.jpg,1\n", f", line 1: '1' {NO_NAME}"),
        (f"a.jpg,{'x' * 33}\n", f"' {NO_NAME}"),
        ("a.jpg,sefa_1\n", ", line 1: sefa_1 is a name of directions without labels; choose"),
        ("a.jpg,hat,scarf,hat\n", ", line 1: hat is named twice"),
        ("a.jpg,hat\n\nb.jpg\na.jpg,scarf\n", ", line 4: a.jpg is on line 1 already"),
        (",hat\n", ", line 1: begins without an image"),
        ("", ": has no image with an attribute; a line is IMAGE,NAME,NAME"),
        ("a.jpg\nb.jpg\n", ": has no image with an attribute; a line is IMAGE,NAME,NAME"),
        ('a.jpg,"hat\n', ": is no CSV file in UTF-8: "),
    ],
)
def test_the_error_names_file_line_and_what_is_allowed(path: Path, text: str, words: str) -> None:
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        label_file.read(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_a_file_that_is_no_text_or_is_missing_is_named(path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: cannot be read: No such file"):
        label_file.read(path)
    path.write_bytes(b"a.jpg,\xff\n")
    with pytest.raises(DataError, match=r"labels\.csv: is no CSV file in UTF-8"):
        label_file.read(path)
