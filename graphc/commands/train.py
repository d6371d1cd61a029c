"""`graphc train`: the built-in examples on real data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from graphc.build.machine import limits
from graphc.commands import small_trainings
from graphc.commands.output import JsonOption, ThreadsOption, print_json
from graphc.errors import ArgumentError
from graphc.examples import corpus, gpt_training
from graphc.examples.facts import facts
from graphc.examples.gpt_training import Settings, Training

_SAMPLED = 500

train_app = typer.Typer(help="Train a built-in example on real data.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    small_trainings.register(train_app)
    app.add_typer(train_app, name="train")


def _size(description: str, default: Any) -> Any:
    """An option that on `--resume` has the checkpoint's value unless it is given."""
    return typer.Option(min=1, help=f"{description} By default {default}.", show_default=False)


@train_app.command()
def gpt(
    steps: Annotated[int, typer.Option(min=1, help="The step at which training ends.")] = 4000,
    layers: Annotated[int | None, _size("Blocks.", Settings.layers)] = None,
    heads: Annotated[int | None, _size("Attention heads of a block.", Settings.heads)] = None,
    width: Annotated[int | None, _size("Numbers for a character.", Settings.width)] = None,
    context: Annotated[int | None, _size("Characters in a window.", Settings.context)] = None,
    batch: Annotated[int | None, _size("Windows in a step.", Settings.batch)] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help=f"The highest learning rate. By default {Settings.learning_rate}.",
            show_default=False,
        ),
    ] = None,
    horizon: Annotated[
        int | None, _size("The step at which the learning rate is lowest.", Settings.horizon)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of all random numbers. By default 0.", show_default=False),
    ] = None,
    threads: ThreadsOption = None,
    every: Annotated[int, typer.Option(min=1, help="Steps between validations.")] = 500,
    out: Annotated[Path, typer.Option(help="The checkpoint, a safetensors file.")] = Path(
        "gpt.safetensors"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, to the bit.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """A GPT on characters of the source code of Python's standard library."""
    begin = time.perf_counter()
    given = {
        "layers": layers,
        "heads": heads,
        "width": width,
        "context": context,
        "batch": batch,
        "learning_rate": learning_rate,
        "horizon": horizon,
        "seed": seed,
    }
    settings = _settings({k: v for k, v in given.items() if v is not None}, out if resume else None)
    if not out.parent.is_dir():
        raise ArgumentError(f"there is no folder {out.parent} for the checkpoint")
    console = Console(stderr=json, highlight=False)
    with console.status("reading the standard library"):
        text = corpus.load()
    console.print(
        f"{text.files} files: {len(text.training):,} characters to train on,"
        f" {len(text.validation):,} for validation, {text.vocabulary} symbols"
    )
    with console.status("compiling"):
        training = Training(settings, text, threads, out if resume else None)
    start = training.done
    if start >= steps:
        raise ArgumentError(f"{out} is at step {start} already; --steps is where training ends")
    console.print(
        f"compiled after {time.perf_counter() - begin:.1f} s;"
        f" steps {start + 1} to {steps}, checkpoint in {out}"
    )
    losses, validation = _train(training, steps, every, out, console)
    sample = "".join(islice(training.sample(), _SAMPLED))
    known = facts(training.lowered, training.step_seconds, limits(training.lowered.threads))
    seconds = time.perf_counter() - begin
    console.rule("sample")
    console.print(Text(sample))
    console.rule("summary")
    console.print(f"validation loss {validation[-1][1]:.4f} nats per character")
    small_trainings.print_facts(console, known)
    console.print(f"{steps - start} steps in {seconds:.1f} s; checkpoint in {out}")
    if json:
        print_json(
            {
                "settings": asdict(settings),
                "first_step": start + 1,
                "losses": losses,
                "validation": [{"step": s, "loss": value} for s, value in validation],
                "sample": sample,
                "seconds": seconds,
                "checkpoint": str(out),
                "step": asdict(known) | {"gflops": known.gflops},
            }
        )


def _settings(given: dict[str, Any], checkpoint: Path | None) -> Settings:
    """The settings as given; of a checkpoint, from which what is given must not differ."""
    if checkpoint is None:
        return Settings(**given)
    if not checkpoint.is_file():
        raise ArgumentError(f"there is no checkpoint {checkpoint} to go on from")
    stored = gpt_training.stored_settings(checkpoint)
    for name, value in given.items():
        if value != getattr(stored, name):
            raise ArgumentError(
                f"{checkpoint} was trained with {name} {getattr(stored, name)}, not {value}"
            )
    return stored


def _train(
    training: Training, steps: int, every: int, out: Path, console: Console
) -> tuple[list[float], list[tuple[int, float]]]:
    """Trains to `steps`; validates and writes the checkpoint at intervals and at the end."""
    losses: list[float] = []
    validation: list[tuple[int, float]] = []
    tokens = training.settings.batch * training.settings.context
    with _bar(console, steps, training.done) as show:
        while training.done < steps:
            losses.append(training.advance())
            recent = training.step_seconds[-50:]
            show(
                training.done,
                sum(losses[-50:]) / len(losses[-50:]),
                tokens * len(recent) / sum(recent),
            )
            if training.done % every == 0 or training.done == steps:
                validation.append((training.done, training.validate()))
                training.save(out)
                console.print(
                    f"step {training.done:>6}  loss {losses[-1]:.4f}"
                    f"  validation {validation[-1][1]:.4f}"
                )
    return losses, validation


@contextmanager
def _bar(console: Console, steps: int, done: int) -> Iterator[Any]:
    """A progress bar; gives a function of step, loss and speed."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[speed]:,.0f} tokens/s"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps, completed=done, loss=float("nan"), speed=0.0)

        def show(step: int, loss: float, speed: float) -> None:
            progress.update(task, completed=step, loss=loss, speed=speed)

        yield show
