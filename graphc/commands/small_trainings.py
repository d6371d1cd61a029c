"""`graphc train`: the examples that a page of code trains, in a minute or two."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console

from graphc.build.machine import limits
from graphc.commands.output import JsonOption, ThreadsOption, print_json
from graphc.errors import ArgumentError
from graphc.examples import corpus, ctc, digits, lstm, moons, pinn
from graphc.examples.facts import Facts, facts
from graphc.stages import Lowered

_SEED = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]


def register(app: typer.Typer) -> None:
    for command in (digits_, moons_, lstm_, pinn_, ctc_):
        app.command(command.__name__.rstrip("_"))(command)


def digits_(
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 40,
    model: Annotated[str, typer.Option(help=" or ".join(digits.MODELS))] = "mlp",
    seed: _SEED = 0,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """A perceptron or a convolutional network on scikit-learn's handwritten digits."""
    if model not in digits.MODELS:
        raise ArgumentError(f"--model is {' or '.join(digits.MODELS)}, got {model}")
    console = Console(stderr=json, highlight=False)

    def watch(epoch: int, accuracy: float) -> None:
        if epoch % 10 == 0 or epoch == epochs:
            console.print(f"epoch {epoch:>3}  accuracy on held-out images {accuracy:.2%}")

    result = digits.train(epochs, seed, threads, watch, model)
    _finish(console, result, {"accuracy": result.accuracy}, json)


def moons_(
    steps: Annotated[int, typer.Option(min=1, help="Steps of gradient descent.")] = 500,
    seed: _SEED = 0,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """micrograd's demonstration: a perceptron tells two half moons apart."""
    console = Console(stderr=json, highlight=False)
    result = moons.train(steps, seed, threads)
    console.print(f"accuracy {result.accuracy:.2%}")
    _finish(console, result, {"accuracy": result.accuracy}, json)


def pinn_(
    steps: Annotated[int, typer.Option(min=1, help="Steps of Adam.")] = pinn.STEPS,
    seed: _SEED = 0,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Burgers' equation by a physics-informed network, compared with a spectral method."""
    console = Console(stderr=json, highlight=False)

    def watch(step: int, loss: float, error: float) -> None:
        console.print(f"step {step:>6}  loss {loss:.3e}  relative L2 error {error:.2%}")

    result = pinn.train(steps, seed, threads, watch)
    _finish(console, result, {"error": result.error}, json)


def lstm_(
    steps: Annotated[int, typer.Option(min=1, help="Steps of Adam.")] = lstm.STEPS,
    seed: _SEED = 0,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """A long short-term memory on characters of Python's standard library."""
    console = Console(stderr=json, highlight=False)
    with console.status("reading the standard library"):
        text = corpus.load()

    def watch(step: int, loss: float, validation: float) -> None:
        console.print(f"step {step:>6}  loss {loss:.4f}  validation {validation:.4f}")

    result = lstm.train(text, steps, seed, threads, watch)
    console.print(f"validation loss {result.validation:.4f} nats per character")
    _finish(console, result, {"validation": result.validation}, json)


def ctc_(
    steps: Annotated[int, typer.Option(min=1, help="Steps of Adam.")] = ctc.STEPS,
    seed: _SEED = 0,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Made-up speech, read by a network that is not told where its symbols are."""
    console = Console(stderr=json, highlight=False)

    def watch(step: int, loss: float, error: float) -> None:
        console.print(f"step {step:>6}  loss {loss:.4f}  label error rate {error:.2%}")

    result = ctc.train(steps, seed, threads, watch)
    _finish(console, result, {"error": result.error}, json)


class _Result(Protocol):
    """What the small examples give: the step, the loss and the time of each run of it."""

    @property
    def lowered(self) -> Lowered[Any, Any]: ...
    @property
    def losses(self) -> list[float]: ...
    @property
    def step_seconds(self) -> list[float]: ...


def _finish(console: Console, result: _Result, measured: dict[str, float], json: bool) -> None:
    known = facts(result.lowered, result.step_seconds, limits(result.lowered.threads))
    console.print(f"loss {result.losses[0]:.4g} at first, {result.losses[-1]:.4g} at last")
    print_facts(console, known)
    if json:
        print_json(
            {"losses": result.losses, **measured, "step": asdict(known) | {"gflops": known.gflops}}
        )


def print_facts(console: Console, known: Facts) -> None:
    for line in known.lines():
        console.print(line, soft_wrap=True)
