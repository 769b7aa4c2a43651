"""``import``: checkpoints in the forms in which people save them."""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parametrizations

from tests.dcgan_example import WIDTH, Example, expected, trained

State = dict[str, torch.Tensor]
Draw = Callable[[int], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def network() -> Example:
    torch.manual_seed(0)
    return trained(Example(16, 1))


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


DISCRIMINATOR = {"main.0.weight": torch.zeros(8, 1, 4, 4), "main.2.weight": torch.zeros(1, 8, 4, 4)}
OPTIMISER = {"state": {0: {"exp_avg": torch.zeros(10, 8, 4, 4)}}, "param_groups": [{"lr": 0.1}]}
FORMS: dict[str, Callable[[State], object]] = {
    "DataParallel": lambda s: prefixed(s, "module."),
    "torch.compile": lambda s: prefixed(s, "_orig_mod."),
    "both": lambda s: prefixed(s, "module._orig_mod."),
    "AveragedModel": lambda s: {"n_averaged": torch.tensor(3), **prefixed(s, "module.")},
    "generator.": lambda s: prefixed(s, "generator."),
    "Lightning": lambda s: {
        "epoch": 3,
        "state_dict": prefixed(s, "generator.") | prefixed(DISCRIMINATOR, "discriminator."),
    },
    "one module of a GAN": lambda s: prefixed(s, "netG.") | prefixed(DISCRIMINATOR, "netD."),
    "state_dict": lambda s: {"state_dict": s},
    "model_state_dict": lambda s: {
        "epoch": 5,
        "model_state_dict": s,
        "optimizer_state_dict": OPTIMISER,
        "loss": 0.5,
    },
    "generator": lambda s: {"generator": s, "discriminator": {}, "params": {"nz": WIDTH}},
    "netG": lambda s: {"netG": s, "netD": DISCRIMINATOR, "optimizerG": OPTIMISER},
    "double": lambda s: {name: tensor.double() for name, tensor in s.items()},
    "channels last": lambda s: {
        name: t.to(memory_format=torch.channels_last) if t.ndim == 4 else t for name, t in s.items()
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_generator_is_found_in_a_checkpoint(
    tmp_path: Path,
    publish: Callable[..., int],
    drawn: Draw,
    network: Example,
    form: Callable[[State], object],
) -> None:
    torch.save(form(network.state_dict()), tmp_path / "checkpoint.pth.tar")
    assert publish("import", tmp_path / "checkpoint.pth.tar") == 0
    assert np.abs(drawn(4).astype(int) - expected(network, 4)).max() <= 1


@pytest.mark.parametrize("key", ["ema.G", "ema"])
def test_a_key_names_one_of_several_generators(
    tmp_path: Path,
    publish: Callable[..., int],
    drawn: Draw,
    capsys: pytest.CaptureFixture[str],
    network: Example,
    key: str,
) -> None:
    path = tmp_path / "checkpoint.pth"
    other, averaged = Example(16, 1).state_dict(), network.state_dict()
    inner = prefixed(averaged, "module.G.") if key == "ema.G" else averaged
    torch.save({"netG": other, "ema": inner}, path)
    assert publish("import", path) == 1
    assert "several generators: choose one of --key ema, --key netG" in capsys.readouterr().err
    assert publish("import", path, "--key", "nets") == 1
    assert "contains nothing at --key nets" in capsys.readouterr().err
    assert publish("import", path, "--key", key) == 0
    assert np.abs(drawn(4).astype(int) - expected(network, 4)).max() <= 1


def test_unknown_modules_beside_a_generator_may_belong_to_it(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    state = prefixed(dict(Example(16).state_dict()), "generator.")
    torch.save({**state, "refine.0.weight": torch.zeros(3, 3, 4, 4)}, tmp_path / "gan.pth")
    assert publish("import", tmp_path / "gan.pth") == 1
    assert "if one module is the whole generator, name it by --key" in capsys.readouterr().err
    assert publish("import", tmp_path / "gan.pth", "--key", "generator") == 0


NORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "spectral norm": parametrizations.spectral_norm,
    "weight norm": parametrizations.weight_norm,
    "weight norm of all": lambda layer: parametrizations.weight_norm(layer, dim=None),  # type: ignore[arg-type]
    "old spectral norm": nn.utils.spectral_norm,
    "old weight norm": nn.utils.weight_norm,
}


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_spectral_and_weight_norm_are_folded_into_the_weights(
    tmp_path: Path,
    publish: Callable[..., int],
    drawn: Draw,
    norm: Callable[[nn.Module], nn.Module],
) -> None:
    network = Example(16)
    for layer in network.main:
        if isinstance(layer, nn.ConvTranspose2d):
            norm(layer)
    trained(network)
    torch.save(network.state_dict(), tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 0
    assert np.abs(drawn(4).astype(int) - expected(network, 4)).max() <= 1


@pytest.mark.parametrize(
    ("lost", "changed", "words"),
    [
        ("_u", {}, "main.0.weight_u: is missing"),
        ("_v", {}, "main.0.weight_v: is missing"),
        ("_u", {"main.0.parametrizations.weight.0._u": torch.ones(3)}, "do not fit each other"),
    ],
)
def test_parts_of_a_weight_that_do_not_fit_are_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    lost: str,
    changed: State,
    words: str,
) -> None:
    network = Example(16)
    parametrizations.spectral_norm(network.main[0])
    state = {k: v for k, v in network.state_dict().items() if not k.endswith(lost)} | changed
    torch.save(state, tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 1
    assert words in capsys.readouterr().err


def safetensors(state: Mapping[str, torch.Tensor], **changes: object) -> bytes:
    """A safetensors file, written after the format's description."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in state.items():
        content = tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        kind = {"float32": "F32", "int64": "I64", "bfloat16": "BF16"}[str(tensor.dtype)[6:]]
        entry = {"dtype": kind, "shape": list(tensor.shape)}
        header[name] = {**entry, "data_offsets": [len(data), len(data) + len(content)], **changes}
        data += content
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


@pytest.mark.parametrize("name", ["netG.safetensors", "netG.pth"])
def test_safetensors_are_read_under_any_name(
    tmp_path: Path, publish: Callable[..., int], drawn: Draw, network: Example, name: str
) -> None:
    (tmp_path / name).write_bytes(safetensors(network.state_dict()))
    assert publish("import", tmp_path / name) == 0
    assert np.abs(drawn(4).astype(int) - expected(network, 4)).max() <= 1


@pytest.mark.parametrize(
    ("changes", "cut", "words"),
    [
        ({"dtype": "F8_E4M3"}, 0, "unknown type F8_E4M3"),
        ({"shape": [3]}, 0, "damaged safetensors file"),
        ({"shape": [], "data_offsets": [0, 0]}, 0, "damaged safetensors file"),
        ({"shape": [0], "data_offsets": [0, 0]}, 0, "has the shape (0,), which is empty"),
        ({"more": 1}, 0, "damaged safetensors file"),
        ({}, 5, "damaged safetensors file"),
        ({}, 900, "damaged safetensors file"),
    ],
)
def test_a_damaged_safetensors_file_is_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    cut: int,
    words: str,
) -> None:
    content = safetensors({"main.0.weight": torch.ones(10, 1, 4, 4)}, **changes)
    (tmp_path / "netG.safetensors").write_bytes(content[: len(content) - cut])
    assert publish("import", tmp_path / "netG.safetensors") == 1
    assert words in capsys.readouterr().err


class Opened:
    """A pickle that runs code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("opened"),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "contains a dict, not a state dict"),
        ([1], "contains a list, not a state dict"),
        (torch.zeros(1), "contains a Tensor, not a state dict"),
        ({0: torch.zeros(3)}, "0 is not a tensor of a numbered layer"),
        ({"netG": {"main.0.weight": torch.zeros(1)}}, "main.0: has a weight but no running_mean"),
        ({"a": {"b": {"c": {"d": {"main.0.weight": torch.zeros(1)}}}}}, "contains a dict, not a"),
        (OPTIMISER, "exp_avg is not a tensor of a numbered layer"),
        ({"netD": DISCRIMINATOR, "encoder": {"x": torch.zeros(1)}}, "--key encoder, --key netD"),
        (Example(16), "contains an object of tests.dcgan_example.Example, which is not read"),
        ({"main.0.weight": Opened()}, "which is not read, as reading it could run code"),
    ],
    ids=[str(k) for k in range(10)],
)
def test_other_files_are_refused_without_running_code(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: object,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "netG.pth")
    assert publish("import", tmp_path / "netG.pth") == 1
    error = capsys.readouterr().err
    assert words in error
    assert "\x1b" not in error
    assert not (tmp_path / "opened").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused_with_the_remedy(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.jit.save(torch.jit.script(Example(16)), tmp_path / "netG.pth")  # type: ignore[no-untyped-call]
    assert publish("import", tmp_path / "netG.pth") == 1
    assert "torch.save(torch.jit.load(path).state_dict()" in capsys.readouterr().err


def test_a_cut_file_is_refused_in_one_line(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(Example(16).state_dict(), tmp_path / "whole.pth")
    (tmp_path / "netG.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:-500])
    assert publish("import", tmp_path / "netG.pth") == 1
    error = capsys.readouterr().err
    assert "not a state dict, or damaged when it was copied" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("command", ["import", "adopt"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html>", "is a web page"),
        (b"<html>", "is a web page"),
        (b"\x89HDF\r\n", "is an HDF5 file"),
        (b"nonsense", "not a"),
    ],
)
def test_what_people_have_in_place_of_the_file_is_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    command: str,
    content: bytes | None,
    words: str,
) -> None:
    path = tmp_path / "theirs"
    if content is not None:
        path.write_bytes(content)
    assert publish(command, path) == 1
    assert f"{path}: {words}" in capsys.readouterr().err
