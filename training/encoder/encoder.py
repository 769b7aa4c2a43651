"""The ``encoder`` command: trains, measures and exports the encoder of a generator."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from app.artifact import atomic_files, card
from training.encoder import evaluation, graph, images, loop, publish, subject
from training.encoder import folder as folders
from training.encoder.folder import Begun, EncoderFolder
from training.encoder.images import Images
from training.encoder.options import EncoderOptions
from training.encoder.subject import Subject
from training.encoder.trainer import Trainer
from training.errors import StoppedError
from training.loop import device as devices
from training.loop import threads
from training.loop.stop_signals import StopSignals
from training.run.journal import Run

RUNS = Path("runs")
"""Where the encoders of published versions are trained."""
_CHECKPOINT_SECONDS = 60
_PARITY_SEEDS = 100


def encoder(folder: Path, flags: dict[str, Any], resume: bool) -> None:
    """Train the encoder of the run or the published version in ``folder``, and measure it.

    A published version receives it. Raises EvaluationError if ``folder`` is neither, ExportError if
    the generator of a version cannot be read back, DataError if real images are missing, RunError
    if an encoder is in the way or there is none to resume.
    """
    options = EncoderOptions.model_validate(flags)
    version = (folder / card.CARD_FILE).exists()
    place = EncoderFolder(options.out or default_folder(folder))
    if resume:
        options = place.resumed(flags)
    torch.set_num_threads(threads.choose(options.threads, torch.get_num_threads()).number)
    device = devices.resolve(options.device)
    devices.tune_convolutions(device)
    found = subject.load(folder, device, options.checkpoint)
    real = images.load(found, folder, options)
    trainer = Trainer(found, options.batch_size, options.seed)
    model = found.model
    begun = Begun(version=model.title if version else None, step=model.step, options=options)
    if resume:
        place.restore(trainer, begun)
    else:
        place.begin(begun)
    _train(trainer, place, real.train if real else None, options)
    content = _export(trainer, found, card.read(folder.resolve()).metadata() if version else {})
    record = evaluation.measure(found, content, real.test if real else None, trainer.description())
    atomic_files.write(place.path / card.ENCODER_FILE, content)
    record.write(place.path / folders.RECORD_FILE)
    print(*record.table(), sep="\n")
    if version:
        publish.attach(content, record, folder)
        print(f"added to {folder}")
    else:
        print(f"written to {place.path}")


def default_folder(folder: Path) -> Path:
    """Where the encoder of the run or the version in ``folder`` is trained."""
    if (folder / card.CARD_FILE).exists():
        name, version = folder.resolve().parts[-2:]
        return RUNS / f"encoder-{name}-{version}"
    return Run(folder).encoder


def _train(
    trainer: Trainer, place: EncoderFolder, train: Images | None, options: EncoderOptions
) -> None:
    saved = trainer.seconds
    bar_format = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    with (
        StopSignals() as stopped,
        tqdm(total=1.0, initial=loop.share_done(trainer, options), bar_format=bar_format) as bar,
    ):
        for report in loop.train(trainer, train, options, stopped, tqdm.write):
            bar.update(report.done - bar.n)
            bar.set_postfix_str(
                f"step {report.step} latents {report.latents:.3f} "
                f"images {report.reconstruction:.3f} conditions {report.conditions:.3f}"
            )
            due = report.seconds - saved > _CHECKPOINT_SECONDS
            if report.done == 1 or due or stopped():
                place.save(trainer, report)
                saved = report.seconds
        if stopped():
            text = f"stopped at step {trainer.step}, which is saved; continue with --resume"
            raise StoppedError(text, stopped.status)


def _export(trainer: Trainer, found: Subject, metadata: dict[str, str]) -> bytes:
    """The graph of the network, compared with it on generated images and on noise."""
    network = trainer.network.eval()
    content = graph.build(network, found, metadata)
    drawn = found.model.images(_PARITY_SEEDS)
    noise = np.random.default_rng(0).integers(0, 256, drawn.shape, dtype=np.uint8)
    graph.check(network, found, content, np.concatenate([drawn, noise]))
    return content
