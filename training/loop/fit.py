"""The ``fit`` command: one run from its data to its last epoch."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from tqdm import tqdm

from training import config
from training.config import Config
from training.data import datasets
from training.data.conditions import conditions
from training.data.download_progress import DownloadProgress
from training.data.images import ImageSet
from training.data.skipped import SkipReport
from training.errors import RunError, StoppedError
from training.gan.gan import Gan
from training.gan.process_group import ProcessGroup
from training.loop import banner, checkpoint, device, execution, outcome, preview, teaching, threads
from training.loop.banner import Start
from training.loop.beginning import begin
from training.loop.device import Notify
from training.loop.distributed import check_batch_size, joined_group, main_first
from training.loop.epochs import Control, TrainingData, train
from training.loop.length import check_count, shortage
from training.loop.recorder import Recorder, Score
from training.loop.reporting import EpochSoFar
from training.loop.stop_signals import StopSignals
from training.loop.teaching import FindTeacher
from training.loop.trial import Trial, trial
from training.run.journal import DataSummary, Run
from training.run.report import OnReport, Report, ignore_report

MakeScore: TypeAlias = Callable[[Config, ImageSet, torch.device], Score]
"""Makes the ``Score`` of a run, if its options ask for scores."""
Begin: TypeAlias = Callable[[Gan, Path], Iterable[str]]
"""Gives new networks the weights in a folder or file; says what was done as lines of text."""


class Hooks(NamedTuple):
    """What packages above this one, and callers, do for a run."""

    make_score: MakeScore
    begin: Begin
    find_teacher: FindTeacher
    on_report: OnReport = ignore_report
    """Called with every report, in the main process."""


def fit(
    out: Path, flags: dict[str, Any], resume: bool, hooks: Hooks, *, dry_run: bool = False
) -> None:
    """Train in the folder ``out``: a new run with ``flags``, or with ``resume`` the run there.

    If ``torchrun`` started several processes, this is one of them. All of them train; the main
    process writes the run folder. With ``dry_run`` the run is only described: nothing is written.
    """
    tell: Notify = tqdm.write if dry_run else _warn
    run, options, teacher = begin(out, flags, resume, hooks.find_teacher)
    cpu_threads = threads.choose(options.threads, torch.get_num_threads())
    torch.set_num_threads(cpu_threads.number)
    with joined_group(device.resolve(options.device)) as (group, own_device):
        check_batch_size(group, options.batch_size)
        image_set = _load(options, group, tell)
        data = _summary(image_set, run if resume else None)
        check_count(data.images, options.batch_size)
        options = config.for_images(options, data.images)
        if teacher:
            teaching.check_images(teacher, options, data)
        start = Start(run, options, data, own_device, cpu_threads, teacher)
        device.tune_convolutions(own_device)
        taught_by = teacher.load(own_device) if teacher else None
        tried = trial(options, data, own_device, group.size, taught_by) if group.is_main else None
        gan = Gan(options, data.shape, own_device, group, data.sampler, teacher=taught_by)
        execution.check(gan, options.execution)
        scores = (_scored_by(run, options), image_set, own_device)
        score = hooks.make_score(*scores) if options.score_every and group.is_main else None
        epoch = _first_state(start, gan, resume, hooks.begin)
        if tried and not dry_run:
            _open(start, gan, resume)
        if tried:
            _announce(start, tried, gan.step, tell)
            _print(preview.lines(start, tried, group.size, taught_by) if dry_run else (), tell)
        if not dry_run:
            _train(start, gan, image_set, epoch, Watch(score, hooks.on_report))


def _announce(start: Start, tried: Trial, done: int, tell: Notify) -> None:
    _print(banner.lines(start, tried, done), tell)
    if warning := shortage(start.options, start.data.images):
        _warn(warning)


def _print(lines: Iterable[str], tell: Notify) -> None:
    for line in lines:
        tell(line)


def _open(start: Start, gan: Gan, resume: bool) -> None:
    """Create the folder of a new run, or ready that of a resumed one for its next step."""
    run, options = start.run, start.options
    if resume:
        run.rewind(gan.step)
        run.write_options(options)
    else:
        run.create(options, start.data)
    if start.teacher:
        run.keep_teacher(start.teacher)
    if options.score_every:
        _keep_features(run, options)


class Watch(NamedTuple):
    """What looks at a run while it trains."""

    score: Score | None
    on_report: OnReport

    def pass_on(self, reports: Iterable[Report]) -> Iterator[Report]:
        """``reports``, each of which ``on_report`` gets first."""
        for report in reports:
            self.on_report(report)
            yield report


def _train(start: Start, gan: Gan, image_set: ImageSet, epoch: EpochSoFar, watch: Watch) -> None:
    notify = tqdm.write if gan.group.is_main else execution.ignore
    images = device.place_images(image_set.pixels, gan.device, notify)
    training_data = TrainingData(images, _conditions(image_set, images.device))
    with StopSignals(second_ends=gan.group.size == 1) as signals:
        control = Control(notify, signals, epoch)
        reports = train(gan, training_data, start.steps, control=control)
        if gan.group.is_main:
            recorder = Recorder(start.run, gan, epoch, start.data.images, start.steps)
            recorder.record(watch.pass_on(reports), watch.score, signals)
            _print(outcome.lines(start.run, start.options, start.data.images), tqdm.write)
        else:
            _follow(reports, start.steps, signals)


def _summary(image_set: ImageSet, resumed: Run | None) -> DataSummary:
    """The summary of ``image_set``. Raises RunError if the run began with other images."""
    data = DataSummary.of(image_set)
    if resumed and data != (before := resumed.data()):
        raise RunError(f"{resumed.folder}: the run began with other data: {before.contrast(data)}")
    return data


def _begin(gan: Gan, begin: Begin) -> None:
    """Give new networks the weights that the options name, if any. Raises RunError."""
    source = gan.config.init_from
    for line in begin(gan, source) if source else ():
        if gan.group.is_main:
            tqdm.write(line)


def _scored_by(run: Run, options: Config) -> Config:
    """``options`` with the run's own feature network, if it has one."""
    own = run.features if run.features.exists() else options.features
    return options.model_copy(update={"features": own})


def _keep_features(run: Run, options: Config) -> None:
    """Copy the feature network of a folder into ``run``, unless it has one."""
    if options.folder and options.feature_file and not run.features.exists():
        run.keep_features(options.feature_file)


def _conditions(image_set: ImageSet, where: torch.device) -> Tensor | None:
    if image_set.labels is None:
        return None
    return torch.from_numpy(conditions(image_set.labels)).to(where)


def _load(options: Config, group: ProcessGroup, tell: Notify) -> ImageSet:
    with main_first(group), DownloadProgress(shown=group.is_main) as progress:
        skipped = SkipReport(_warn if group.is_main else execution.ignore)
        found = datasets.load(options, progress, skipped)
    if group.is_main and options.folder:
        _print(skipped.table(found), tell)
    return found


def _first_state(start: Start, gan: Gan, resume: bool, begin: Begin) -> EpochSoFar:
    """Give ``gan`` the weights that it starts from; returns the epoch that the run is in."""
    if resume and start.run.checkpoint.exists():
        return _restored(start, gan)
    _begin(gan, begin)  # also of a run that was killed before its first checkpoint
    return EpochSoFar.restored({}, gan)


def _restored(start: Start, gan: Gan) -> EpochSoFar:
    """Restore the state of the run; returns the epoch that it is in. Raises RunError."""
    state = checkpoint.load(start.run.checkpoint)
    gan.load_state_dict(state)
    if gan.step > start.steps:
        raise RunError(f"--epochs {start.epochs}: the run has done more epochs already")
    return EpochSoFar.restored(state.get("epoch", {}), gan)


def _follow(reports: Iterable[Report], steps: int, signals: StopSignals) -> None:
    """Train by consuming the reports, which the main process records. Raises StoppedError."""
    for report in reports:
        if report.stopping and report.step < steps:
            raise StoppedError("", signals.status)


def _warn(line: str) -> None:
    tqdm.write(line, file=sys.stderr)
