#!/bin/bash
# Disks that fail for a while, or for good, while a run saves and writes its metrics, and while pack writes: EDQUOT, EIO,
# EFBIG, ENOSPC and EROFS by a preloaded library, a real full disk, and ulimit -f. Training goes on where it can, says so
# once, tries again, and no good checkpoint is lost.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99
library=$(dirname "$CAROUSEL")/failing_disk.so
export OMPI_MCA_ess_singleton_isolated=1

text 4000 > text.txt
"$CAROUSEL" pack text -q --split=0.9,0.1,0 -o data.h5 text.txt || exit 99
small=(data.h5 --cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --quiet)
short=("${small[@]}" --steps=100 --save-every=10)
expect 0 "undisturbed" "$CAROUSEL" train "${short[@]}" -o whole
state=$(digest whole/last.h5)

# failing CALL ERROR FILE FROM TO COMMAND...
failing() {
    env LD_PRELOAD="$library" DISK_CALL="$1" DISK_ERROR="$2" DISK_FILE="$3" DISK_FROM="$4" DISK_TO="$5" "${@:6}"
}
warnings() { grep -c '^carousel: warning: ' "$err"; }
steps_of() { sed 's/^{"step": \([0-9]*\),.*/\1/' "$1/metrics.jsonl"; }

if ! LD_PRELOAD=$library "$CAROUSEL" --version > /dev/null 2>&1; then
    skip "a preloaded library: $library can't be loaded (make check builds it)"
else
    # ---- checkpoints: the third to sixth such call fails, or all from there on ----

    for error in EDQUOT EIO EFBIG ENOSPC EROFS; do
        for call in write fsync open rename link; do
            file=/step-
            [ $call != link ] || file=/last.h5
            rm -rf run
            expect 0 "$call: $error for a while" failing $call $error $file 3 6 "$CAROUSEL" train "${short[@]}" -o run
            equal "$call: $error: one warning" "$(warnings)" 1
            equal "$call: $error: to the same state" "$(digest run/last.h5)" "$state"
            equal "$call: $error: each line is there" "$(steps_of run)" "$(seq 100)"
            equal "$call: $error: nothing is left" "$(ls -A run | grep -c tmp)" 0
        done
        rm -rf run
        expect 73 "write: $error for good" failing write $error /step- 3 999 "$CAROUSEL" train "${short[@]}" -o run
        says "$error: the last one fails" "$err" "carousel: run/step-00000100.h5.tmp-"
        equal "$error: and is no warning more" "$(warnings)" 1
        expect 0 "$error: the last good one is whole" "$CAROUSEL" show run/last.h5
        says "$error: of step 10" "$out" "10 steps"
        expect 0 "$error: the same command goes on" "$CAROUSEL" train "${short[@]}" -o run
        equal "$error: to the same state" "$(digest run/last.h5)" "$state"
        rm -rf run
        expect 73 "write: $error from the start" failing write $error /step- 1 999 "$CAROUSEL" train "${short[@]}" -o run
        equal "$error: before any step" "none$(ls run)" none
    done
    rm -rf run
    expect 0 "over ranks" ranks 2 env LD_PRELOAD="$library" DISK_CALL=write DISK_ERROR=EIO DISK_FILE=/step- DISK_FROM=3 DISK_TO=6 \
        "$CAROUSEL" train "${short[@]}" -o run
    equal "the same" "$(digest run/last.h5)" "$state"

    # The file of the lowest loss could not be written: the next lower one gets the name.
    best=("${small[@]}" --steps=60 --save-every=30 --validate-every=10)
    rm -rf run
    expect 0 "the best can't be saved" failing write EIO /step- 4 4 "$CAROUSEL" train "${best[@]}" -o run
    equal "one warning" "$(warnings)" 1
    expect 0 "undisturbed" "$CAROUSEL" train "${best[@]}" -o best
    equal "the best" "$(digest run/best.h5)" "$(digest best/best.h5)"
    rm -rf run
    expect 0 "nor can all after it" failing write EIO /step- 4 7 "$CAROUSEL" train "${best[@]}" --steps=70 -o run
    before=$(fingerprint run)
    expect 0 "what is left is the best" "$CAROUSEL" train "${best[@]}" --steps=70 -o run
    equal "and stays" "$(fingerprint run)" "$before"

    # ---- metrics ----

    for error in EDQUOT EIO EFBIG ENOSPC; do
        for call in write fsync; do
            rm -rf run
            expect 0 "metrics, $call: $error for a while" failing $call $error /metrics 2 4 "$CAROUSEL" train "${short[@]}" -o run
            equal "$call: $error: one warning" "$(warnings)" 1
            equal "$call: $error: no line is missing" "$(steps_of run)" "$(seq 100)"
            rm -rf run
            expect 73 "metrics, $call: $error for good" failing $call $error /metrics 2 999 "$CAROUSEL" train "${short[@]}" -o run
            says "$call: $error: the step is saved" "$err" "step 100 is saved in run all the same"
            equal "$call: $error: it is" "$(digest run/last.h5)" "$state"
        done
    done

    # ---- pack ----

    for error in EDQUOT EIO EFBIG ENOSPC EROFS; do
        for call in write fsync open rename; do
            echo old > out.h5
            rm -f "$err"
            expect 73 "pack, $call: $error" failing $call $error out.h5 1 999 "$CAROUSEL" pack text -q -o out.h5 text.txt
            equal "$call: $error: what was there stays" "$(cat out.h5)" old
            equal "$call: $error: nothing else is left" "$(ls -A | grep -c '^\.out')" 0
        done
    done
fi

# ---- a real disk, full for a while ----

space=$(own_mounts)
mkdir disk
if $space mount -t tmpfs -o size=64k none disk 2> mount.err; then
    cat > on_disk.sh <<'SCRIPT'
wait_for() { for ((i = 0; i < 600; i++)); do eval "$1" && return 0; sleep 0.05; done; return 1; }
saved() { ls disk/run/step-*.h5 | tail -n 1; }
mount -t tmpfs -o size=24m none disk || exit 98
CAROUSEL_FAULT=hurry "$CAROUSEL_FAULTS" train "$@" -o disk/run 2> log &
process=$!
wait_for '[ -e disk/run/step-00000000.h5 ]'
cat /dev/zero > disk/fill 2> /dev/null
wait_for 'grep -q "saving is tried again" log' || exit 97
kept=$(saved)
"$CAROUSEL" show "$kept" > /dev/null || exit 96
rm disk/fill
wait_for '[ "$(saved)" != "$kept" ]' || exit 95
# Not when the next one is due, but soon.
[[ $(saved) != *000.h5 ]] || exit 92
: > disk/run/stop
wait $process
status=$?
[ "$(grep -c '^carousel: warning: disk/run/step' log)" -eq 1 ] || exit 94
at=$(sed -n 's/.*after step \([0-9]*\) of.*/\1/p' log)
[ "$(sed 's/^{"step": \([0-9]*\),.*/\1/' disk/run/metrics.jsonl | cksum)" = "$(seq "$at" | cksum)" ] || exit 93
cp disk/run/last.h5 from-disk.h5
exit $status
SCRIPT
    export CAROUSEL_FAULTS CAROUSEL
    # Steps of some milliseconds, so that lines do not fill the disk.
    slow=(data.h5 --hidden=192 --layers=1 --batch=9 --window=8 --threads=1 --quiet --steps=1000000 --validate-every=1h
        --save-every=1000)
    expect 75 "a disk that is full for a while" $space bash on_disk.sh "${slow[@]}"
    expect 0 "what it saved then is whole" "$CAROUSEL" show from-disk.h5
else
    skip "full disks: none can be mounted here ($(head -n 1 mount.err))"
fi

# ---- ulimit -f, which the metrics outgrow ----

limited() { (ulimit -f 60 && exec "$@"); }
expect 73 "metrics beyond a limit on file sizes" limited "$CAROUSEL" train data.h5 -o limited --hidden=2 --layers=1 --embed=2 --quiet \
    --threads=1 --batch=1 --window=2 --steps=2000 --save-every=5000 --validate-every=5000
equal "are warned of once" "$(warnings)" 1
says "with what would do" "$err" "ulimit -f"
says "and do not keep the end from being saved" "$err" "step 2000 is saved in limited all the same"
expect 0 "it is" "$CAROUSEL" show limited/step-00002000.h5

finish
