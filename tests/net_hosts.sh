#!/bin/bash
# Training over TCP between hosts (network namespaces, scripts/testbed net): the same bits; a link that is dead for a while;
# one that is dead for good, and carousel-run, which goes on with the hosts that are left. As root.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
PATH=$PATH:/usr/sbin:/sbin
cd "$WORK" || exit 99

bed=("$srcdir/scripts/testbed" net)
export TESTBED=$WORK/bed OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
expect 0 "--help" "${bed[@]}" --help
says "tells the commands" "$out" "scripts/testbed net up"
expect 64 "no such command" "${bed[@]}" sideways
if [ "$(id -u)" -ne 0 ] || ! is_open_mpi; then
    skip "hosts of a network: network namespaces need root, and Open MPI; run this test as root"
    finish
fi
if ! command -v ip > /dev/null || ! command -v tc > /dev/null; then
    skip "hosts of a network: ip and tc are missing (on Debian: apt-get install iproute2)"
    finish
fi
if [ -n "$(ip netns list 2> /dev/null)" ]; then
    skip "hosts of a network: there are some already (ip netns list); scripts/testbed net down takes them away"
    finish
fi
if ! "${bed[@]}" up 3 1gbit > up.log 2>&1; then
    "${bed[@]}" down
    skip "hosts of a network: $(tail -n 1 up.log)"
    finish
fi
trap '"${bed[@]}" down; cleanup' EXIT
expect 64 "no such number of hosts" "${bed[@]}" up none
expect 69 "no such host" "${bed[@]}" cut h9

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99
train=(train data.h5 --cell=gru --hidden=40 --layers=2 --batch=9 --window=8 --threads=1 --save-every=50 --validate-every=1h --quiet)

"$CAROUSEL" "${train[@]}" --steps=1500 -o alone > /dev/null 2>&1
expect 0 "each rank on a host of its own" "${bed[@]}" run 3 hostname
expect 0 "three hosts" "${bed[@]}" run 3 "$CAROUSEL" "${train[@]}" --steps=60 -o few
says "each is named in the metrics" few/metrics.jsonl '"hosts": ["h1", "h2", "h3"]'

# ---- dead for a while ----

"${bed[@]}" run 3 "$CAROUSEL" "${train[@]}" --steps=1500 --hang-timeout=60s -o while > /dev/null 2> while.err &
launcher=$!
wait_until test -e while/step-00000100.h5
"${bed[@]}" cut h2
sleep 3
check "a link dead for a while: it waits" kill -0 $launcher
"${bed[@]}" mend h2
wait $launcher
equal "and goes on" $? 0
equal "to the bits of one rank" "$(digest while/last.h5)" "$(digest alone/last.h5)"

# ---- dead for good ----

printf 'h1 slots=1\nh2 slots=1\nh3 slots=1\n' > hosts
flags=(--mca rtc ^hwloc --bind-to none --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24)
words=()
for flag in "${flags[@]}"; do words+=(--mpirun "$flag"); done
# asked whether it is there, a host answers over the network, as ssh would
cat > agent << 'EOF'
#!/bin/sh
while case "$1" in -*) true ;; *) false ;; esac; do shift; done
host=$1
shift
ping -c 1 -W 2 "$host" > /dev/null 2>&1 || exit 255
exec ip netns exec "$host" unshare --uts sh -c 'hostname "$1"; exec sh -c "$2"' sh "$host" "$*"
EOF
chmod +x agent
if ! command -v ping > /dev/null; then
    sed -i 's/^ping .*/: "${host:?}"; ip link show "v$host" 2> \/dev\/null | grep -q "state UP" || ip netns exec "$host" ip link show eth0 | grep -q "state UP" || exit 255/' agent
fi
"${bed[@]}" on h1 env CAROUSEL="$CAROUSEL" MPIRUN="$MPIRUN" TMPDIR="$TMPDIR" "$srcdir/scripts/carousel-run" --hostfile hosts --agent "$PWD/agent" \
    "${words[@]}" "${train[@]}" --steps=1500 --hang-timeout=5s -o good > /dev/null 2> good.err &
script=$!
wait_until test -e good/step-00000100.h5
"${bed[@]}" cut h3
wait $script
equal "a link dead for good: the run ends well all the same" $? 0
says "who does not answer" good.err "no answer from: h3"
check "the ranks say whom they waited for, or mpirun that a host is gone" grep -q -e "waited .* for rank 2 on h3" -e "ORTE has lost communication" good.err
says "it goes on with the others" good.err "carousel-run: 2 ranks, from step"
equal "to the same bits" "$(digest good/last.h5)" "$(digest alone/last.h5)"

finish
