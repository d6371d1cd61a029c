"""Training the GPT on a corpus: batches, validation, checkpoints, samples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc import optim, tree
from graphc.errors import ArgumentError
from graphc.examples import corpus, gpt

#: Streams of random numbers of one seed.
_INIT, _BATCHES, _SAMPLES = range(3)
#: Validation: this many windows at fixed places, in calls of so many.
_WINDOWS, _PER_CALL = 1024, 64
_WARMUP = 100


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a training, together with the text. The learning rate rises over
    100 steps and falls along a cosine until step `horizon`, whenever the training ends.
    """

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    batch: int = 12
    seed: int = 0
    learning_rate: float = 2e-3
    horizon: int = 4000

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ArgumentError(f"width {self.width} is not a multiple of {self.heads} heads")

    def optimizer(self) -> optim.GradientTransformation:
        """AdamW; only matrices decay. The memory of the second moment is as short as small batches
        of text ask for.
        """
        rate = optim.warmup_cosine_decay_schedule(
            init_value=0.0,
            peak_value=self.learning_rate,
            warmup_steps=_WARMUP,
            decay_steps=max(self.horizon, _WARMUP + 1),
            end_value=self.learning_rate / 20,
        )
        return optim.adamw(rate, b2=0.99, weight_decay=0.1, mask=_matrices)


def _matrices(params: Any) -> Any:
    return tree.map(lambda p: p.ndim > 1, params)


def stored_settings(path: Path) -> Settings:
    """The settings of a checkpoint. Raises ArgumentError for another kind of file."""
    found: Settings = gx.load(path, {"settings": Settings()}, strict=False)["settings"]
    return found


class Training:
    """A training at step `done`, fresh or as a checkpoint left it.

    Batches are windows of the text at random places, drawn by a counter-based generator: the
    numbers of step n are a pure function of the seed and n, so these two are its whole state.
    """

    def __init__(
        self,
        settings: Settings,
        text: corpus.Corpus,
        threads: int | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Compiles the step. Raises ArgumentError for a checkpoint of other settings or text."""
        shortest = min(len(text.training), len(text.validation))
        if shortest <= settings.context:
            raise ArgumentError(f"a context of {settings.context}, but a text of {shortest}")
        self.settings, self.text, self.done = settings, text, 0
        config = gpt.Config(
            text.vocabulary, settings.layers, settings.heads, settings.width, settings.context
        )
        optimizer = settings.optimizer()
        params = gpt.init(config, _generator(settings.seed, _INIT))
        self.state = {"params": params, "opt": optimizer.init(params)}
        if checkpoint is not None:
            self._restore(checkpoint)

        batch = gx.spec((settings.batch, settings.context), "int32")
        step = gpt.training_step(settings.heads, optimizer)
        self.traced = gx.trace(step, self.state, batch, batch, donate_argnums=0)
        self.lowered = self.traced.lower(threads=threads)
        self._tokens = np.empty(batch.shape, np.int32)
        self._targets = np.empty(batch.shape, np.int32)
        self._step = self.lowered.compile().bind(self.state, self._tokens, self._targets)
        self.step_seconds: list[float] = []
        self._compile_evaluation()

    def _compile_evaluation(self) -> None:
        heads, context, params = self.settings.heads, self.settings.context, self.state["params"]
        threads = self.lowered.threads
        batch = gx.spec((_PER_CALL, context), "int32")
        self._loss: Any = gx.compile(
            lambda p, x, y: gpt.loss(p, x, y, heads), params, batch, batch, threads=threads
        )
        self._scores: Any = gx.compile(
            lambda p, x: gpt.forward(p, x, heads),
            params,
            gx.spec((1, context), "int32"),
            threads=threads,
        )

    def advance(self) -> float:
        """One step; gives the loss of its batch, in nats per character."""
        places = len(self.text.training) - self.settings.context
        generator = _generator(self.settings.seed, _BATCHES, self.done)
        starts = generator.integers(0, places, self.settings.batch)
        self._tokens[...], self._targets[...] = corpus.windows(
            self.text.training, starts, self.settings.context
        )
        begin = time.perf_counter()
        _, loss = self._step()
        self.step_seconds.append(time.perf_counter() - begin)
        self.done += 1
        return float(loss)

    def validate(self) -> float:
        """Mean loss over windows at fixed places of the validation text, evenly spaced."""
        last = len(self.text.validation) - self.settings.context - 1
        starts = np.linspace(0, last, _WINDOWS).astype(np.int64)
        losses = [
            float(
                self._loss(
                    self.state["params"],
                    *corpus.windows(self.text.validation, part, self.settings.context),
                )
            )
            for part in starts.reshape(-1, _PER_CALL)
        ]
        return float(np.mean(losses))

    def sample(self, prompt: str = "\n", temperature: float = 0.8) -> Iterator[str]:
        """Characters that follow `prompt`, without end."""
        numbers = gpt.sample(
            lambda window: self._scores(self.state["params"], window),
            self.text.encode(prompt),
            self.settings.context,
            temperature,
            _generator(self.settings.seed, _SAMPLES),
        )
        return map(self.text.decode, numbers)

    def save(self, path: Path) -> None:
        """Writes a checkpoint, atomically. Raises OSError as the file system does."""
        gx.save(path, self._checkpoint())

    def _checkpoint(self) -> dict[str, Any]:
        alphabet = np.array([ord(c) for c in self.text.alphabet], np.uint32)
        size = len(self.text.training)
        text = {"alphabet": alphabet, "characters": size}
        return {
            "settings": asdict(self.settings),
            "step": self.done,
            "state": self.state,
            "text": text,
        }

    def _restore(self, path: Path) -> None:
        expected = self._checkpoint()
        found = gx.load(path, expected)
        same_alphabet = np.array_equal(found["text"]["alphabet"], expected["text"]["alphabet"])
        if not same_alphabet or found["text"]["characters"] != expected["text"]["characters"]:
            raise ArgumentError(f"{path}: trained on another text; another version of Python?")
        if found["settings"] != expected["settings"]:
            raise ArgumentError(f"{path}: trained with other settings, {found['settings']}")
        self.state, self.done = found["state"], found["step"]


def _generator(seed: int, stream: int, step: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, step, 0, 0]))
