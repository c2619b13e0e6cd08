"""conan create packaging/conan: builds the checkout that this recipe lies in, runs test_package against it.

By default xtensor, xtensor-blas, xsimd, OpenBLAS, zlib and the JSON reader are the system's (on Debian the packages that
tests/setup.sh names), and nothing is fetched. With -o "handgrad/*:system=False" they come from Conan Center,
whose xtensor-blas is a recipe for Conan 1 yet: with Conan 2 bring one of your own."""
import re
from pathlib import Path

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy


class Handgrad(ConanFile):
    name = "handgrad"
    description = "Neural-network layers with gradients derived by hand"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False], "system": [True, False]}
    default_options = {"shared": False, "fPIC": True, "system": True}
    package_type = "library"

    def _checkout(self):
        return Path(self.recipe_folder).resolve().parent.parent

    def set_version(self):
        text = (self._checkout() / "CMakeLists.txt").read_text()
        self.version = re.search(r"project\(handgrad VERSION ([\d.]+)", text)[1]

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "lib/*", "kernels/*", "packaging/*.cmake"):
            copy(self, pattern, self._checkout(), self.export_sources_folder)

    def requirements(self):
        if not self.options.system:
            self.requires("xtensor/0.24.7", transitive_headers=True)
            self.requires("xtensor-blas/0.20.0")
            self.requires("xsimd/9.0.1", transitive_headers=True)
            self.requires("openblas/0.3.27")
            self.requires("zlib/[>=1.2.11 <2]")
            self.requires("nlohmann_json/3.11.3")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for name in ("CUDA", "ONNX", "MPI", "BUILD_TESTS", "BUILD_LABS", "BUILD_BENCH", "WERROR"):
            toolchain.cache_variables[f"HANDGRAD_{name}"] = "OFF"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()

    def package_info(self):
        # The package brings its own handgradConfig.cmake.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/handgrad"]
        self.cpp_info.libs = ["handgrad"]
