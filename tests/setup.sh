# Sourced by tests/run and labs/run: what both need from the system, and how they build. Names begin with `handgrad_`.

handgrad_packages=(g++ cmake ninja-build libxtensor-dev libxtensor-blas-dev libxsimd-dev libopenblas-dev zlib1g-dev
                   nlohmann-json3-dev libcli11-dev)
handgrad_test_packages=(libboost-test-dev)
handgrad_onnx_packages=(libonnx-dev libprotobuf-dev)
handgrad_mpi_packages=(libopenmpi-dev openmpi-bin)  # for training on several machines
handgrad_page_packages=(node-d3 libjs-katex)  # ./labs/run open puts them into its page
handgrad_site_packages=(doxygen python3 python3-markdown)  # ./labs/run docs

handgrad_say() { printf '\n== %s\n' "$*" >&2; }

# handgrad_install PACKAGE…: installs those that are missing; where we may not, prints the line that does and ends.
# Nothing is asked of apt when nothing is missing.
handgrad_install() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    for tool in c++ cmake ninja; do
      if ! command -v "$tool" >/dev/null; then
        printf '%s is missing. This script installs packages on Debian and Ubuntu only; elsewhere, install what the\n' "$tool"
        printf 'following Debian packages hold, and run it again:\n  %s\n' "$*"
        exit 1
      fi
    done >&2
    return
  fi
  local installed missing=() package
  # dpkg-query fails when it does not know one of them, and tells of the others all the same.
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null) || true
  for package in "$@"; do
    grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      printf 'These packages are missing, and installing them takes root. Run, as root:\n  apt-get update && apt-get install -y --no-install-recommends %s\n' \
        "${missing[*]}" >&2
      exit 1
    fi
  fi
  handgrad_say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >&2
}

# handgrad_install_optional PACKAGE…: the same for what tests can do without; where it fails, those that want them say
# that they are skipped.
handgrad_install_optional() {
  (handgrad_install "$@") || handgrad_say "going on without; the tests that need them are skipped"
}

# handgrad_install_for_tests: what ./tests/run wants, before the first configuring, which looks for it.
handgrad_install_for_tests() {
  handgrad_install "${handgrad_packages[@]}" "${handgrad_test_packages[@]}" || return
  handgrad_install_optional "${handgrad_page_packages[@]}" python3
  handgrad_install_optional chromium
  handgrad_install_optional "${handgrad_site_packages[@]}"
  handgrad_install_optional "${handgrad_onnx_packages[@]}"
  handgrad_install_optional "${handgrad_mpi_packages[@]}"
}

# handgrad_configure BUILD OPTION=VALUE…: configures BUILD unless it is, with these very options; ninja then sees for
# itself when a CMakeLists.txt or the list of sources has changed.
handgrad_configure() {
  local build=$1 option configured=1
  shift
  [ -f "$build/build.ninja" ] || configured=0
  for option in "$@"; do
    [ $configured -eq 0 ] || grep -q "^${option%%=*}:[A-Z]*=${option#*=}\$" "$build/CMakeCache.txt" || configured=0
  done
  [ $configured -eq 1 ] || cmake -S . -B "$build" -G Ninja "${@/#/-D}" >&2
}

# handgrad_jobs: how many compilers at once. One instance takes up to a gigabyte, so memory may say fewer than cores.
handgrad_jobs() {
  local cores memory
  cores=$(nproc 2>/dev/null || echo 1)
  memory=$(awk '/^MemAvailable/ {print int($2 / 1000000)}' /proc/meminfo 2>/dev/null || echo "$cores")
  [ "${memory:-0}" -ge 1 ] || memory=1
  echo $((memory < cores ? memory : cores))
}
