#!/usr/bin/env bash
# tests/package/chroot.sh [FOLDER]: the packages that packaging/build makes, installed in a fresh Debian 12, and a program
# linked and run there against each: the shared library (.deb: CMake, pkg-config, MPI and ONNX where they are packaged),
# and the static one (.tar.gz of a second build). Takes root, debootstrap and a mirror; half an hour when nothing is built.
# Not a part of ctest. Each way ends with a line `ok`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/setup.sh
folder=$(realpath -m "${1:-build-chroot}")
system=$folder/bookworm
mirror=${HANDGRAD_DEBIAN_MIRROR:-http://deb.debian.org/debian}
[ "$(id -u)" -eq 0 ] || { echo "chroot.sh: only root can" >&2; exit 1; }
handgrad_install debootstrap dpkg-dev

build=${HANDGRAD_PACKAGE_BUILD:-build-package}
[ -n "$(ls "$build"/*.deb 2>/dev/null)" ] || ./packaging/build "$build"
static=$build-static
if [ -z "$(ls "$static"/*.tar.gz 2>/dev/null)" ]; then
  handgrad_configure "$static" BUILD_SHARED_LIBS=OFF HANDGRAD_BUILD_TESTS=OFF HANDGRAD_BUILD_LABS=OFF HANDGRAD_BUILD_BENCH=OFF \
    CMAKE_INSTALL_PREFIX=/usr
  cmake --build "$static" --parallel "$(handgrad_jobs)"
  (cd "$static" && cpack -G TGZ)
fi

# The system; kept from run to run as it came, and unpacked anew for each.
if [ ! -f "$folder/bookworm.tar" ]; then
  mkdir -p "$folder"
  debootstrap --variant=minbase bookworm "$system" "$mirror"
  tar -C "$folder" -cf "$folder/bookworm.tar.part" bookworm && mv "$folder/bookworm.tar.part" "$folder/bookworm.tar"
fi

inside() { chroot "$system" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
# fresh: the system as it came, with name service, and the program.
fresh() {
  rm -rf --one-file-system "$system"
  tar -C "$folder" -xf "$folder/bookworm.tar"
  cp /etc/resolv.conf "$system/etc/" 2>/dev/null || true
  for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf; do [ ! -f "$file" ] || cp "$file" "$system/etc/apt/apt.conf.d/"; done
  cp -r tests/package/outside "$system/root/outside"
  inside apt-get update -qq
}
# with PACKAGE…: as a user installs them.
with() { inside apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
by_cmake() {
  inside cmake -S /root/outside -B "/root/$1" -D CMAKE_BUILD_TYPE=Release >/dev/null
  inside cmake --build "/root/$1"
  inside "/root/$1/xor" | tail -1
}

handgrad_say "shared: the .deb files, by CMake"
fresh
mkdir -p "$system/root/debs"
cp "$build"/*.deb "$system/root/debs/"
mapfile -t debs < <(cd "$system" && ls root/debs/libhandgrad[0-9]*.deb root/debs/libhandgrad-dev*.deb)
with g++ make cmake pkg-config "${debs[@]/#/./}"
inside dpkg -l 'libhandgrad*' | tail -n +6
by_cmake shared
inside ldd /root/shared/xor | grep handgrad
echo "ok: shared, CMake"

handgrad_say "shared: by pkg-config"
inside sh -c 'g++ -std=c++20 -O1 /root/outside/xor.cpp $(pkg-config --cflags --libs handgrad) -o /root/xor_pkg_config'
inside /root/xor_pkg_config | tail -1
echo "ok: shared, pkg-config"

handgrad_say "shared: the library alone runs the program where nothing of -dev is"
cp "$system/root/shared/xor" "$folder/xor"
fresh
mkdir -p "$system/root/debs"
cp "$build"/libhandgrad[0-9]*.deb "$system/root/debs/"
with $(cd "$system" && ls root/debs/*.deb | sed 's|^|./|')
cp "$folder/xor" "$system/root/xor"
inside /root/xor | tail -1
echo "ok: the library alone"

for component in mpi onnx; do
  deb=$(ls "$build"/libhandgrad-$component*.deb 2>/dev/null || true)
  [ -n "$deb" ] || { handgrad_say "$component: no package was built"; continue; }
  handgrad_say "shared: libhandgrad-$component"
  fresh
  mkdir -p "$system/root/debs"
  cp "$build"/*.deb "$system/root/debs/"
  with g++ make cmake $(cd "$system" && ls root/debs/libhandgrad[0-9]*.deb root/debs/libhandgrad-dev*.deb root/debs/libhandgrad-$component*.deb | sed 's|^|./|')
  if [ $component = onnx ]; then
    by_cmake onnx
    inside /root/onnx/there_and_back | tail -1
  else
    with openmpi-bin
    cp tests/distributed/mpi/xor.cpp "$system/root/ranks_xor.cpp"
    inside sh -c 'mkdir -p /root/mpi && cd /root/mpi && printf "%s\n" "cmake_minimum_required(VERSION 3.22)" "project(m LANGUAGES CXX)" \
      "find_package(handgrad CONFIG REQUIRED COMPONENTS mpi)" "add_executable(m ../ranks_xor.cpp)" \
      "target_link_libraries(m PRIVATE handgrad::mpi)" >CMakeLists.txt && cmake -S . -B b >/dev/null && cmake --build b &&
      OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 mpirun -n 2 b/m'
  fi
  echo "ok: $component"
done

handgrad_say "static: the .tar.gz"
fresh
with g++ make cmake libxtensor-dev libxsimd-dev libopenblas-dev zlib1g-dev
tar -C "$system/usr" --strip-components=1 -xzf "$(ls "$static"/*.tar.gz | head -1)"
by_cmake static
! inside ldd /root/static/xor | grep handgrad
echo "ok: static, .tar.gz"
