#!/bin/bash
# What asks a run to stop, at one rank and at all, and how soon it does: signals, --stop-after, a file RUN/stop; a second
# SIGINT; and how much a run that is not asked can lose.
if [ -z "${SIGNALS_BY_DEFAULT:-}" ]; then
    SIGNALS_BY_DEFAULT=1 exec env --default-signal=HUP,INT,QUIT,TERM,USR1,USR2 bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text -q --split=0.9,0.1,0 -o data.h5 text.txt || exit 99
for ((i = 0; i < 60; i++)); do
    text 5000 "$i"
done > long.txt
"$CAROUSEL" pack text -q --split=0.02,0.98,0 -o long.h5 long.txt || exit 99
small=(--cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --quiet)
forever=(data.h5 "${small[@]}" --steps=10000000 --validate-every=1h)
quiet=("${forever[@]}" --save-every=1h)

now() { echo $(($(date +%s%N) / 1000000)); }
# start RANKS RUN: a run that is in its steps; its launcher is $launcher. Each step takes 0.7 s, so that two are measurable.
start() {
    CAROUSEL_FAULT=slow-step "$MPIRUN" "${launcher_flags[@]}" -n "$1" "$CAROUSEL_FAULTS" train "${quiet[@]}" -o "$2" > /dev/null 2> "$2.err" &
    launcher=$!
    wait_until test -e "$2/metrics.jsonl"
    first=$(now)
    sleep 1
}
# stopped NAME RUN WHY: within two steps of $begin, with status 75, and with all saved. A step takes 0.7 s or more, so
# that it is known how many there were at most.
stopped() {
    wait "$launcher"
    equal "$1: 75" $? 75
    says "$1: says why" "$2.err" "stopped by $3 after step"
    equal "$1: once" "$(grep -c 'stopped by' "$2.err")" 1
    at=$(sed -n 's/.*after step \([0-9]*\) of.*/\1/p' "$2.err")
    check "$1: within two steps" test "$at" -le $(((begin - first) / 700 + 2))
    check "$1: the step is saved" test -e "$2/$(printf 'step-%08d.h5' "$at")"
    equal "$1: its lines too" "$(wc -l < "$2/metrics.jsonl")" "$at"
}

# ---- signals to the launcher, one rank, all ranks ----

start 2 by-launcher
begin=$(now)
kill -USR1 "$launcher"
stopped "SIGUSR1 to the launcher" by-launcher "a signal"
for name in TERM INT USR1; do
    for n in 1 3; do
        start 3 "$name-$n"
        begin=$(now)
        # shellcheck disable=SC2046
        kill "-$name" $(children "$launcher" | tail -n "$n")
        stopped "SIG$name to $n of 3 ranks" "$name-$n" "a signal"
    done
done

# ---- a file ----

for n in 1 3; do
    start $n file-$n
    begin=$(now)
    touch file-$n/stop
    stopped "$n ranks: RUN/stop" file-$n "the file stop"
    check "$n ranks: it is removed" test ! -e file-$n/stop
done
touch file-1/stop
expect 75 "one that a run did not come to is passed over" "$CAROUSEL" train "${quiet[@]}" -o file-1 --stop-after=1.5s
says "by the next" "$err" "stopped by --stop-after after step"
check "and removed" test ! -e file-1/stop
check "training went on" test "$(sed -n 's/.*after step \([0-9]*\) of.*/\1/p' "$err")" -gt "$at"
mkdir file-1/stop
touch file-1/stop/kept
refused 73 "a full folder of that name" "file-1/stop removed" "$CAROUSEL" train "${quiet[@]}" -o file-1
check "is left alone" test -e file-1/stop/kept

# Within a validation: between two of its passes.
CAROUSEL_FAULT=slow-pass "$MPIRUN" "${launcher_flags[@]}" -n 2 "$CAROUSEL_FAULTS" train long.h5 "${small[@]}" --hidden=96 --steps=4 \
    --validate-every=2 --save-every=1 -o within > /dev/null 2> within.err &
launcher=$!
wait_until test -e within/step-00000001.h5
sleep 0.5
first=$(now)
begin=$first
touch within/stop
stopped "RUN/stop within a validation" within "the file stop"
equal "after its step" "$at" 2

# ---- a second SIGINT ----

for n in 1 2; do
    start $n again-$n
    ranks_of=$(children "$launcher" | tail -n 1)
    kill -INT "$ranks_of"
    [ $n -eq 1 ] && sleep 0.1 || sleep 0.55
    kill -INT "$ranks_of"
    wait "$launcher"
    differ "$n ranks: a second SIGINT does not wait" $? 75
    check "$n ranks: nor save" test "$(grep -c 'stopped by' again-$n.err)" -eq 0
    check "$n ranks: and harms nothing" "$CAROUSEL" show again-$n/last.h5
    expect 75 "$n ranks: the same command goes on" "$CAROUSEL" train "${quiet[@]}" -o again-$n --stop-after=1s
done
# Its echo, as of a launcher that passes on what the terminal has sent already, is none.
start 2 echo
begin=$(now)
ranks_of=$(children "$launcher" | tail -n 1)
kill -INT "$ranks_of"
kill -INT "$ranks_of"
stopped "SIGINT twice at once" echo "a signal"

# ---- by default ten minutes are the most that is lost (here: milliseconds for seconds) ----

for ((i = 0; i < 20; i++)); do cat long.txt; done > longer.txt
"$CAROUSEL" pack text -q --split=1,0,0 -o longer.h5 longer.txt || exit 99
epoch=(longer.h5 --cell=gru --hidden=4 --layers=1 --batch=2 --window=4 --threads=1 --quiet --steps=10000000 --keep=9)
expect 75 "an epoch of hours" env CAROUSEL_FAULT=hurry "$CAROUSEL_FAULTS" train "${epoch[@]}" --stop-after=3.5s -o often
check "is saved every ten minutes" test "$(ls often/step-*.h5 | wc -l)" -ge 4
check "and not more often" test "$(ls often/step-*.h5 | wc -l)" -le 8
expect 75 "an epoch before that" env CAROUSEL_FAULT=hurry "$CAROUSEL_FAULTS" train data.h5 "${small[@]}" --steps=10000000 --keep=999 --stop-after=2s -o epochs
check "is saved as well" test -e epochs/step-00000049.h5
check "nothing is written down of a default" test "$("$CAROUSEL" show epochs/last.h5 | grep -c 'save-every')" -eq 0
expect 75 "--save-every stands" env CAROUSEL_FAULT=hurry "$CAROUSEL_FAULTS" train "${epoch[@]}" --save-every=1h --stop-after=2s -o rarely
equal "alone" "$(ls rarely/step-*.h5 | wc -l)" 2

finish
