#!/bin/bash
# A rank that keeps the others waiting: for a while, which harms nothing; for good, which ends them all, says whom they
# waited for, and loses no more than what was not saved.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99
train=(train data.h5 --cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --save-every=100 --validate-every=1h --quiet)

# rank N LAUNCHER: the process of that rank.
rank() {
    local process
    for process in $(children "$2"); do
        tr '\0' '\n' < "/proc/$process/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" && echo "$process"
    done
}
begin() {
    rm -rf "$1"
    "$MPIRUN" "${launcher_flags[@]}" -n 3 "$CAROUSEL" "${train[@]}" -o "$@" > /dev/null 2> "$1.err" &
    launcher=$!
    wait_until test -e "$1/step-00000200.h5"
}

if ! is_open_mpi; then
    skip "the processes of ranks are found by what Open MPI tells them"
    finish
fi

# ---- for a while ----

ranks 1 "$CAROUSEL" "${train[@]}" --steps=6000 -o alone > /dev/null 2>&1
begin while --steps=6000 --hang-timeout=20s
stopped=$(rank 1 $launcher)
kill -STOP "$stopped"
sleep 3
check "a rank stopped for a while: the others wait" kill -0 $launcher
kill -CONT "$stopped"
wait $launcher
equal "and go on with it to the end" $? 0
equal "to the bits of an undisturbed run" "$(digest while/last.h5)" "$(digest alone/last.h5)"

# ---- for good ----

begin good --steps=100000000 --hang-timeout=2s
stopped=$(rank 1 $launcher)
kill -STOP "$stopped"
before=$(date +%s)
wait $launcher
ended=$?
check "a rank stopped for good: no status of success" test $ended -ne 0
check "all have ended soon" test $(($(date +%s) - before)) -le 15
gone() { ! kill -0 "$1" || grep -q '^State:.*zombie' "/proc/$1/status"; }
check "the stopped one too" wait_until gone "$stopped"
equal "one line says whom they waited for" "$(grep -c 'carousel: waited .* for rank 1 on ' good.err)" 1
equal "one line alone" "$(grep -c '^carousel: ' good.err)" 1
step=$("$CAROUSEL" show --json good/last.h5 | tr ',' '\n' | sed -n 's/.*"step": *\([0-9]*\).*/\1/p' | head -n 1)
expect 0 "what was saved goes on" ranks 2 "$CAROUSEL" "${train[@]}" --steps=$((step + 50)) -o good
expect 0 "an undisturbed run of as many steps" "$CAROUSEL" "${train[@]}" --steps=$((step + 50)) -o as-long
equal "and ends with the bits of an undisturbed run" "$(digest good/last.h5)" "$(digest as-long/last.h5)"

# ---- the option ----

refused 64 "a time that is none" "hang-timeout soon 0 never" "$CAROUSEL" "${train[@]}" --hang-timeout=soon -o never
expect 0 "0: never" "$CAROUSEL" "${train[@]}" --hang-timeout=0 --steps=1 -o never

finish
