"""npz.json: archives of arrays, byte for byte as NumPy writes them."""

import io

import numpy as np

from common import tensor, write


def archive(save, arrays, **options):
    buffer = io.BytesIO()
    save(buffer, **arrays, **options)
    return buffer.getvalue().hex()


def generate():
    rng = np.random.RandomState(0)
    images = {
        "x_train": (rng.rand(6, 4, 4) * 255).astype("u1"),
        "y_train": np.arange(6, dtype="i8") % 3,
        "x_test": np.zeros((40, 4, 4), "u1"),
    }
    mixed = {
        "half": np.array([1.5, -2, 65504, 2.0**-24, np.inf], "<f2"),
        "big": np.array([[1, -2], [3, 4]], ">f4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "number": np.array(7.25),
        "arr_0": np.array([True, False, True]),
        "empty": np.zeros((0, 3), "f4"),
    }
    refused = {
        "ok": np.array([1.0, 2.0]),
        "objects": np.array([[1], [2, 3]], dtype=object),
        "records": np.array([(1.0, 2)], dtype=[("a", "<f4"), ("b", "<i4")]),
        "words": np.array(["a", "bc"]),
        "complex": np.array([1j]),
    }
    cases = [
        {"name": name, "bytes": archive(save, arrays), "arrays": {k: tensor(v.astype("f8")) for k, v in arrays.items()}}
        for name, save, arrays in [
            ("savez", np.savez, images),
            ("savez_compressed", np.savez_compressed, images),
            ("mixed", np.savez, mixed),
            ("mixed_compressed", np.savez_compressed, mixed),
        ]
    ]
    write("npz", [np], cases=cases, refused=archive(np.savez_compressed, refused))
