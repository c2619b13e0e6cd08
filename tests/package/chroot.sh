#!/usr/bin/env bash
# tests/package/chroot.sh [FOLDER]: the packages that packaging/build makes, installed in a fresh Debian 12, and a program
# linked and run there against each: the shared library (.deb: CMake, pkg-config, and CUDA, MPI and ONNX where they are
# packaged; .tar.gz), and the static one (.tar.gz of a second build). Takes root, debootstrap and a mirror; half an hour
# when nothing is built. Not a part of ctest. Each way ends with a line `ok`.
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
# fresh: the system as it came, with name service, the packages and the programs; nothing of these is installed.
fresh() {
  unmount
  rm -rf --one-file-system "$system"
  tar -C "$folder" -xf "$folder/bookworm.tar"
  cp /etc/resolv.conf "$system/etc/" 2>/dev/null || true
  for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf; do [ ! -f "$file" ] || cp "$file" "$system/etc/apt/apt.conf.d/"; done
  mkdir -p "$system/root/tests"
  cp -r tests/package "$system/root/tests/"
  mkdir "$system/root/debs"
  cp "$build"/*.deb "$system/root/debs/"
  mount -t proc proc "$system/proc"  # LeakSanitizer and MPI read there
  inside apt-get update -qq
}
unmount() { ! mountpoint -q "$system/proc" || umount "$system/proc"; }
trap unmount EXIT
# deb PART…: the files of our packages libhandgradPART, as apt-get wants them.
# shellcheck disable=SC2086  # a part may be a pattern
deb() { for part; do (cd "$system" && ls ./root/debs/libhandgrad$part*.deb); done; }
# with PACKAGE…: as a user installs them.
with() { inside apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
by_cmake() {
  inside cmake -S $outside -B "/root/$1" -D CMAKE_BUILD_TYPE=Release >/dev/null
  inside cmake --build "/root/$1"
  inside "/root/$1/xor" | tail -1
}
by_pkg_config() {
  inside sh -c "g++ -std=c++20 -O1 $outside/xor.cpp \$(pkg-config --cflags --libs handgrad) -o /root/xor_pkg_config"
  inside /root/xor_pkg_config | tail -1
}
library='[0-9]'  # libhandgrad0.2
outside=/root/tests/package/outside

handgrad_say "shared: the .deb files, by CMake and by pkg-config"
fresh
# shellcheck disable=SC2046  # a word for each file
with g++ make cmake pkg-config $(deb "$library" -dev)
inside dpkg -l 'libhandgrad*' | tail -n +6
by_cmake shared
inside ldd /root/shared/xor | grep handgrad
by_pkg_config
echo "ok: shared, .deb"

handgrad_say "shared: programs compiled with other flags than the library"
with clang
inside cmake -D PREFIX=/usr -D BUILD=/root/flags -D SOURCE=/root -D "GENERATOR=Unix Makefiles" -D COMPILER=/usr/bin/g++ \
  -D CLANG=/usr/bin/clang++ -P /root/tests/package/flags.cmake 2>&1 | grep -e '^--'
echo "ok: shared, other flags"

handgrad_say "shared: the library alone runs the program where nothing of -dev is"
cp "$system/root/shared/xor" "$folder/xor"
fresh
with "$(deb "$library")"
cp "$folder/xor" "$system/root/xor"
inside /root/xor | tail -1
echo "ok: the library alone"

for component in cuda mpi onnx; do
  [ -n "$(ls "$build"/libhandgrad-$component*.deb 2>/dev/null)" ] || { handgrad_say "$component: no package was built"; continue; }
  handgrad_say "shared: libhandgrad-$component"
  fresh
  # shellcheck disable=SC2046
  with g++ make cmake $(deb "$library" -dev -$component)
  case $component in
    cuda)  # without a driver, as here: the program runs, and is told why there is no GPU
      printf '%s\n' '#include <handgrad/handgrad.hpp>' '#include <iostream>' \
        'int main() { std::cout << handgrad::cuda_available() << ": " << handgrad::cuda_unavailable_reason() << std::endl; }' \
        >"$system$outside/xor.cpp"
      by_cmake cuda ;;
    onnx)
      by_cmake onnx
      inside /root/onnx/there_and_back | tail -1 ;;
    mpi)
      with openmpi-bin
      by_cmake mpi
      inside env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 mpirun -n 2 /root/mpi/ranks ;;
  esac
  echo "ok: $component"
done

for kind in shared static; do
  handgrad_say "$kind: the .tar.gz"
  from=$build
  [ $kind = shared ] || from=$static
  fresh
  with g++ make cmake pkg-config libxtensor-dev libxsimd-dev libopenblas-dev zlib1g-dev
  tar -C "$system/usr" --strip-components=1 -xzf "$(ls "$from"/*.tar.gz | head -1)"
  inside ldconfig
  by_cmake $kind
  by_pkg_config
  if [ $kind = static ]; then
    if inside ldd /root/static/xor | grep handgrad; then exit 1; fi
  else
    inside ldd /root/shared/xor | grep handgrad
  fi
  echo "ok: $kind, .tar.gz"
done
