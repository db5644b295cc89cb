#!/bin/bash
# What ends a training early, and that nothing is lost by it: every signal that asks for it, also within a validation, the
# clock there, and data that change under it.

# Whoever started this (nohup, a job in the background) may ignore signals; a shell can't take that back.
if [ -z "${SIGNALS_BY_DEFAULT:-}" ]; then
    SIGNALS_BY_DEFAULT=1 exec env --default-signal=HUP,INT,QUIT,TERM,USR1,USR2 bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99
forever=(train data.h5 --cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --steps=10000000 --save-every=1h --validate-every=1h --quiet)

# catches PROCESS...: it is carousel (no longer who started it), and SIGTERM has a handler there.
catches() {
    local process
    for process in "$@"; do
        [ "/proc/$process/exe" -ef "$CAROUSEL" ] || [ "/proc/$process/exe" -ef "$CAROUSEL_FAULTS" ] || return 1
        (((0x$(sed -n 's/^SigCgt:\t*//p' "/proc/$process/status") & 0x4000) != 0)) || return 1
    done
}
# all_catch LAUNCHER RANKS: all its ranks do.
all_catch() {
    local processes
    processes=$(children "$1")
    # shellcheck disable=SC2086
    [ "$(echo $processes | wc -w)" -eq "$2" ] && catches $processes
}

# steps RUN: how many are in its metrics.
steps() { wc -l < "$1/metrics.jsonl"; }
losses() { sed 's/^{"step": \([0-9]*\),.*"loss": \([^,]*\),.*/\1 \2/' "$1/metrics.jsonl"; }
validations() { sed -n 's/^{"step": \([0-9]*\),.*"validation_loss": \([^,}]*\)}.*/\1 \2/p' "$1/metrics.jsonl"; }

# ---- each signal that means to stop ----

set -m # a job of an interactive shell: SIGINT is not ignored
for name in INT HUP USR2; do
    "$CAROUSEL" "${forever[@]}" -o "run-$name" > /dev/null 2> "$name.err" &
    process=$!
    wait_until test -e "run-$name/last.h5"
    sleep 0.1
    kill "-$name" "$process"
    wait "$process"
    equal "SIG$name gives 75" $? 75
    says "SIG$name is told" "$name.err" "stopped by a signal after step"
    equal "SIG$name: saved where it stopped" "$(basename "run-$name"/step-*[1-9]*.h5)" "$(printf 'step-%08d.h5' "$(steps "run-$name")")"
done
set +m

# One that was ignored at the start stays ignored.
for name in HUP INT; do
    (
        trap '' "$name"
        exec "$CAROUSEL" "${forever[@]}" -o "ignored-$name" > /dev/null 2> "$name.err"
    ) &
    process=$!
    wait_until test -e "ignored-$name/last.h5"
    kill "-$name" "$process"
    sleep 0.3
    check "SIG$name that was ignored is no reason to stop" kill -0 "$process"
    kill -TERM "$process"
    wait "$process"
    equal "SIGTERM still is" $? 75
done

# One rank's is enough.
"$MPIRUN" "${launcher_flags[@]}" -n 2 "$CAROUSEL" "${forever[@]}" -o two > /dev/null 2> two.err &
launcher=$!
wait_until test -e two/last.h5
sleep 0.1
kill -HUP "$(children "$launcher" | tail -n 1)"
wait "$launcher"
equal "SIGHUP at one rank gives 75" $? 75
says "all ranks stop" two.err "stopped by a signal after step"

# Before the first step: no step is made.
"$CAROUSEL" "${forever[@]}" -o early > /dev/null 2> early.err &
process=$!
wait_until catches "$process"
kill -TERM "$process"
wait "$process"
equal "a signal before the first step" $? 75
says "ends there" early.err "stopped by a signal after step 0 of"
check "with a checkpoint" test -e early/step-00000000.h5

# ---- within a validation ----

for ((i = 0; i < 40; i++)); do
    text 5000 "$i"
done > long.txt
"$CAROUSEL" pack text --split=0.02,0.98,0 -o long.h5 long.txt 2> /dev/null || exit 99
slow=(train long.h5 --cell=lstm --hidden=96 --layers=1 --batch=6 --window=20 --threads=1 --steps=4 --validate-every=2 --save-every=1 --keep=9 --quiet)
expect 0 "uninterrupted" ranks 2 "$CAROUSEL" "${slow[@]}" -o whole

# A validation that takes seconds on any machine.
slowly() { CAROUSEL_FAULT=slow-pass exec "$@"; }

# stop_within RANKS RUN: SIGUSR1 soon after step 1, which is when step 2 is validated.
stop_within() {
    local n=$1 run=$2
    slowly "$MPIRUN" "${launcher_flags[@]}" -n "$n" "$CAROUSEL_FAULTS" "${slow[@]}" -o "$run" > /dev/null 2> "$run.err" &
    launcher=$!
    wait_until all_catch "$launcher" "$n"
    wait_until test -e "$run/step-00000001.h5"
    sleep 0.5
    kill -USR1 "$launcher"
    wait "$launcher"
}
for n in 1 2 3; do
    stop_within "$n" "given-$n"
    equal "$n ranks: a validation is given up" $? 75
    says "$n ranks: after its step" "given-$n.err" "stopped by a signal after step 2 of 4"
    equal "$n ranks: its step is saved" "$(digest "given-$n/last.h5")" "$(digest whole/step-00000002.h5)"
    check "$n ranks: without a validation" test -z "$(validations "given-$n")"
    stop_within $((4 - n)) "given-$n"
    equal "$n ranks: given up again when it is made good" $? 75
    says "$n ranks: at the same step" "given-$n.err" "stopped by a signal after step 2 of 4"
    expect 0 "$n ranks: goes on" ranks "$n" "$CAROUSEL" "${slow[@]}" -o "given-$n"
    equal "$n ranks: the state" "$(digest "given-$n/last.h5")" "$(digest whole/last.h5)"
    equal "$n ranks: the best" "$(digest "given-$n/best.h5")" "$(digest whole/best.h5)"
    equal "$n ranks: every loss, once" "$(losses "given-$n")" "$(losses whole)"
    equal "$n ranks: every validation" "$(validations "given-$n")" "$(validations whole)"
done

# After the last step: the run is not finished without it.
last=("${slow[@]}" --steps=1)
slowly "$CAROUSEL_FAULTS" "${last[@]}" -o last > /dev/null 2> last.err &
process=$!
wait_until test -e last/last.h5
sleep 0.15
kill -TERM "$process"
wait "$process"
equal "the last validation is given up" $? 75
check "and none is told of" test "$(validations last)" = ""
expect 0 "the same command makes it good" "$CAROUSEL" "${last[@]}" -o last
equal "once" "$(validations last | cut -d' ' -f1)" 1
check "the best is there" test -e last/best.h5
before=$(fingerprint last)
expect 0 "then it is finished" "$CAROUSEL" "${last[@]}" -o last
equal "and nothing changes" "$(fingerprint last)" "$before"

# One that was due by the clock is made good too, though its time is over.
clock=("${slow[@]}" --steps=1000000 --save-every=1h)
slowly "$CAROUSEL_FAULTS" "${clock[@]}" --validate-every=0.2s -o clock > /dev/null 2>&1 &
process=$!
wait_until test -e clock/last.h5
sleep 0.8
kill -TERM "$process"
wait "$process"
equal "a validation by the clock is given up" $? 75
at=$(steps clock)
check "before it has a result" test "$(validations clock)" = ""
expect 75 "goes on" "$CAROUSEL" "${clock[@]}" --validate-every=1h --stop-after=9s -o clock
equal "with that validation" "$(validations clock | cut -d' ' -f1)" "$at"

# --stop-after holds within a validation, also within one that is made good.
expect 75 "the clock ends a validation" "$CAROUSEL" "${last[@]}" --stop-after=0.01s -o stopped
says "and says so" "$err" "stopped by --stop-after after step 1 of 1"
expect 75 "again" ranks 2 "$CAROUSEL" "${last[@]}" --stop-after=0.01s -o stopped
says "with what would do" "$err" "the validation after that step needs a longer --stop-after"
expect 0 "which it does" "$CAROUSEL" "${last[@]}" --stop-after=5m -o stopped
equal "to the same validation" "$(validations stopped)" "$(validations last)"

# An evaluation has nothing to save.
slowly "$CAROUSEL_FAULTS" eval whole/last.h5 long.h5 --split=validation --threads=1 > /dev/null 2>&1 &
process=$!

sleep 0.5
start=$(date +%s)
kill -TERM "$process"
wait "$process"
equal "SIGTERM ends an evaluation" $? 143
check "at once" test $(($(date +%s) - start)) -le 3

finish
