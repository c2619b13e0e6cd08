#!/usr/bin/env bash
# deb_mpi.sh CPACK BUILD FOLDER: the package libhandgrad-mpi, of what BUILD holds, has the library and its CMake targets, and
# asks for an MPI.
set -euo pipefail
rm -rf "$3"
mkdir -p "$3"
"$1" -G DEB --config "$2/CPackConfig.cmake" -B "$3" -D CPACK_COMPONENTS_ALL=mpi
deb=$(find "$3" -maxdepth 1 -name 'libhandgrad-mpi_*.deb')
[ -f "$deb" ] || { echo "there is no libhandgrad-mpi_*.deb"; exit 1; }
contents=$(dpkg-deb --contents "$deb")
depends=$(dpkg-deb --field "$deb" Depends)
printf '%s\nDepends: %s\n' "$contents" "$depends"
for part in 'libhandgrad_mpi\.(a|so)' 'handgradMpiTargets\.cmake'; do
  grep -qE "$part" <<<"$contents" || { echo "it lacks $part"; exit 1; }
done
grep -q 'libopenmpi-dev | libmpich-dev' <<<"$depends"
