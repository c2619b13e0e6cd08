#!/usr/bin/env python3
"""runtime.py EXAMPLES FOLDER: runs the program EXAMPLES, which writes networks into FOLDER; onnx.checker has to find their
files right, and onnxruntime to compute what the library computed."""

import pathlib
import subprocess
import sys

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    sys.exit(print(f"skipped: {missing.name} is not installed (pip install numpy onnx onnxruntime)"))

program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
subprocess.run([program, folder], check=True)
wrong = 0
files = sorted(folder.glob("*.onnx"))
for file in files:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    x, y = (np.load(file.with_suffix(f".{v}.npy")) for v in "xy")
    if session.get_inputs()[0].type == "tensor(int64)":
        x = x.astype(np.int64)
    result = session.run(None, {"x": x})[0]
    error = np.abs(result - y).max() if result.shape == y.shape else np.inf
    print(f"{file.stem:20} {str(x.shape):16} → {str(result.shape):14} largest difference {error:.1e}")
    wrong += not error <= 1e-5
print(f"{len(files)} networks, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
sys.exit(wrong or not files)
