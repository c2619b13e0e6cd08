"""package/python: makes a virtual environment, installs the Python package against an installed handgrad, runs its tests.

python.py SOURCE FOLDER PREFIX COMPILER: FOLDER is made anew, PREFIX is where handgrad is installed. What is missing here
(Python's headers, venv, the packages from PyPI, which take a network) is named behind `skipped:`.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

source, folder, prefix, compiler = (pathlib.Path(argument) for argument in sys.argv[1:5])
packages = ["scikit-build-core>=0.10", "nanobind>=3", "numpy>=1.22", "pytest>=7", "mypy"]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(0)


def run(*command, **options):
    print("+", *command, flush=True)
    return subprocess.run([str(word) for word in command], check=True, **options)


if sys.version_info < (3, 10):
    skip(f"Python 3.10 is needed, this is {sys.version.split()[0]}")
if not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
    skip("Python's headers are missing (Debian: python3-dev)")
shutil.rmtree(folder, ignore_errors=True)
try:
    run(sys.executable, "-m", "venv", folder / "venv", capture_output=True)
except subprocess.CalledProcessError:
    skip("no virtual environment can be made (Debian: python3-venv)")
python = folder / "venv" / "bin" / "python"
try:
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "15",
        *packages, timeout=240)
except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
    skip(f"{', '.join(packages)} cannot be had here (no network?)")

# From a copy, without a build folder of its own: the tree stays as it is.
config_of_handgrad = next(prefix.rglob("handgradConfig.cmake")).parent
settings = {"build-dir": folder / "build", "cmake.define.handgrad_DIR": config_of_handgrad,
            "cmake.define.CMAKE_CXX_COMPILER": compiler}
config = [word for key, value in settings.items() for word in ("-C", f"{key}={value}")]
run(python, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", *config,
    "--wheel-dir", folder / "wheels", source)
wheels = list((folder / "wheels").glob("handgrad-*.whl"))
assert len(wheels) == 1, wheels
run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", wheels[0])
environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
environment.pop("PYTHONPATH", None)
tests = source / "packaging" / "python"
run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests / "tests", tests / "examples", cwd=folder,
    env=environment)
