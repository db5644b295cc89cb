#!/bin/bash
# Nothing is lost: killed at any instant, stopped by a signal or by the clock, with damaged files, a run goes on to the same bits.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99

small=(--cell=gru --hidden=11 --layers=2 --batch=9 --window=8 --dropout=0.2 --threads=1)
losses() { sed 's/^{"step": \([0-9]*\),.*"loss": \([^,]*\),.*/\1 \2/' "$1/metrics.jsonl"; }
validations() { sed -n 's/^{"step": \([0-9]*\),.*"validation_loss": \([^,}]*\)}.*/\1 \2/p' "$1/metrics.jsonl"; }

# same NAME RUN: the state, the losses and the validations of an uninterrupted run.
same() {
    equal "$1: the state" "$(digest "$2/last.h5")" "$state"
    equal "$1: every loss, once" "$(losses "$2")" "$losses"
    equal "$1: every validation" "$(validations "$2")" "$validations"
}

# kill_all LAUNCHER: it and its ranks, at once.
kill_all() {
    local ids
    ids=$(children "$1")
    # shellcheck disable=SC2086
    kill -9 $1 $ids 2> /dev/null
    wait "$1" 2> /dev/null
}

# wait_for FILE: at most 20 seconds.
wait_for() {
    local i
    for ((i = 0; i < 400; i++)); do
        [ -e "$1" ] && return 0
        sleep 0.05
    done
    return 1
}

# Long enough to be killed on the way: 2,000 steps, saved every 20.
long=(train data.h5 "${small[@]}" --steps=2000 --save-every=20 --validate-every=150 --quiet)
expect 0 "uninterrupted, at 3 ranks" ranks 3 "$CAROUSEL" "${long[@]}" -o whole
state=$(digest whole/last.h5)
losses=$(losses whole)
validations=$(validations whole)
equal "validated when asked, and at the end" "$(echo "$validations" | wc -l)" 14

# ---- kill -9 of the launcher and all ranks, and on at another number of ranks ----

kills=0
for delay in 0.15 0.4 0.8; do
    n=$((2 + kills % 3))
    "$MPIRUN" "${launcher_flags[@]}" -n "$n" "$CAROUSEL" "${long[@]}" -o killed > /dev/null 2> killed.err &
    launcher=$!
    wait_for killed/last.h5
    sleep "$delay"
    if kill -0 "$launcher" 2> /dev/null; then
        kills=$((kills + 1))
    fi
    kill_all "$launcher"
done
check "it was killed on the way" test "$kills" -ge 2
printf '{"step": 99999, "loss"' >> killed/metrics.jsonl
expect 0 "goes on at 4 ranks" ranks 4 "$CAROUSEL" "${long[@]}" -o killed
same "killed" killed

# One rank alone is killed: the others do not hang, and nothing is lost.
"$MPIRUN" "${launcher_flags[@]}" -n 3 "$CAROUSEL" "${long[@]}" -o one > /dev/null 2> one.err &
launcher=$!
wait_for one/last.h5
sleep 0.3
kill -9 "$(children "$launcher" | tail -n 1)"
wait "$launcher"
check "a killed rank ends the others" test $? -ne 0
expect 0 "goes on alone" "$CAROUSEL" "${long[@]}" -o one
same "one rank killed" one

# ---- signals ----

"$MPIRUN" "${launcher_flags[@]}" -n 2 "$CAROUSEL" "${long[@]}" -o signal > /dev/null 2> signal.err &
launcher=$!
wait_for signal/last.h5
sleep 0.3
kill -USR1 "$launcher"
wait "$launcher"
equal "SIGUSR1 to the launcher gives 75" $? 75
says "it says what happened" signal.err "stopped by a signal after step"
equal "once" "$(grep -c 'stopped by' signal.err)" 1
at=$(tail -n 1 signal/metrics.jsonl | sed 's/^{"step": \([0-9]*\),.*/\1/')
check "the checkpoint is of the last step" test -e "signal/step-$(printf %08d "$at").h5"
run "$CAROUSEL" train data.h5 "${small[@]}" --steps=2000 --save-every=20 --validate-every=150 -o signal
equal "goes on" "$status" 0
says "says where" "$err" "resuming signal at step $at"
same "signal" signal

for name in TERM USR1; do
    "$CAROUSEL" "${long[@]}" -o "alone-$name" > /dev/null 2> "alone.err" &
    process=$!
    wait_for "alone-$name/last.h5"
    sleep 0.1
    kill "-$name" "$process"
    wait "$process"
    equal "SIG$name alone gives 75" $? 75
    check "SIG$name: an error line" grep -q '^carousel: stopped by a signal' alone.err
done
expect 0 "goes on at 2 ranks" ranks 2 "$CAROUSEL" "${long[@]}" -o alone-TERM
same "SIGTERM" alone-TERM

# ---- the clock ----

forever=(train data.h5 "${small[@]}" --steps=1000000 --save-every=1h --validate-every=1h)
start=$(date +%s%N)
expect 75 "--stop-after alone" "$CAROUSEL" "${forever[@]}" --stop-after=3.5s -o clock
check "before the time" test $((($(date +%s%N) - start) / 1000000)) -le 3600
says "it says so" "$err" "stopped by --stop-after after step"
check "a line on the way" grep -q '^epoch .* step .*loss .* tokens/s .* left$' "$err"
expect 75 "--stop-after over ranks" ranks 2 "$CAROUSEL" "${forever[@]}" --stop-after=2s -o clock
expect 75 "too little time: a step all the same" "$CAROUSEL" "${forever[@]}" --stop-after=0.001s -o clock
equal "no step is missing" "$(sed 's/^{"step": \([0-9]*\),.*/\1/' clock/metrics.jsonl)" "$(seq "$(wc -l < clock/metrics.jsonl)")"

# A validation that a stop left out is made up for.
expect 75 "stopped after the first step" "$CAROUSEL" train data.h5 "${small[@]}" --steps=30 --validate-every=1 --stop-after=0.001s -o owed
check "no validation yet" test "$(grep -c validation_loss owed/metrics.jsonl)" -eq 0
expect 0 "goes on" "$CAROUSEL" train data.h5 "${small[@]}" --steps=30 --validate-every=1 -o owed
equal "each step is validated" "$(grep -c validation_loss owed/metrics.jsonl)" 30
expect 0 "uninterrupted" "$CAROUSEL" train data.h5 "${small[@]}" --steps=30 --validate-every=1 -o unowed
equal "to the same numbers" "$(validations owed)" "$(validations unowed)"
equal "and the same best" "$(digest owed/best.h5)" "$(digest unowed/best.h5)"

# ---- more of the same: the end may move ----

expect 0 "to step 40" "$CAROUSEL" train data.h5 "${small[@]}" --steps=40 --quiet -o short
expect 0 "on to step 2000" ranks 2 "$CAROUSEL" "${long[@]}" -o short
equal "as in one go" "$(digest short/last.h5)" "$state"
cosine=(train data.h5 "${small[@]}" --schedule=cosine --rate=0.01 --quiet -o cosine)
expect 0 "a schedule of 20 steps" "$CAROUSEL" "${cosine[@]}" --steps=20
expect 0 "and 5 beyond it" "$CAROUSEL" "${cosine[@]}" --steps=25
equal "keep the last rate" "$(tail -n 6 cosine/metrics.jsonl | sed 's/.*"rate": \([^,]*\),.*/\1/' | sort -u | wc -l)" 1

# ---- a finished run ----

touched() { find "$1" -printf '%p %T@ %i\n' | sort; }
before=$(touched whole)
expect 0 "a finished run ends well" ranks 2 "$CAROUSEL" train data.h5 "${small[@]}" --steps=2000 --save-every=20 -o whole
says "and says so" "$err" "whole is finished: 2000 of 2000 steps"
equal "and touches nothing" "$(touched whole)" "$before"
expect 0 "also one past its end" "$CAROUSEL" train data.h5 "${small[@]}" --steps=1999 -o whole
says "and says so" "$err" "at step 2000 already, past its end at 1999"

# ---- what contradicts the run ----

refused 78 "another size" "--hidden 11 12" "$CAROUSEL" train data.h5 -o whole --hidden=12 --steps=2100
refused 78 "another cell, over ranks" "--cell gru lstm" ranks 2 "$CAROUSEL" train data.h5 -o whole --cell=lstm --steps=2100
text 4000 3 > other.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o other.h5 other.txt 2> /dev/null
refused 65 "other data" "other.h5 whole" "$CAROUSEL" train other.h5 -o whole --steps=2100
text 4000 | tr a-z A-Z > upper.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o upper.h5 upper.txt 2> /dev/null
refused 65 "another vocabulary" "upper.h5 vocabulary" ranks 2 "$CAROUSEL" train upper.h5 -o whole --steps=2100
equal "nothing of it touched the run" "$(touched whole)" "$before"

# ---- one at a time ----

"$CAROUSEL" "${forever[@]}" --quiet -o busy > /dev/null 2>&1 &
process=$!
wait_for busy/last.h5
refused 73 "a second process in the same folder" "busy another" "$CAROUSEL" "${forever[@]}" -o busy
refused 73 "also one that would start over" "busy another" ranks 2 "$CAROUSEL" "${forever[@]}" -o busy --fresh
kill -USR1 "$process"
wait "$process"
equal "the first has not noticed" $? 75

# ---- a full disk: here, a file that may not grow any more ----

# limited KILOBYTES RANKS COMMAND...: under the launcher, as what MPI itself writes is outside then.
limited() {
    local most=$1 n=$2
    shift 2
    ranks "$n" bash -c 'trap "" XFSZ; ulimit -f "$0"; exec "$@"' "$most" "$@"
}
expect 73 "no room for the metrics" limited 150 1 "$CAROUSEL" "${long[@]}" -o full
says "it says where" "$err" "full/metrics.jsonl: File too large"
says "and that the end is saved" "$err" "step 2000 is saved in full all the same"
expect 73 "also at 2 ranks" limited 150 2 "$CAROUSEL" "${long[@]}" -o full-2
equal "rank 0 says it for all" "$(grep -c '^carousel: [^w]' "$err")" 1
equal "it warned of it before, once" "$(grep -c '^carousel: warning: ' "$err")" 1
for run in full full-2; do
    equal "$run: the state" "$(digest $run/last.h5)" "$state"
    lines=$(wc -l < $run/metrics.jsonl)
    check "$run: some lines had room" test "$lines" -ge 300
    equal "$run: those are right" "$(losses $run | head -n "$lines")" "$(echo "$losses" | head -n "$lines")"
done
expect 73 "no room for a checkpoint" limited 10 2 "$CAROUSEL" "${long[@]}" -o tiny
check "no part of one is left" test ! -e tiny/step-00000000.h5
expect 0 "it can be had later" "$CAROUSEL" train data.h5 "${small[@]}" --steps=40 --quiet -o tiny

# ---- damaged files ----

damage() { printf 'damage' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") * 2 / 3)) conv=notrunc 2> /dev/null; }
expect 0 "to step 60" "$CAROUSEL" train data.h5 "${small[@]}" --steps=60 --save-every=20 --keep=2 -o torn
wanted=$(digest torn/last.h5)
"$CAROUSEL" train data.h5 "${small[@]}" --steps=40 --save-every=20 --quiet -o part
damage part/step-00000040.h5
expect 0 "the newest is damaged" ranks 2 "$CAROUSEL" train data.h5 "${small[@]}" --steps=60 --save-every=20 -o part
says "it says which" "$err" "part/step-00000040.h5"
says "and goes on from the one before" "$err" "resuming part at step 20"
equal "to the same bits" "$(digest part/last.h5)" "$wanted"
equal "no step twice" "$(sed 's/^{"step": \([0-9]*\),.*/\1/' part/metrics.jsonl)" "$(seq 60)"
for file in torn/*.h5; do
    : > "$file"
done
before=$(touched torn)
expect 65 "none is whole" "$CAROUSEL" train data.h5 "${small[@]}" --steps=80 -o torn
says "the way out" "$err" "--fresh"
expect 65 "none is whole, over ranks" ranks 3 "$CAROUSEL" train data.h5 "${small[@]}" --steps=80 -o torn
equal "nothing is touched" "$(touched torn)" "$before"

# ---- starting over ----

expect 0 "--fresh" "$CAROUSEL" train data.h5 "${small[@]}" --steps=60 --save-every=20 -o torn --fresh
says "says where the old run is" "$err" "torn.old"
check "it is there" test -e torn.old/step-00000060.h5
equal "the new one is whole" "$(digest torn/last.h5)" "$wanted"
expect 0 "--fresh with other options" "$CAROUSEL" train data.h5 -o torn --fresh --cell=rnn --hidden=5 --steps=2
check "another folder beside it" test -e torn.old-2/step-00000060.h5
expect 0 "--fresh where nothing is" "$CAROUSEL" train data.h5 -o nothing --fresh --hidden=5 --steps=2 --quiet
check "nothing to say" test ! -s "$err"

finish
