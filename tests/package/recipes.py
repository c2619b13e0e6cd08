#!/usr/bin/env python3
"""recipes.py ROOT: what can be said of the recipes for vcpkg and Conan without their servers."""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

root = Path(sys.argv[1]).resolve()
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

# vcpkg's portfile, run with functions that print how they were called; the options that it sets exist.
stubs = """
function(vcpkg_check_features)
  set(WITH_MPI ${feature} PARENT_SCOPE)
  set(WITH_ONNX ${feature} PARENT_SCOPE)
endfunction()
foreach(name vcpkg_cmake_configure vcpkg_cmake_install vcpkg_cmake_config_fixup vcpkg_fixup_pkgconfig)
  cmake_language(EVAL CODE "function(${name})\\n execute_process(COMMAND \\"${CMAKE_COMMAND}\\" -E echo ${name} \\${ARGV})\\nendfunction()")
endforeach()
include(${portfile})
"""
for feature in ("ON", "OFF"):
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "port.cmake"
        script.write_text(stubs)
        said = subprocess.run(["cmake", f"-Dfeature={feature}", f"-DCURRENT_PACKAGES_DIR={folder}/packages",
                               f"-Dportfile={root / 'packaging/vcpkg/portfile.cmake'}", "-P", script],
                              capture_output=True, text=True, check=True).stdout
    calls = [line.split() for line in said.splitlines()]
    if [c[0] for c in calls] != ["vcpkg_cmake_configure", "vcpkg_cmake_install", "vcpkg_cmake_config_fixup", "vcpkg_fixup_pkgconfig"]:
        wrong.append(f"portfile.cmake calls {said}")
        continue
    given = dict(word[2:].split("=") for word in calls[0] if word.startswith("-D"))
    if f"SOURCE_PATH {root}" not in " ".join(calls[0]) or given.get("HANDGRAD_MPI") != feature or given.get("HANDGRAD_ONNX") != feature:
        wrong.append(f"portfile.cmake configures with {' '.join(calls[0][1:])}")
    wrong += [f"portfile.cmake: there is no option {name}" for name in given if name not in options]
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
