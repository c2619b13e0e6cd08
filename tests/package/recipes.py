#!/usr/bin/env python3
"""recipes.py ROOT: what can be said of the recipes for vcpkg and Conan without their servers."""
import json
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
wrong = []
cmake = (root / "CMakeLists.txt").read_text()
version = re.search(r"project\(handgrad VERSION ([\d.]+)", cmake)[1]
options = set(re.findall(r"(?:option\(|set\()(HANDGRAD_\w+)", cmake))

# vcpkg.json, by vcpkg's own rules for a manifest of a port.
port = json.loads((root / "packaging/vcpkg/vcpkg.json").read_text())
known = {"$schema", "name", "version", "version-semver", "version-date", "version-string", "port-version", "description", "homepage",
         "documentation", "license", "supports", "dependencies", "features", "default-features", "maintainers"}
if unknown := set(port) - known:
    wrong.append(f"vcpkg.json: unknown fields {sorted(unknown)}")
if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", port["name"]):
    wrong.append("vcpkg.json: the name")
if port.get("version-semver") != version:
    wrong.append(f"vcpkg.json says version {port.get('version-semver')}, CMakeLists.txt {version}")
for where in [port, *port["features"].values()]:
    names = [d if isinstance(d, str) else d["name"] for d in where["dependencies"]]
    if names != sorted(names) or len(names) != len(set(names)):
        wrong.append(f"vcpkg.json: dependencies are sorted and named once: {names}")
    wrong += [f"vcpkg.json: {n}" for n in names if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", n)]

# Every package that CMake looks for comes from a dependency of either recipe.
of_vcpkg = {"xtensor": "xtensor", "xsimd": "xsimd", "BLAS": "openblas", "xtensor-blas": "xtensor-blas", "ZLIB": "zlib",
            "nlohmann_json": "nlohmann-json", "Threads": None}
names = [d if isinstance(d, str) else d["name"] for d in port["dependencies"]]
conan = (root / "packaging/conan/conanfile.py").read_text()
in_library = cmake[:cmake.index("The CUDA kernels are")]
for package in re.findall(r"find_package\((\S+) REQUIRED\)", in_library):
    if package not in of_vcpkg:
        wrong.append(f"neither recipe knows of {package}, which CMakeLists.txt requires")
    elif of_vcpkg[package] and of_vcpkg[package] not in names:
        wrong.append(f"vcpkg.json: {of_vcpkg[package]} is missing")

# The options that they set exist, and the files that Conan exports.
for recipe in ("packaging/vcpkg/portfile.cmake", "packaging/conan/conanfile.py"):
    text = (root / recipe).read_text()
    for option in re.findall(r"-D(HANDGRAD_\w+)=", text.replace("${component}", "MPI")):
        if option not in options:
            wrong.append(f"{recipe}: there is no option {option}")
for name in re.search(r"for name in \((.*?)\)", conan)[1].replace('"', "").split(", "):
    if f"HANDGRAD_{name}" not in options:
        wrong.append(f"conanfile.py: there is no option HANDGRAD_{name}")
for pattern in re.search(r"for pattern in \((.*?)\)", conan)[1].replace('"', "").split(", "):
    if not list(root.glob(pattern)):
        wrong.append(f"conanfile.py exports {pattern}, which is not there")
for file in (root / "packaging/conan").rglob("*.py"):
    compile(file.read_text(), str(file), "exec")
print(f"vcpkg: {len(names)} dependencies, {len(port['features'])} features; version {version}")
sys.exit("\n".join(wrong) if wrong else 0)
