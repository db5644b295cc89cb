#!/bin/bash
# scripts/carousel-run: goes on after crashes, gives up where nothing comes of it, stops when it is told to.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

if ! is_open_mpi; then
    skip "scripts/carousel-run is for Open MPI's mpirun"
    finish
fi
text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99
keep=("$srcdir/scripts/carousel-run" --mpirun --oversubscribe --mpirun --bind-to --mpirun none)
train=(train data.h5 --cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --save-every=10 --validate-every=1h --quiet)
export CAROUSEL MPIRUN

expect 0 "--help" "${keep[@]}" --help
says "tells the options" "$out" "--hostfile FILE"
expect 64 "no train" "${keep[@]}" -n 2 eval
expect 64 "no run" "${keep[@]}" -n 2 train data.h5
expect 64 "no number" "${keep[@]}" -n none "${train[@]}" -o run
expect 66 "no hosts" "${keep[@]}" --hostfile none "${train[@]}" -o run
expect 66 "no data: carousel's own status" "${keep[@]}" -n 2 train none.h5 -o none
says "no new start" "$err" "no new start would mend"

started() { [ "$(grep -c 'ranks, from step' "$1")" -ge "$2" ]; }
newer() { [ -n "$(find "$1" -name 'step-*.h5' -newer "$2")" ]; }
ranks_of() { pgrep -f "^$CAROUSEL ${train[*]} .*-o $1\$"; }

# ---- crashes that it gets over ----

"$CAROUSEL" "${train[@]}" --steps=3000 -o whole > /dev/null 2>&1
"${keep[@]}" -n 2 "${train[@]}" --steps=3000 -o crashed 2> crashed.err &
script=$!
for start in 1 2; do
    touch mark
    wait_until started crashed.err $start
    wait_until newer crashed mark
    kill -9 "$(ranks_of crashed | tail -n 1)"
    wait_until started crashed.err $((start + 1))
done
wait $script
equal "two crashes, and the end" $? 0
equal "told" "$(grep -c 'crashed; saved is step [0-9]' crashed.err)" 2
equal "to the bits of an undisturbed run" "$(digest crashed/last.h5)" "$(digest whole/last.h5)"

# ---- one that it does not ----

cat > broken << EOF
#!/bin/sh
[ "\$1" = show ] && exec "$CAROUSEL" "\$@"
kill -9 \$\$
EOF
chmod +x broken
expect 70 "nothing comes of it" env CAROUSEL="$PWD/broken" "${keep[@]}" --tries 2 -n 1 "${train[@]}" -o whole
says "it says so" "$err" "given up after 2 crashes"

# ---- stopping ----

"${keep[@]}" -n 2 "${train[@]}" --steps=100000000 -o told 2> told.err &
script=$!
wait_until test -e told/last.h5
kill -TERM $script
wait $script
equal "told to stop: 75" $? 75
expect 75 "--stop-after" "${keep[@]}" -n 2 "${train[@]}" --steps=100000000 --stop-after=3s -o after
says "stopped and saved" "$err" "stopped and saved, step"

# ---- hosts ----

cat > answers << 'EOF'
#!/bin/sh
# an agent: of two hosts one is there
[ "$1" = there ] || exit 255
EOF
chmod +x answers
printf 'gone slots=4\nthere slots=2\n' > hosts
cat > launcher << 'EOF'
#!/bin/sh
echo "launched: $*"
EOF
chmod +x launcher
expect 0 "hosts that answer" env MPIRUN="$PWD/launcher" "${keep[@]}" --hostfile hosts --agent "$PWD/answers" "${train[@]}" -o x
says "who does not is told" "$err" "no answer from: gone"
says "as many ranks as there is room for" "$out" "-n 2 "
check "and the others are left out" grep -q "2 ranks" "$err"
printf 'gone slots=4\n' > hosts
expect 70 "nobody answers" env MPIRUN="$PWD/launcher" "${keep[@]}" --tries 1 --hostfile hosts --agent "$PWD/answers" "${train[@]}" -o x

finish
