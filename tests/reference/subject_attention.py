"""attention.json: embedding, positional encoding, attention and the transformer's encoder layer in PyTorch, in double; and
a layer saved there, as it lies on disk."""

import math

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from common import tensor, write

RS = np.random.RandomState(40)
INF = float("inf")


def short(*shape):
    return torch.tensor(np.round(RS.randn(*shape), 3), dtype=torch.float64)


def prepared(layer):
    layer = layer.double()
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.round(short(*p.shape) * 0.7, decimals=3))
    return layer


def parameters(layer):
    return {k: tensor(p) for k, p in layer.named_parameters()}


def step(layer, x, forward, **more):
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = forward(x)
    dy = short(*y.shape)
    y.backward(dy)
    return {"x": tensor(x), "y": tensor(y), "dy": tensor(dy), "dx": tensor(x.grad),
            "grads": {k: tensor(p.grad) for k, p in layer.named_parameters()}} | more


def embeddings():
    for rows, columns, padding, shape in ((5, 3, None, (7,)), (5, 3, 2, (4, 3)), (1, 1, None, (1,)), (11, 7, -1, (2, 3, 5)),
                                          (7, 17, 0, (23,)), (3, 2, None, ())):
        layer = nn.Embedding(rows, columns, padding_idx=padding).double()
        with torch.no_grad():
            layer.weight.copy_(short(rows, columns))  # including the padding row, which need not stay zero
        x = torch.tensor(RS.randint(0, rows, shape))
        layer.zero_grad()
        y = layer(x)
        dy = short(*y.shape)
        y.backward(dy)
        yield {"args": {"num_embeddings": rows, "embedding_dim": columns, "padding_idx": padding},
               "parameters": parameters(layer), "x": tensor(x.double()), "y": tensor(y), "dy": tensor(dy),
               "grads": {"weight": tensor(layer.weight.grad)}}


class PositionalEncoding(nn.Module):
    """As in PyTorch's tutorials."""

    def __init__(self, d_model, max_len):
        super().__init__()
        position = torch.arange(max_len).double().unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).double() * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model).double()
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)[:, : d_model // 2]
        self.register_buffer("pe", pe)


def positions():
    for d_model, max_len in ((4, 7), (5, 11), (1, 3)):
        yield {"d_model": d_model, "max_len": max_len, "pe": tensor(PositionalEncoding(d_model, max_len).pe)}


def padding_mask(n, t, lengths):
    return torch.arange(t)[None, :] >= torch.tensor(lengths)[:, None]


def attentions():
    # T, N (0: a single sequence), E, H, batch_first, bias, causal, lengths of the sequences (the rest is padding)
    for t, n, e, h, batch_first, bias, causal, lengths in (
        (1, 1, 4, 1, False, True, False, None), (1, 2, 4, 2, True, True, True, None), (5, 3, 6, 2, False, True, False, None),
        (7, 2, 9, 3, True, True, False, None), (4, 2, 6, 6, False, False, False, None), (5, 0, 6, 2, False, True, False, None),
        (5, 0, 6, 1, False, True, True, None), (7, 2, 6, 3, False, True, True, None), (5, 3, 4, 2, True, True, False, (5, 2, 1)),
        (5, 3, 4, 2, False, True, True, (3, 5, 1)), (4, 3, 6, 2, True, True, False, (4, 0, 2)), (6, 2, 5, 1, False, True, True, (0, 6)),
    ):
        layer = prepared(nn.MultiheadAttention(e, h, bias=bias, batch_first=batch_first))
        x = short(t, e) if n == 0 else short(n, t, e) if batch_first else short(t, n, e)
        mask = None if lengths is None else padding_mask(n, t, lengths)
        above = torch.triu(torch.ones(t, t, dtype=torch.bool), 1) if causal else None

        def forward(x):
            return layer(x, x, x, key_padding_mask=mask, attn_mask=above, need_weights=False)[0]

        yield {"args": {"embed_dim": e, "num_heads": h, "bias": bias, "batch_first": batch_first, "is_causal": causal},
               "parameters": parameters(layer), "mask": None if mask is None else tensor(mask.double()),
               "step": step(layer, x, forward)}


def encoders():
    for t, n, e, h, f, activation, norm_first, batch_first, bias, causal, lengths in (
        (5, 2, 6, 2, 7, "relu", False, False, True, False, None), (5, 2, 6, 2, 7, "relu", True, True, True, False, None),
        (3, 2, 4, 1, 5, "gelu", False, True, True, True, None), (3, 2, 4, 2, 5, "gelu", True, False, True, True, None),
        (4, 3, 4, 2, 3, "relu", True, True, False, False, (4, 1, 2)), (4, 2, 4, 2, 3, "gelu", False, False, False, True, (4, 2)),
        (1, 1, 4, 2, 3, "relu", False, False, True, False, None), (5, 0, 4, 2, 3, "gelu", True, False, True, False, None),
    ):
        layer = prepared(nn.TransformerEncoderLayer(e, h, f, dropout=0.0, activation=activation, norm_first=norm_first,
                                                    batch_first=batch_first, bias=bias))
        layer.train()
        x = short(t, e) if n == 0 else short(n, t, e) if batch_first else short(t, n, e)
        mask = None if lengths is None else padding_mask(n, t, lengths)
        above = torch.triu(torch.ones(t, t, dtype=torch.bool), 1) if causal else None
        yield {"args": {"d_model": e, "nhead": h, "dim_feedforward": f, "activation": activation, "norm_first": norm_first,
                        "batch_first": batch_first, "bias": bias, "is_causal": causal},
               "parameters": parameters(layer), "mask": None if mask is None else tensor(mask.double()),
               "step": step(layer, x, lambda x: layer(x, src_mask=above, src_key_padding_mask=mask))}


def drawn():
    """What the constructors draw."""
    torch.manual_seed(7)
    return [{"float": {k: tensor(v) for k, v in make().state_dict().items()}}
            for make in (lambda: nn.Embedding(5, 4, padding_idx=1), lambda: nn.MultiheadAttention(4, 2),
                         lambda: nn.TransformerEncoderLayer(4, 2, 3))]


def saved():
    """A layer with PyTorch's own weights, in a file, and what it predicts: in evaluation, as float."""
    torch.manual_seed(3)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.randn(2, 5, 8)
    with torch.no_grad():
        y = layer(x)
    return [{"bytes": save({k: v.contiguous() for k, v in layer.state_dict().items()}).hex(), "x": tensor(x), "y": tensor(y)}]


def training():
    """A causal character model of two layers: embedding, encoder layers, linear; the loss of every step of Adam."""
    torch.manual_seed(5)
    embedding, layers = nn.Embedding(7, 8), [nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=i > 0)
                                             for i in range(2)]
    head = nn.Linear(8, 7)
    net = nn.Sequential(embedding, *layers, head).double()
    state = {k: tensor(v) for k, v in net.state_dict().items()}
    x = torch.tensor(RS.randint(0, 7, (3, 6)))
    target = torch.tensor(RS.randint(0, 7, (3, 6)))
    mask = torch.triu(torch.ones(6, 6, dtype=torch.bool), 1)
    adam, losses = torch.optim.Adam(net.parameters(), lr=0.01), []
    for _ in range(5):
        h = embedding(x)
        for layer in layers:
            h = layer(h, src_mask=mask)
        loss = nn.functional.cross_entropy(head(h).reshape(-1, 7), target.reshape(-1))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return [{"x": tensor(x.double()), "target": tensor(target.double().reshape(-1)), "losses": losses, "state": state}]


SENTENCE = (("the ", "a "), ("small ", "old ", "quiet ", "bright "), ("cat", "dog", "bird", "fox"),
            (" sees ", " follows ", " hears ", " likes "), ("the ", "a "), ("river", "house", "moon", "garden"),
            (".\n", " at night.\n", " in spring.\n", " again.\n"))


def lab():
    """The lab `attention`: its text, its model with the lab's seed, and the losses of its first twenty steps."""
    words, text = np.random.RandomState(5)._bit_generator, ""
    while len(text) < 30000:
        for choice in SENTENCE:
            text += choice[int(words.random_raw()) % len(choice)]
    letters = sorted(set(text))
    numbers = torch.tensor([letters.index(c) for c in text])
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    embedding, layers = nn.Embedding(len(letters), 32), []
    for _ in range(2):
        layers.append(nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True))
    norm, head = nn.LayerNorm(32), nn.Linear(32, len(letters))
    adam = torch.optim.Adam([p for m in (embedding, *layers, norm, head) for p in m.parameters()], lr=3e-3)
    pe, mask, losses = PositionalEncoding(32, 48).pe[:, 0], torch.triu(torch.ones(48, 48, dtype=torch.bool), 1), []
    for step in range(20):
        piece = numbers[step * 8 * 48:(step + 1) * 8 * 48 + 1]
        h = embedding(piece[:-1].reshape(8, 48)) + pe
        for layer in layers:
            h = layer(h, src_mask=mask)
        loss = nn.functional.cross_entropy(head(norm(h)).reshape(-1, len(letters)), piece[1:])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    torch.set_default_dtype(torch.float32)
    return [{"attention.first_losses": losses}]


def generate():
    write("attention", [torch], embeddings=list(embeddings()), positions=list(positions()), attentions=list(attentions()),
          encoders=list(encoders()), drawn=drawn(), saved=saved(), training=training(), lab=lab())
