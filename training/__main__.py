"""``python -m training``: the subcommands, nothing else."""

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError

from training.config import Architecture, CheckpointChoice, Config
from training.data.avatars.options import AvatarsOptions
from training.errors import TrainingError
from training.evaluation.options import Drawing, Editing, Learning, Measuring, Probing

# What add_subparsers gives has no public name.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; 0 when it did its work, 1 when it could not, 2 for a wrong call."""
    options = vars(parser().parse_args(arguments))
    command = options.pop("command")
    try:
        command(options)
    except (TrainingError, OSError) as error:  # the latter: a full or a read-only disk
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValidationError as error:
        for problem in error.errors():
            flag = "--" + "-".join(str(part) for part in problem["loc"]).replace("_", "-")
            print(f"error: {flag} {problem['input']}: {problem['msg']}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        advice = "; --resume goes on from the last epoch" if command is _fit else ""
        print(f"\nstopped{advice}", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m training", description="Train DCGANs.")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    fit = commands.add_parser("fit", help="train a generator")
    fit.add_argument("--out", type=Path, required=True, help="the run's folder")
    fit.add_argument("--resume", action="store_true", help="go on with the run in --out")
    _add_fields(fit, Config)
    fit.set_defaults(command=_fit)
    avatars = commands.add_parser("avatars", help="draw faces for --dataset avatars")
    _add_fields(avatars, AvatarsOptions)
    avatars.set_defaults(command=_avatars)
    _add_publishing(commands)
    _add_measuring(commands)
    return root


def _add_publishing(commands: Commands) -> None:
    """What makes a served version."""
    export = commands.add_parser("export", help="publish a run's generator as a served version")
    export.add_argument("run", type=Path, help="the run's folder")
    export.add_argument("--name", required=True, help="the model's name")
    export.add_argument("--version", type=int, required=True, help="its version, from 1")
    export.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    words = "default: the best where there is one"
    export.add_argument("--checkpoint", choices=get_args(CheckpointChoice), help=words)
    export.set_defaults(command=_export)
    faster = commands.add_parser("optimise", help="give a published version faster graphs")
    faster.add_argument("folder", type=Path, help="models/NAME/VERSION")
    faster.set_defaults(command=_optimise)
    imported = commands.add_parser("import", help="publish a PyTorch DCGAN example's state dict")
    _add_foreign(imported)
    imported.set_defaults(command=_import)
    adopt = commands.add_parser("adopt", help="publish somebody else's ONNX generator")
    _add_foreign(adopt)
    adopt.add_argument("--range", choices=("tanh", "sigmoid", "byte"), default="tanh")
    adopt.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw")
    adopt.set_defaults(command=_adopt)


def _add_measuring(commands: Commands) -> None:
    """What looks at a run."""
    evaluate = commands.add_parser("evaluate", help="measure a run or a published version")
    evaluate.add_argument("folder", type=Path, help="a run's folder, or models/NAME/VERSION")
    _add_fields(evaluate, Measuring)
    evaluate.set_defaults(command=_evaluate)
    attributes = commands.add_parser("attributes", help="find latent directions that edit images")
    attributes.add_argument("folder", type=Path, help="a run's folder, or models/NAME/VERSION")
    _add_fields(attributes, Editing)
    attributes.set_defaults(command=_attributes)
    probe = commands.add_parser("probe", help="tell how well a run's discriminator knows classes")
    probe.add_argument("run", type=Path, help="the run's folder")
    _add_fields(probe, Probing)
    probe.set_defaults(command=_probe)
    figures = commands.add_parser("figures", help="draw what a run's generator has learned")
    figures.add_argument("run", type=Path, help="the run's folder")
    _add_fields(figures, Drawing)
    figures.set_defaults(command=_figures)
    features = commands.add_parser("features", help="train the network that evaluate looks with")
    _add_fields(features, Learning)
    features.set_defaults(command=_features)


def _add_foreign(command: argparse.ArgumentParser) -> None:
    """What must be said of a generator that was trained elsewhere."""
    command.add_argument("path", type=Path, help="the generator's file")
    command.add_argument("--name", required=True, help="the model's name")
    command.add_argument("--version", type=int, help="its version; by default the next one")
    command.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    command.add_argument("--prior", choices=("normal", "uniform"), default="normal")
    command.add_argument("--dataset", default="unknown", help="what it learned from, for its card")
    command.add_argument("--licence", default="unknown", help="of that data set, for its card")


def _add_fields(command: argparse.ArgumentParser, options: type[BaseModel]) -> None:
    """A flag for every option. What is not given stays out: the preset or the default decides."""
    # The networks' details come last.
    fields = sorted(
        options.model_fields.items(), key=lambda item: item[0] in Architecture.model_fields
    )
    for name, field in fields:
        flag = "--" + name.replace("_", "-")
        words = f"{field.description} (default: {field.default})"
        if field.annotation is bool:
            action: Any = argparse.BooleanOptionalAction
            command.add_argument(flag, action=action, default=argparse.SUPPRESS, help=words)
        else:
            choices = ", ".join(map(str, get_args(field.annotation)))
            metavar = name.upper() if field.default is None else None
            command.add_argument(
                flag, default=argparse.SUPPRESS, help=words, metavar=metavar or choices or None
            )


def _fit(options: dict[str, Any]) -> None:
    from training.evaluation.scoring import scorer
    from training.loop.fit import fit

    fit(options.pop("out"), options, options.pop("resume"), scorer)


def _avatars(options: dict[str, Any]) -> None:
    from training.data.avatars.generate import generate

    print(f"generated {generate(AvatarsOptions.model_validate(options))}")


def _export(options: dict[str, Any]) -> None:
    from training.export.publish import export

    print(f"published {export(**options)}")


def _optimise(options: dict[str, Any]) -> None:
    from training.export.optimise import optimise

    for measured in optimise(**options):
        print(measured, flush=True)


def _import(options: dict[str, Any]) -> None:
    from training.export import state_dict

    _publish_foreign(options, state_dict.source)


def _adopt(options: dict[str, Any]) -> None:
    from training.export import adopt

    span, layout = options.pop("range"), options.pop("layout")
    _publish_foreign(options, functools.partial(adopt.source, span=span, layout=layout))


def _publish_foreign(options: dict[str, Any], source: Callable[..., Any]) -> None:
    from app.artifact.card import DataSet
    from training.export.publish import free, release

    place = free(options["models"], options["name"], options["version"])
    dataset = DataSet(name=options["dataset"], licence=options["licence"], images=None)
    print(f"published {release(source(options['path'], options['prior'], dataset), place)}")


def _evaluate(options: dict[str, Any]) -> None:
    from training.evaluation.evaluate import evaluate

    evaluate(options.pop("folder"), Measuring.model_validate(options))


def _attributes(options: dict[str, Any]) -> None:
    from training.evaluation.attributes import attributes

    attributes(options.pop("folder"), Editing.model_validate(options))


def _probe(options: dict[str, Any]) -> None:
    from training.evaluation.probe import probe

    probe(options.pop("run"), Probing.model_validate(options))


def _figures(options: dict[str, Any]) -> None:
    from training.figures.figures import figures

    figures(options.pop("run"), Drawing.model_validate(options))


def _features(options: dict[str, Any]) -> None:
    from training.evaluation.classifier import learn

    learn(Learning.model_validate(options))


if __name__ == "__main__":
    sys.exit(main())
