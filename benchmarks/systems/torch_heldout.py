"""The held-out models in PyTorch: modules as the others."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.heldout import GROUPS, STAGES
from benchmarks.systems.torch_models import (
    Norm,
    cross_entropy,
    embedding,
    linear,
    parameter,
    tensor,
)


class VitBlock(nn.Module):
    def __init__(self, p: Any, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = Norm(p["norm1"]), Norm(p["norm2"])
        self.qkv, self.out = linear(p["qkv"]), linear(p["out"])
        self.up, self.down = linear(p["up"]), linear(p["down"])

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = (t.transpose(1, 2) for t in qkv.unbind(2))
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self, params: Any, buffers: Any, patch: int, heads: int) -> None:
        super().__init__()
        self.size = patch
        self.patch = linear(params["patch"])
        self.token, self.positions = parameter(params["token"]), parameter(params["positions"])
        self.blocks = nn.Sequential(*(VitBlock(p, heads) for p in params["blocks"]))
        self.norm, self.head = Norm(params["norm"]), linear(params["head"])

    def forward(self, images: Tensor, y: Tensor) -> Tensor:
        cut = F.unfold(images, self.size, stride=self.size).transpose(1, 2)
        token = self.token.expand(len(images), 1, -1)
        x = torch.cat([token, self.patch(cut)], dim=1) + self.positions
        return F.cross_entropy(self.head(self.norm(self.blocks(x))[:, 0]), y)


def convolution(p: Any, running: Any, stride: int = 1, groups: int = 1) -> nn.Sequential:
    fan_out, fan_in, size, _ = p["conv"].shape
    conv = nn.Conv2d(fan_in * groups, fan_out, size, stride, size // 2, groups=groups, bias=False)
    conv.weight = parameter(p["conv"])
    norm = nn.BatchNorm2d(fan_out)
    norm.weight, norm.bias = parameter(p["scale"]), parameter(p["bias"])
    norm.running_mean, norm.running_var = tensor(running["mean"]), tensor(running["var"])
    return nn.Sequential(conv, norm)


class Residual(nn.Module):
    def __init__(self, p: Any, s: Any, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            convolution(p["reduce"], s["reduce"]),
            nn.ReLU(),
            convolution(p["grouped"], s["grouped"], stride, GROUPS),
            nn.ReLU(),
            convolution(p["expand"], s["expand"]),
        )
        self.around = convolution(p["around"], s["around"], stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.inner(x) + self.around(x))


class Resnet(nn.Module):
    """Activations are channels-last, which oneDNN prefers."""

    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        parts = zip(params["blocks"], buffers["blocks"], STAGES, strict=True)
        stem = convolution(params["stem"], buffers["stem"])
        blocks = [Residual(p, s, stride) for p, s, (_, _, stride) in parts]
        body = nn.Sequential(stem, nn.ReLU(), *blocks)
        self.body = body.to(memory_format=torch.channels_last)
        self.head = linear(params["head"])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = self.body(x.to(memory_format=torch.channels_last))
        return F.cross_entropy(self.head(x.mean((2, 3))), y)


class Gru(nn.Module):
    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        self.embedding = embedding(params["embedding"])
        self.gru = nn.GRU(params["w_ih"].shape[0], params["w_hh"].shape[0])
        self.gru.weight_ih_l0 = parameter(params["w_ih"].T)
        self.gru.weight_hh_l0 = parameter(params["w_hh"].T)
        self.gru.bias_ih_l0 = parameter(params["b_ih"])
        self.gru.bias_hh_l0 = parameter(params["b_hh"])
        self.head = linear(params["head"])

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        hidden, _ = self.gru(self.embedding(tokens))
        return cross_entropy(self.head(hidden), targets)


class Autoencoder(nn.Module):
    """Activations are channels-last, which oneDNN prefers."""

    def __init__(self, params: Any, buffers: Any) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for p in params["encoder"]:
            fan_out, fan_in = p["weight"].shape[:2]
            layer: Any = nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1)
            layer.weight, layer.bias = parameter(p["weight"]), parameter(p["bias"])
            layers += [layer, nn.SiLU()]
        for k, p in enumerate(params["decoder"]):
            fan_in, fan_out = p["weight"].shape[:2]
            layer = nn.ConvTranspose2d(fan_in, fan_out, 4, stride=2, padding=1)
            layer.weight, layer.bias = parameter(p["weight"]), parameter(p["bias"])
            layers += [nn.SiLU(), layer] if k else [layer]
        self.body = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        images = images.to(memory_format=torch.channels_last)
        return F.mse_loss(self.body(images), images)


class LlamaBlock(nn.Module):
    def __init__(self, p: Any, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        self.norm1, self.norm2 = parameter(p["norm1"]), parameter(p["norm2"])
        for name in ("q", "k", "v", "out", "gate", "up", "down"):
            setattr(self, name, parameter(p[name]))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        def split(t: Tensor, count: int) -> Tensor:
            return t.unflatten(-1, (count, -1)).transpose(1, 2)

        def rope(t: Tensor) -> Tensor:
            a, b = t.chunk(2, dim=-1)
            return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

        h = F.rms_norm(x, x.shape[-1:], self.norm1, 1e-6)
        q, k = rope(split(h @ self.q, self.heads)), rope(split(h @ self.k, self.kv_heads))
        v = split(h @ self.v, self.kv_heads)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + mixed.transpose(1, 2).flatten(2) @ self.out
        h = F.rms_norm(x, x.shape[-1:], self.norm2, 1e-6)
        return x + (F.silu(h @ self.gate) * (h @ self.up)) @ self.down


class Llama(nn.Module):
    def __init__(self, params: Any, buffers: Any, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.tokens = embedding(params["tokens"])
        self.blocks = nn.ModuleList(LlamaBlock(p, heads, kv_heads) for p in params["blocks"])
        self.norm, self.head = parameter(params["norm"]), parameter(params["head"])
        self.half = params["tokens"].shape[1] // heads // 2

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(tokens)
        speed = 10000.0 ** (-torch.arange(self.half) / self.half)
        angle = torch.arange(tokens.shape[1])[:, None] * speed
        for block in self.blocks:
            x = block(x, angle.cos(), angle.sin())
        x = F.rms_norm(x, x.shape[-1:], self.norm, 1e-6)
        return cross_entropy(x @ self.head, targets)


MODELS = {
    "vit": Vit,
    "resnet": Resnet,
    "gru": Gru,
    "autoencoder": Autoencoder,
    "llama": Llama,
}
