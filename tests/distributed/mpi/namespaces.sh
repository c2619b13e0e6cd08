#!/usr/bin/env bash
# namespaces.sh MPIRUN -n RANKS PROGRAM: PROGRAM on as many ranks, alternately in two network namespaces of this machine, as
# on two machines: between them there is TCP and nothing else. Says `skipped: …` where namespaces cannot be made.
set -uo pipefail
mpirun=$1 ranks=$3 program=$4

skip() {
  printf 'skipped: %s\n' "$1"
  exit 0
}
[ "$(id -u)" -eq 0 ] || skip "network namespaces want root"
command -v ip >/dev/null || skip "there is no ip (package iproute2)"
"$mpirun" --version 2>/dev/null | grep -qE 'Open MPI|OpenRTE' || skip "not Open MPI, whose options these are"

name=hg$$ net=10.$((RANDOM % 100 + 100)).$((RANDOM % 250 + 1)) folder=$(mktemp -d)
clean() {
  ip netns del ${name}a 2>/dev/null
  ip netns del ${name}b 2>/dev/null
  rm -rf "$folder"
}
trap clean EXIT
why=$( (ip netns add ${name}a && ip netns add ${name}b &&
  ip link add ${name}a netns ${name}a type veth peer name ${name}b netns ${name}b) 2>&1) || skip "no network namespaces: $why"
for side in a b; do
  [ $side = a ] && address=$net.1 || address=$net.2
  why=$( (ip -n $name$side addr add $address/24 dev $name$side && ip -n $name$side link set $name$side up &&
    ip -n $name$side link set lo up && ip netns exec $name$side true) 2>&1) || skip "no network namespaces: $why"
done

# In the place of ssh: HOST COMMAND… in the other namespace, under another name, as on another machine.
cat >"$folder/agent" <<AGENT
#!/bin/sh
shift
exec ip netns exec ${name}b unshare --uts sh -c "hostname ${name}b; \$*"
AGENT
chmod +x "$folder/agent"
printf '%s slots=%d\n' $net.1 $(((ranks + 1) / 2)) $net.2 $((ranks / 2)) >"$folder/hosts"

received() { ip netns exec ${name}b cat /sys/class/net/${name}b/statistics/rx_bytes; }
before=$(received)
ip netns exec ${name}a "$mpirun" -n "$ranks" --hostfile "$folder/hosts" --map-by node \
  --mca plm rsh --mca plm_rsh_agent "$folder/agent" --mca pml ob1 --mca btl self,tcp \
  --mca btl_tcp_if_include $net.0/24 --mca oob_tcp_if_include $net.0/24 \
  -x HANDGRAD_NUM_THREADS -x OMPI_MCA_mpi_yield_when_idle "$program"
status=$?
after=$(received)
printf '%d ranks on %s.1 and %s.2: %d bytes came over TCP\n' "$ranks" $net $net $((after - before))
[ $status -eq 0 ] && [ $((after - before)) -gt 400000 ]
