"""Train a registration network: one loop, on a CPU, a graphics card, several of them or several computers.

    python -m training.train --name universal-2d --output /somewhere --steps 60000
    torchrun --nproc-per-node 4 -m training.train ...

Started again with the same output folder it goes on where the last checkpoint was written, to the same result as if it
had never stopped. Nothing is labeled: the network learns to minimize the registration's own objective, for random
parameters of every tissue.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from TissueElasticRegistrationLib.core.models.model_pack import load_pack
from TissueElasticRegistrationLib.core.reporting.pictures import png

from . import checkpoints
from .checkpoints import State
from .config import TrainingConfig, parse_arguments
from .datasets.pair import Batch
from .export import export
from .history import History
from .losses import batch_terms
from .run_data import phantoms_in_background, training_set, validation_set
from .step_rate import ProgressLine
from .trainee import Trainee
from .validation import Validation, picture, validate

LAST_LEARNING_RATE = 0.02  # of the first


def train(config: TrainingConfig, report: Callable[[str], None] = print) -> State:
    """Run a training to its end.

    Args:
        config: The configuration of the run.
        report: Called with lines of text, in the first process only.

    Returns:
        Its last state.
    """
    fabric = start_fabric(config)
    with phantoms_in_background(config, fabric.is_global_zero):
        state = run(fabric, config, report)
    if torch.distributed.is_initialized():
        fabric.barrier()  # no process leaves while another still needs it
        torch.distributed.destroy_process_group()
    return state


def run(fabric: Fabric, config: TrainingConfig, report: Callable[[str], None]) -> State:
    """The training itself, in one of the processes that share it.

    Args:
        fabric: The processes.
        config: The configuration of the run.
        report: Called with lines of text, in the first process only.

    Returns:
        Its last state.
    """
    output = Path(config.output).expanduser()
    torch.manual_seed(config.seed)
    trainee = Trainee(config.network())
    if config.start_from:
        trainee.begin_with(load_pack(Path(config.start_from).expanduser()))
    if config.dimension == 2:
        trainee.to(memory_format=torch.channels_last)  # 15 % less time per step on a CPU; in 3D it gains nothing
    fused = fabric.device.type == "cpu"  # a fifth of the time, which matters with the many weights of a hypernetwork
    adam = torch.optim.Adam(trainee.parameters(), lr=config.learning_rate, fused=fused)
    model, optimizer = fabric.setup(trainee, adam)
    state = State(model, optimizer)
    if config.resume and checkpoints.restore(fabric, output, state, config) and fabric.is_global_zero:
        report(f"Resumed after {state.step} steps.")
    validation = validation_set(config) if fabric.is_global_zero else None
    history = History(output, state.step) if fabric.is_global_zero else None
    progress, saved_s = ProgressLine(state.step, config.steps), time.monotonic()

    for batch in batches(fabric, config, state.step):
        objective = learn(fabric, config, state, batch)
        due = state.step % config.log_every == 0
        if due:
            objective = float(fabric.all_reduce(objective))
            fabric.log("training/objective", objective, state.step)
            if history is not None:
                history.add(state.step, objective)
                report(progress.at(state.step, objective))
        if state.step % config.validate_every == 0 or state.step == config.steps:
            judge(fabric, config, state, validation, report)
        if 0 < config.patience <= state.waited:
            break
        if due and fabric.broadcast(time.monotonic() - saved_s > 60 * config.checkpoint_minutes):
            checkpoints.save(fabric, output, state, config)
            saved_s = time.monotonic()
    checkpoints.save(fabric, output, state, config)
    if fabric.is_global_zero and (output / checkpoints.BEST).exists():
        export(output, output / config.name, version="0")
    return state


def start_fabric(config: TrainingConfig) -> Fabric:
    """Processes and devices as configured; under torchrun as many as it started."""
    devices, nodes = config.devices, 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = os.environ["LOCAL_WORLD_SIZE"]
        nodes = int(os.environ["WORLD_SIZE"]) // int(devices)
    accelerator = config.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    precision = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if accelerator == "cuda" else "32-true"
    if accelerator == "cpu":
        torch.set_num_threads(config.threads)
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices if devices == "auto" else int(devices),
        num_nodes=nodes,
        strategy=config.strategy,
        precision=precision,
        loggers=TensorBoardLogger(Path(config.output).expanduser(), name="log", version=""),
    )
    fabric.launch()
    return fabric


def batches(fabric: Fabric, config: TrainingConfig, first: int) -> Iterator[Batch]:
    """This process's part of the batch of every step, on its device.

    Args:
        fabric: The processes.
        config: The configuration of the run.
        first: The step to begin with.
    """
    data = training_set(config, fabric.global_rank, fabric.world_size)
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=range(first, config.steps),
        num_workers=config.workers,
        collate_fn=_unchanged,
        pin_memory=fabric.device.type == "cuda",
        persistent_workers=False,
    )
    return iter(fabric.setup_dataloaders(loader, use_distributed_sampler=False))


def learn(fabric: Fabric, config: TrainingConfig, state: State, batch: Batch) -> torch.Tensor:
    """One step of the optimizer.

    Args:
        fabric: The processes.
        config: The configuration of the run.
        state: What changes.
        batch: This process's part of the batch.

    Returns:
        The mean objective of this process's pairs.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step)
    velocity = state.model(batch.fixed, batch.moving, batch.labels, batch.sliders)
    objective = batch_terms(config.objective(), velocity, batch, config.integration_steps).total.mean()
    state.optimizer.zero_grad()
    fabric.backward(objective)
    norm = fabric.clip_gradients(state.model, state.optimizer, max_norm=config.clip, error_if_nonfinite=False)
    if torch.isfinite(norm):  # the same in all processes, as gradients are averaged over them
        state.optimizer.step()
    state.step += 1
    return objective.detach()


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Grows during the warm-up, stays, and falls as a cosine in the last part of the steps.

    Args:
        config: The configuration of the run.
        step: Steps done.
    """
    growing = min(1.0, (step + 1) / max(1, config.warm_up))
    falling = max(0.0, step / config.steps - config.decay_from) / max(1e-9, 1 - config.decay_from)
    share = LAST_LEARNING_RATE + (1 - LAST_LEARNING_RATE) * 0.5 * (1 + math.cos(math.pi * falling))
    return config.learning_rate * growing * share


def judge(
    fabric: Fabric, config: TrainingConfig, state: State, validation: Validation | None, report: Callable[[str], None]
) -> None:
    """Validate in the first process, log, draw, remember the best, and tell the others what came out.

    Args:
        fabric: The processes.
        config: The configuration of the run.
        state: What changes.
        validation: What to validate on; None in all processes but the first.
        report: Called with a line of text.
    """
    lowest = None
    if validation is not None:
        network = state.model.module
        scores = validate(network, config.objective(), validation, config.integration_steps, fabric.device)
        fabric.log_dict({f"validation/{name}": value for name, value in vars(scores).items()}, state.step)
        report("validation  " + "  ".join(f"{name} {value:.4g}" for name, value in vars(scores).items()))
        if state.step // config.validate_every % config.picture_every == 0 or state.step == config.steps:
            _draw(fabric, config, state, picture(network, validation, config.integration_steps, fabric.device))
        lowest = scores.objective
    lowest = fabric.broadcast(lowest)
    state.waited = 0 if lowest < state.best else state.waited + 1
    if lowest < state.best:
        state.best = lowest
        checkpoints.save(fabric, Path(config.output).expanduser(), state, config, checkpoints.BEST)


def _draw(fabric: Fabric, config: TrainingConfig, state: State, drawn) -> None:
    folder = Path(config.output).expanduser() / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{state.step:07d}.png").write_bytes(png(drawn))
    fabric.logger.experiment.add_image("validation", drawn, state.step, dataformats="HWC")


def _unchanged(batch: Batch) -> Batch:
    return batch


if __name__ == "__main__":
    train(parse_arguments())
