"""The command line ``python -m training``: its subcommands and their flags."""

import argparse
import functools
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError

from app import __version__
from training.config import EMPTY_PATH, Architecture, CheckpointChoice, Config
from training.data.avatars.options import AvatarsOptions
from training.encoder.options import EncoderOptions
from training.errors import StoppedError, TrainingError
from training.evaluation.options import (
    AttributesOptions,
    DirectionsOptions,
    EvaluateOptions,
    FeaturesOptions,
    ProbeOptions,
)
from training.export.options import ImportOptions
from training.figures.options import FiguresOptions


class Parser(argparse.ArgumentParser):
    """A parser of flags that are never abbreviated: ``--epoch`` is not ``--epochs``."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 # those of argparse
        super().__init__(allow_abbrev=False, **settings)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError(EMPTY_PATH)
    return Path(text)


# The type that add_subparsers returns has no public name.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001

_PROGRAM = "python -m training"
_NOT_INSTALLED = """\
error: {} is not installed. The trainer needs PyTorch and other packages:
  pip install '.[cpu,train]'
or, on Linux without a GPU, with PyTorch's build for CPUs, which is much smaller:
  pip install uv && uv pip install --torch-backend cpu '.[cpu,train]'"""

_NO_MEMORY = (
    "out of memory: {}; use smaller values, such as of --batch-size, --image-size, "
    "--generator-filters or --discriminator-filters, or fewer images"
)


def main(arguments: list[str] | None = None, program: str = _PROGRAM) -> int:
    """Run one subcommand. ``program`` is how the user calls it, for the help.

    Returns the exit status: 0 on success, 1 on a failure, 2 for invalid options, 130 if it was
    interrupted, 143 if it was terminated.
    """
    options = vars(parser(program).parse_args(arguments))
    command = options.pop("command")
    try:
        with _out_of_memory_named():
            command(options)
    except StoppedError as stopped:
        if text := str(stopped):  # the main process of several says it alone
            print(text, file=sys.stderr)
        return stopped.status
    except (TrainingError, OSError) as error:  # OSError: a full or read-only disk
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValidationError as error:
        for problem in error.errors():
            flag = "--" + "-".join(str(part) for part in problem["loc"]).replace("_", "-")
            value = shlex.quote(str(problem["input"]))
            print(f"error: {flag} {value}: {problem['msg']}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in {"", "app", "training"}:
            raise
        print(_NOT_INSTALLED.format(name), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _out_of_memory_named() -> Iterator[None]:
    """Raises TrainingError if memory runs out in this context."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        raise TrainingError(_NO_MEMORY.format(str(error).partition("\n")[0])) from error


def _is_of_memory(error: Exception) -> bool:
    """Whether memory ran out, that of a GPU or of the machine, for which PyTorch has no class."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    )


def parser(program: str = _PROGRAM) -> argparse.ArgumentParser:
    """The parser of the command line."""
    root = Parser(
        prog=program,
        description="Train DCGANs, evaluate them and publish them for the model server.",
    )
    root.add_argument("--version", action="version", version=f"{program} {__version__}")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    fit = _add_command(commands, "fit", "train a generator on images")
    fit.add_argument("--out", type=_path, required=True, help="folder of the run")
    fit.add_argument("--resume", action="store_true", help="continue the run in --out")
    fit.add_argument(
        "--dry-run", action="store_true", help="describe the run, but train and write nothing"
    )
    _add_fields(fit, Config)
    fit.set_defaults(command=_fit)
    encoder = _add_command(
        commands, "encoder", "train a generator's encoder, from images to latents"
    )
    encoder.add_argument("folder", type=_path, help="folder of a run, or models/NAME/VERSION")
    encoder.add_argument("--resume", action="store_true", help="continue the training in --out")
    _add_fields(encoder, EncoderOptions)
    encoder.set_defaults(command=_encoder)
    avatars = _add_command(commands, "avatars", "generate the cartoon faces for --dataset avatars")
    _add_fields(avatars, AvatarsOptions)
    avatars.set_defaults(command=_avatars)
    _add_publishing(commands)
    _add_importing(commands)
    _add_measuring(commands)
    return root


def _add_command(commands: Commands, name: str, purpose: str) -> Parser:
    """Add the command ``name``; its help begins with its ``purpose``, a clause."""
    description = f"{purpose[0].upper()}{purpose[1:]}."
    return commands.add_parser(name, help=purpose, description=description)


def _add_publishing(commands: Commands) -> None:
    """Add the commands that publish a model version or change one."""
    export = _add_command(commands, "export", "publish a run's generator as a model version")
    export.add_argument("run", type=_path, help="folder of the run")
    export.add_argument("--name", required=True, help="name of the model")
    export.add_argument("--version", type=int, required=True, help="number of the version, from 1")
    _add_models(export)
    export.add_argument(
        "--checkpoint",
        choices=get_args(CheckpointChoice),
        help="checkpoint to publish (default: the best if there is one, else the last)",
    )
    _add_default(export)
    export.set_defaults(command=_export)
    default = _add_command(commands, "default", "choose the default version of a model")
    default.add_argument("--name", required=True, help="name of the model")
    default.add_argument("--version", type=int, required=True, help="number of the version")
    _add_models(default)
    default.set_defaults(command=_default)


def _add_importing(commands: Commands) -> None:
    """Add the commands that publish a generator from elsewhere."""
    imported = _add_command(commands, "import", "publish a state dict of PyTorch's DCGAN example")
    _add_foreign(imported)
    _add_fields(imported, ImportOptions)
    imported.set_defaults(command=_import)
    adopt = _add_command(commands, "adopt", "publish an ONNX generator from elsewhere")
    _add_foreign(adopt)
    adopt.add_argument(
        "--range",
        choices=("tanh", "sigmoid", "byte"),
        default="tanh",
        help="range of its pixels: -1 to 1, 0 to 1, or 0 to 255 (default: tanh)",
    )
    adopt.add_argument(
        "--layout",
        choices=("nchw", "nhwc"),
        default="nchw",
        help="order of its output's axes (default: nchw)",
    )
    adopt.add_argument(
        "--input",
        metavar="classes=NAME",
        help="its input for classes, if it is conditional: one number for each class, or the index",
    )
    adopt.set_defaults(command=_adopt)


def _add_measuring(commands: Commands) -> None:
    """Add the commands that measure a run or show what it has learned."""
    evaluate = _add_command(commands, "evaluate", "measure a run or a published version")
    evaluate.add_argument("folder", type=_path, help="folder of a run, or models/NAME/VERSION")
    _add_fields(evaluate, EvaluateOptions)
    evaluate.set_defaults(command=_evaluate)
    attributes = _add_command(commands, "attributes", "find latent directions that add attributes")
    attributes.add_argument("folder", type=_path, help="folder of a run, or models/NAME/VERSION")
    _add_fields(attributes, AttributesOptions)
    attributes.set_defaults(command=_attributes)
    directions = _add_command(
        commands, "directions", "find latent directions for edits, without labels"
    )
    directions.add_argument("folder", type=_path, help="folder of a run, or models/NAME/VERSION")
    _add_fields(directions, DirectionsOptions)
    directions.set_defaults(command=_directions)
    probe = _add_command(commands, "probe", "measure a discriminator's features by a linear probe")
    probe.add_argument("run", type=_path, help="folder of the run")
    _add_fields(probe, ProbeOptions)
    probe.set_defaults(command=_probe)
    figures = _add_command(commands, "figures", "draw interpolations, arithmetic, edits and more")
    figures.add_argument("run", type=_path, help="folder of a run, or models/NAME/VERSION")
    _add_fields(figures, FiguresOptions)
    figures.set_defaults(command=_figures)
    features = _add_command(
        commands, "features", "train the feature network of evaluate and of scores"
    )
    _add_fields(features, FeaturesOptions)
    features.set_defaults(command=_features)


def _add_foreign(command: argparse.ArgumentParser) -> None:
    """Add the flags that describe a generator trained elsewhere."""
    command.add_argument("path", type=_path, help="file of the generator")
    command.add_argument("--name", required=True, help="name of the model")
    command.add_argument("--version", type=int, help="number of the version (default: the next)")
    _add_models(command)
    _add_default(command)
    command.add_argument(
        "--prior",
        choices=("normal", "uniform"),
        default="normal",
        help="distribution of its latents (default: normal)",
    )
    command.add_argument(
        "--dataset", default="unknown", help="name of its data set, for the card (default: unknown)"
    )
    command.add_argument(
        "--licence",
        default="unknown",
        help="licence of the data set, for the card (default: unknown)",
    )


def _add_models(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models", type=_path, default=Path("models"), help="folder of models (default: models)"
    )


def _add_default(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--default",
        action="store_true",
        help="make it the default version of its model, even if its score is worse or unknown",
    )


def _add_fields(command: argparse.ArgumentParser, options: type[BaseModel]) -> None:
    """Add a flag for every field of ``options``.

    A flag that is not given is absent from the result, so that the preset or the default decides.
    """
    # The options of the architecture come last.
    fields = sorted(
        options.model_fields.items(), key=lambda field: field[0] in Architecture.model_fields
    )
    for name, field in fields:
        flag = "--" + name.replace("_", "-")
        default = "" if field.default in {None, ""} else f" (default: {field.default})"
        text = f"{field.description}{default}"
        if field.annotation is bool:
            action: Any = argparse.BooleanOptionalAction
            command.add_argument(flag, action=action, default=argparse.SUPPRESS, help=text)
        else:
            choices = field.default is not None and get_args(field.annotation)
            metavar = "{" + ",".join(map(str, choices)) + "}" if choices else None
            command.add_argument(flag, default=argparse.SUPPRESS, help=text, metavar=metavar)


# Options are validated before the modules of a command are imported, which takes seconds.


def _fit(options: dict[str, Any]) -> None:
    from training.export.source_folder import check_weights
    from training.export.teacher import find
    from training.loop import beginning, threads

    out, resume, dry_run = (options.pop(name) for name in ("out", "resume", "dry_run"))
    _, validated, _ = beginning.begin(out, options, resume, find)
    if validated.init_from and not resume:
        check_weights(validated.init_from)
    threads.wait_passively_if_busy()

    from training.evaluation.scoring import scorer
    from training.export.initial_weights import begin
    from training.loop.fit import Hooks, fit

    fit(out, options, resume, Hooks(scorer, begin, find), dry_run=dry_run)


def _encoder(options: dict[str, Any]) -> None:
    from training.loop import threads

    folder, resume = options.pop("folder"), options.pop("resume")
    EncoderOptions.model_validate(options)
    threads.wait_passively_if_busy()

    from training.encoder.encoder import encoder

    encoder(folder, options, resume)


def _avatars(options: dict[str, Any]) -> None:
    validated = AvatarsOptions.model_validate(options)

    from training.data.avatars.generate import generate

    print(f"generated {generate(validated)}")


def _export(options: dict[str, Any]) -> None:
    from training.encoder.publish import attach_of_run
    from training.export.publish import export

    folder = export(**options)
    with_encoder = attach_of_run(options["run"], folder)
    print(f"published {folder}{' with its encoder' if with_encoder else ''}")


def _import(options: dict[str, Any]) -> None:
    fields = {name: options.pop(name) for name in ImportOptions.model_fields if name in options}
    validated = ImportOptions.model_validate(fields)

    from training.export import state_dict

    source = functools.partial(state_dict.source, options=validated)
    _publish_foreign(options, source)


def _adopt(options: dict[str, Any]) -> None:
    from training.export import adopt

    flags = {name: options.pop(name) for name in ("range", "layout", "input")}
    _publish_foreign(options, functools.partial(adopt.source, options=adopt.Options(**flags)))


def _default(options: dict[str, Any]) -> None:
    from training.export.default_choice import set_default

    set_default(**options)
    print(f"version {options['version']} is the default of {options['name']} now")


def _publish_foreign(options: dict[str, Any], source: Callable[..., Any]) -> None:
    from app.artifact.card import DataSet
    from training.export.publish import new_version_folder, publish

    folder = new_version_folder(options["models"], options["name"], options["version"])
    dataset = DataSet(name=options["dataset"], licence=options["licence"], images=None)
    found = source(options["path"], options["prior"], dataset)
    publish(found, folder, default=options["default"])
    print(f"published {folder}")


def _evaluate(options: dict[str, Any]) -> None:
    folder, validated = options.pop("folder"), EvaluateOptions.model_validate(options)

    from training.encoder.evaluation import evaluate as evaluate_encoder
    from training.evaluation.evaluate import evaluate

    evaluate(folder, validated)
    evaluate_encoder(folder, validated)


def _attributes(options: dict[str, Any]) -> None:
    folder, validated = options.pop("folder"), AttributesOptions.model_validate(options)

    from training.evaluation.attributes import attributes
    from training.export.publish import add_directions, check_can_add

    def check(names: Iterable[str] = ()) -> None:
        if validated.publish:
            check_can_add(folder, names)

    check()
    found = attributes(folder, validated, check).directions()
    if validated.publish and found:
        add_directions(found, folder)
        print(f"added to {folder}")


def _directions(options: dict[str, Any]) -> None:
    folder, validated = options.pop("folder"), DirectionsOptions.model_validate(options)

    from training.figures.directions import directions

    directions(folder, validated)


def _probe(options: dict[str, Any]) -> None:
    folder, validated = options.pop("run"), ProbeOptions.model_validate(options)

    from training.evaluation.probe import probe

    probe(folder, validated)


def _figures(options: dict[str, Any]) -> None:
    folder, validated = options.pop("run"), FiguresOptions.model_validate(options)

    from training.figures.figures import figures

    figures(folder, validated)


def _features(options: dict[str, Any]) -> None:
    validated = FeaturesOptions.model_validate(options)

    from training.evaluation.feature_training import train

    train(validated)


if __name__ == "__main__":
    sys.exit(main())
