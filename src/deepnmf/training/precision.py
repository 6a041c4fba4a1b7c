"""Precision at which a machine can train recurrent layers."""

from __future__ import annotations

import functools

import torch


@functools.cache
def usable_precision(wanted: str, device: str) -> torch.dtype:
    """Return the precision as torch has it, or float32 if recurrent layers cannot be trained at it on the device.

    Support on processors without bfloat16 units varies with torch and oneDNN, so it is tested by training a tiny
    layer. On a GPU, autocast has cuDNN compute recurrent layers in float16, whose range the gradients of a batch exceed
    (seen on an H200); float32 has matrix units there, too.
    """
    precision: torch.dtype = getattr(torch, wanted)
    on_gpu = torch.device(device).type == "cuda"
    return precision if precision == torch.float32 or (not on_gpu and _trains(precision, device)) else torch.float32


def _trains(precision: torch.dtype, device: str) -> bool:
    layer = torch.nn.LSTM(8, 8).to(device)
    try:
        with torch.autocast(torch.device(device).type, precision):
            output, _ = layer(torch.ones(4, 2, 8, device=device))
        torch.autograd.backward(output.float().sum())
    except RuntimeError:
        return False
    return True
