"""What is installed: types, stubs, docstrings."""

import ast
import importlib.metadata
import inspect
import pathlib

import handgrad


def test_types_and_stubs_are_there():
    folder = pathlib.Path(handgrad.__file__).parent
    assert (folder / "py.typed").exists()
    stubs = list(folder.glob("_core*.pyi")) + list(folder.glob("_core/*.pyi"))
    if not stubs and importlib.metadata.distribution("handgrad"):
        raise AssertionError(f"no stub beside {folder}")
    names = {node.name for node in ast.parse(stubs[0].read_text()).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert {"Function", "GradientReport", "check_function", "Trace"} <= names


def test_everything_public_is_documented():
    for name in handgrad.__all__:
        thing = getattr(handgrad, name)
        if not (inspect.isclass(thing) and issubclass(thing, handgrad.Error)):
            assert inspect.getdoc(thing), name
