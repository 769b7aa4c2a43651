import pytest

from app.api.openai.prompts import described, understand
from app.latent.conditions import AttributeSampler, ClassSampler

CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag")
CLOTHING = ClassSampler((*CLOTHES, "ankle-boot"), (0.1,) * 10)
DIGITS = ClassSampler(tuple("0123456789"), (0.1,) * 10)
NAMES = ("glasses", "beard", "closed_eyes", "smile", "hat", "blond_hair", "grey_hair", "no_neck")
FACES = AttributeSampler(NAMES, (0b1001,), {name: frozenset() for name in NAMES})


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("a red sneaker", ["sneaker"]),
        ("SNEAKERS!", ["sneaker"]),
        ("the sneaker's sole", ["sneaker"]),
        ("blue trousers", ["trouser"]),
        ("two dresses", ["dress"]),
        ("a shirt", ["shirt"]),
        ("a T-Shirt", ["t-shirt"]),
        ("tshirt", ["t-shirt"]),
        ("a tee shirt", ["t-shirt"]),
        ("ankle_boots", ["ankle-boot"]),
        ("a pair of boots", ["ankle-boot"]),
        ("a bag beside a coat", ["bag", "coat"]),
        ("a bag, not a coat", ["bag"]),
        ("not a bag", []),
        ("a bagel", []),
        ("ein Turnschuh", []),
        ("", []),
        ("!?", []),
    ],
)
def test_words_of_a_prompt_name_classes(prompt: str, names: list[str]) -> None:
    found = understand(prompt, CLOTHING)
    assert found.mixture == dict.fromkeys(names, 1)
    assert found.amounts == {}
    assert found.text == " and ".join(names)
    assert understand(found.text, CLOTHING) == found


@pytest.mark.parametrize(
    ("prompt", "names"),
    [("the digit 7", "7"), ("seven", "7"), ("two sevens", "27"), ("7s", "7"), ("17", "")],
)
def test_numbers_are_digits_or_words(prompt: str, names: str) -> None:
    assert understand(prompt, DIGITS).mixture == dict.fromkeys(names, 1)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("a face with glasses", "glasses"),
        ("a man with glasses, no beard", "glasses, no beard"),
        ("a bearded man with gray hair", "beard, grey hair"),
        ("Blonde hair and closed eyes", "blond hair, closed eyes"),
        ("beardless", "no beard"),
        ("smiling", "smile"),
        ("a man who isn't wearing glasses", "no glasses"),
        ("he doesn\u2019t smile", "no smile"),
        ("no thick black glasses", "no glasses"),
        ("no beard smiling", "no beard, smile"),
        ("not smiling but with a hat", "no smile, hat"),
        ("no beard and glasses", "no beard, glasses"),
        ("without hat and glasses", "no hat, no glasses"),
        ("no hat or glasses", "no hat, no glasses"),
        ("neither hat nor glasses", "no hat, no glasses"),
        ("a hat. No, no hat", "no hat"),
        ("no neck", "no neck"),  # the attribute's name
        ("hair", ""),
    ],
)
def test_words_of_a_prompt_name_and_negate_attributes(prompt: str, text: str) -> None:
    found = understand(prompt, FACES)
    assert found.text == text
    assert found.mixture == {}
    assert ", ".join(f"no {name}" if not has else name for name, has in found.amounts.items()) == (
        text.replace("d hair", "d_hair")
        .replace("y hair", "y_hair")
        .replace("d eyes", "d_eyes")
        .replace("no neck", "no_neck")
    )
    assert understand(found.text, FACES) == found


def test_what_an_image_shows_is_described_as_a_prompt() -> None:
    (row,) = CLOTHING.from_seeds([5])
    assert understand(described(CLOTHING, row), CLOTHING).mixture == {
        CLOTHING.names[int(row.argmax())]: 1
    }
    (row,) = FACES.from_seeds([5])
    assert understand(described(FACES, row), FACES).amounts == dict(zip(NAMES, row, strict=True))
