"""The models in PyTorch: modules made of a workload's arrays; `forward(*batch)` is the loss."""

from __future__ import annotations

from math import pi
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import jvp
from torch.utils.checkpoint import checkpoint


def tensor(array: Any) -> Tensor:
    return torch.from_numpy(array.copy())


def parameter(array: Any) -> nn.Parameter:
    return nn.Parameter(tensor(array))


def linear(p: Any) -> nn.Linear:
    layer = nn.Linear(*p["weight"].shape)
    layer.weight = parameter(p["weight"].T)
    layer.bias = parameter(p["bias"])
    return layer


def perceptron(layers: list[Any], activation: type[nn.Module]) -> nn.Sequential:
    hidden = [module for p in layers[:-1] for module in (linear(p), activation())]
    return nn.Sequential(*hidden, linear(layers[-1]))


def embedding(table: Any) -> nn.Embedding:
    return nn.Embedding.from_pretrained(tensor(table), freeze=False)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())


class Hinge(nn.Module):
    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        self.net = perceptron(params["layers"], nn.ReLU)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.relu(1 - y * self.net(x).squeeze(-1)).mean()


class Classifier(nn.Module):
    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        self.net = perceptron(params["layers"], nn.ReLU)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(self.net(x), y)


class Burgers(nn.Module):
    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        self.net = perceptron(params["layers"], nn.Tanh)

    def forward(self, points: Tensor) -> Tensor:
        points = points.detach().requires_grad_()
        u = self.net(points)
        (gradient,) = torch.autograd.grad(u.sum(), points, create_graph=True)
        u_t, u_x = gradient[:, :1], gradient[:, 1:]
        (second,) = torch.autograd.grad(u_x.sum(), points, create_graph=True)
        return ((u_t + u * u_x - (0.01 / pi) * second[:, 1:]) ** 2).mean()


class BurgersForward(Burgers):
    """The same residual in forward mode: `torch.compile` supports no double backward."""

    def forward(self, points: Tensor) -> Tensor:
        along_t, along_x = torch.eye(2).unsqueeze(1).expand(2, *points.shape)

        def with_slope(p: Tensor) -> tuple[Tensor, Tensor]:
            return jvp(self.net, (p,), (along_x,))

        (u, u_x), (_, u_xx) = jvp(with_slope, (points,), (along_x,))
        _, u_t = jvp(self.net, (points,), (along_t,))
        return ((u_t + u * u_x - (0.01 / pi) * u_xx) ** 2).mean()


class CNN(nn.Module):
    """Activations are channels-last, which oneDNN prefers."""

    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (p, running) in enumerate(zip(params["blocks"], buffers["blocks"], strict=True)):
            fan_out, fan_in = p["conv"].shape[:2]
            conv = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
            conv.weight = parameter(p["conv"])
            norm = nn.BatchNorm2d(fan_out)
            norm.weight, norm.bias = parameter(p["scale"]), parameter(p["bias"])
            norm.running_mean, norm.running_var = tensor(running["mean"]), tensor(running["var"])
            layers += [conv, norm, nn.ReLU()]
            if i in (1, 3):
                layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.head = linear(params["head"])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = self.body(x.to(memory_format=torch.channels_last))
        return F.cross_entropy(self.head(x.mean((2, 3))), y)


class LSTM(nn.Module):
    """`nn.LSTM` has two biases; the second stays at zero."""

    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        self.embedding = embedding(params["embedding"])
        self.lstm = nn.LSTM(params["w_ih"].shape[0], params["w_hh"].shape[0])
        self.lstm.weight_ih_l0 = parameter(params["w_ih"].T)
        self.lstm.weight_hh_l0 = parameter(params["w_hh"].T)
        self.lstm.bias_ih_l0 = parameter(params["bias"])
        second = torch.zeros_like(self.lstm.bias_ih_l0)
        self.lstm.bias_hh_l0 = nn.Parameter(second, requires_grad=False)
        self.head = linear(params["head"])

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(tokens))
        return cross_entropy(self.head(hidden), targets)


class Norm(nn.LayerNorm):
    def __init__(self, p: Any) -> None:
        super().__init__(p["scale"].shape)
        self.weight, self.bias = parameter(p["scale"]), parameter(p["bias"])


class Block(nn.Module):
    def __init__(self, p: Any, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = Norm(p["norm1"]), Norm(p["norm2"])
        self.qkv, self.out = linear(p["qkv"]), linear(p["out"])
        self.up, self.down = linear(p["up"]), linear(p["down"])

    def attention(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        q, k, v = (t.transpose(1, 2) for t in qkv.unbind(2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, params: Any, buffers: Any, heads: int, remat: bool) -> None:
        super().__init__()
        self.remat = remat
        self.tokens = embedding(params["tokens"])
        self.positions = parameter(params["positions"])
        self.blocks = nn.Sequential(*(Block(p, heads) for p in params["blocks"]))
        self.norm = Norm(params["norm"])

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.remat else block(x)
        return cross_entropy(F.linear(self.norm(x), self.tokens.weight), targets)


MODELS = {
    "hinge": Hinge,
    "classifier": Classifier,
    "burgers": Burgers,
    "cnn": CNN,
    "lstm": LSTM,
    "gpt": GPT,
}

COMPILED_MODELS = MODELS | {"burgers": BurgersForward}
"""The models for `torch.compile`."""
