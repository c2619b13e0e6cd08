#!/usr/bin/env bash
# readme.sh README PROGRAM.cpp COMMAND…: the program stands in the README word for word, and COMMAND prints what it says.
set -uo pipefail
readme=$1 program=$2
shift 2
code=$(tail -n +2 "$program")
[[ $(<"$readme") == *"$code"* ]] || { printf '%s does not hold %s as it is\n' "$readme" "$program"; exit 1; }
output=$("$@" && "${@: -1}") || exit 1  # on ranks, and alone
printf '%s\n' "$output"
while IFS= read -r line; do
  grep -qxF "    $line" "$readme" || { printf 'not in %s: %s\n' "$readme" "$line"; exit 1; }
done <<<"$output"
