"""How every reference file is written: exact doubles, one case a line, no timestamps, so that a rerun changes nothing."""

import json
import math
import pathlib
import platform

import numpy as np

HERE = pathlib.Path(__file__).parent
LIMIT = 400_000  # bytes; larger files are hard to read and slow to parse


def plain(value):
    """Python numbers, lists and dicts of what NumPy, torch and scikit-learn return. Non-finite numbers become strings."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()] if value.ndim else plain(value.item())
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def tensor(value):
    """{"shape": [...], "data": [...]} with the elements in row-major order. A scalar has the shape []."""
    array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    return {"shape": list(array.shape), "data": plain(array.ravel())}


def fnv1a(indices):
    """64-bit FNV-1a of the indices as little-endian 64-bit integers: stands for a list too long to be stored."""
    h = 0xCBF29CE484222325
    for byte in np.asarray(indices, dtype="<u8").tobytes():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def write(name, packages, **content):
    """Writes NAME.json beside this script: versions first, then each list with one case a line."""
    head = {"python": platform.python_version()} | {p.__name__: p.__version__ for p in packages}
    parts = [f'"generated_with": {json.dumps(head)}']
    for key, value in content.items():
        value = plain(value)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in value)
            parts.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}")
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    if len(text) > LIMIT:
        raise SystemExit(f"{name}.json would have {len(text)} bytes, at most {LIMIT} are allowed")
    (HERE / f"{name}.json").write_text(text)
    print(f"{name}.json: {len(text)} bytes")
