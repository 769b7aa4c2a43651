"""Reads the tensors of a checkpoint, and finds the generator's among them.

People save a state dict as it is, in a dictionary with the optimiser's state, as a module of a
larger one, or from a wrapper that puts ``module.`` before every name. Nothing in a file is
executed: PyTorch reads tensors only.
"""

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from training.errors import ExportError
from training.export import foreign_file, safetensors_file

State = dict[str, Tensor]
"""Tensors by their names."""

_GENERATORS = re.compile(r"(?:.*_)?(?:gen|generator|netG|G)(?:_.*)?", re.IGNORECASE)
"""Names of complete generators among the modules of a GAN: generator, netG, G_ema, …"""
_DISCRIMINATORS = re.compile(r"(?:.*_)?(?:disc|discriminator|critic|netD|D)", re.IGNORECASE)
_DEPTH = 4
"""Levels of dictionaries in dictionaries that are searched."""
# Names that torch.compile, DistributedDataParallel and AveragedModel put before every name.
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")
_SAVE = "torch.save(netG.state_dict(), 'netG.pth')"


def read(path: Path) -> object:
    """The content of ``path``: tensors, in whatever they are stored in.

    Raises ExportError with the reason if it is not a checkpoint of tensors.
    """
    if safetensors_file.is_safetensors(foreign_file.head(path)):
        return safetensors_file.read(path)
    try:
        with warnings.catch_warnings():  # deprecations concern whoever wrote the file
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load has no error class of its own
        raise ExportError(f"{path}: {_reason(path, error)}") from error


def _reason(path: Path, error: Exception) -> str:
    """Why ``torch.load`` failed, in words that say what to do."""
    if _is_torchscript(path):
        return (
            "is TorchScript, which may contain code; save its tensors alone: "
            "torch.save(torch.jit.load(path).state_dict(), 'netG.pth')"
        )
    if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"contains an object of {found[1]}, which is not read, as reading it could run code; "
            f"save the tensors alone: {_SAVE}"
        )
    if isinstance(error, UnpicklingError):
        return f"not a state dict, or damaged; save it with {_SAVE}"
    sentence = re.split(r"[.:\n] ?", str(error))[0]
    return f"not a state dict, or damaged when it was copied: {sentence}"


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def networks(content: object, path: str = "", depth: int = _DEPTH) -> dict[str, State]:
    """All networks in ``content``, by the keys that lead to each, joined by dots.

    A network is a dictionary of tensors. If its modules are generators and discriminators, only the
    generators are returned.
    """
    if not isinstance(content, Mapping) or not depth:
        return {}
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    found = _generators(without_wrappers(tensors), path) if tensors else {}
    for key, value in content.items():
        found.update(networks(value, f"{path}{key}.", depth - 1))
    return found


def _generators(state: State, path: str) -> dict[str, State]:
    """The generators in ``state`` if all of its modules are known, else the whole."""
    heads = {name.partition(".")[0] for name in state}
    generators = {head for head in heads if _GENERATORS.fullmatch(head)}
    known = all(_DISCRIMINATORS.fullmatch(head) for head in heads - generators)
    if len(heads) == 1 or not generators or not known:
        return {path.removesuffix("."): state}
    return {f"{path}{head}": below(state, head) for head in sorted(generators)}


def at_key(content: object, key: str) -> dict[str, State]:
    """The tensors in ``content`` whose names begin with ``key``; empty if there are none."""
    state = without_wrappers(below(without_wrappers(flat(content)), key))
    return {key: state} if state else {}


def below(state: State, key: str) -> State:
    """The tensors of ``state`` whose names begin with ``key`` and a dot, without both."""
    start = f"{key}."
    return {name.removeprefix(start): t for name, t in state.items() if name.startswith(start)}


def flat(content: object, path: str = "", depth: int = _DEPTH) -> State:
    """All tensors in ``content``, with the keys that lead to them in their names."""
    if isinstance(content, Tensor):
        return {path.removesuffix("."): content}
    found: State = {}
    if isinstance(content, Mapping) and depth:
        for key, value in content.items():
            found.update(flat(value, f"{path}{key}.", depth - 1))
    return found


def without_wrappers(state: State) -> State:
    """``state`` without what wrappers add: a prefix of every name, and AveragedModel's count."""
    return {_WRAPPERS.sub("", name): t for name, t in state.items() if name != "n_averaged"}
