#!/usr/bin/env bash
# checkpoint.sh FOLDER COMMAND…: COMMAND is mpirun with tests/distributed/mpi/checkpoint.cpp. A run again gives the same
# bits; so does one that was killed, on whichever rank, and taken up again: the checkpoint was whole.
set -uo pipefail
folder=$1
shift
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder" || exit 1

fail() {
  printf 'FAILED: %s\n' "$1"
  exit 1
}
"$@" whole.run whole.weights || fail "the whole run"
"$@" again.run again.weights || fail "the same run again"
cmp whole.weights again.weights || fail "two runs have different bits"

for rank in 0 1; do
  begin=$SECONDS
  "$@" killed.run killed.weights epoch 15 $rank >log 2>&1 && fail "rank $rank was killed, and nobody noticed"
  [ $((SECONDS - begin)) -le 20 ] || fail "the others waited for $((SECONDS - begin)) s"
  grep -E "rank $rank|KILLED|Killed" log || fail "nobody says that it was rank $rank: $(cat log)"
  [ -f killed.run ] || fail "there is no checkpoint"
  "$@" killed.run killed.weights || fail "the run of which rank $rank was killed cannot be taken up"
  cmp whole.weights killed.weights || fail "taken up again it has other bits (rank $rank)"
  rm -f killed.*
done

# Rank 0 at any moment, in the midst of writing too: the run gets to its end bit by bit.
for seconds in 0.002 0.005 0.01 0.02 0.03; do
  "$@" killed.run killed.weights after $seconds 0 >log 2>&1
done
"$@" killed.run killed.weights || fail "a run that was killed several times cannot be taken up"
cmp whole.weights killed.weights || fail "a run that was killed several times has other bits"
printf 'whole after each death\n'
