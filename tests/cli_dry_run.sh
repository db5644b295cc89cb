#!/bin/bash
# `carousel train --dry-run`: what it tells, of data of each kind, that its numbers are those of the run, and that it
# writes nothing.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 6000 > text.txt
"$CAROUSEL" pack text --split=0.8,0.1,0.1 -o data.h5 text.txt 2> /dev/null || exit 99
awk 'BEGIN { print "who,x,y,up"; s = 7
    for (g = 0; g < 40; g++) for (t = 0; t < 3 + (g * 5) % 19; t++) {
        s = (s * 1103 + 12345) % 65536; x = s / 65536
        printf "g%d,%.4f,%.4f,%s\n", g, x, x * x, (x > 0.5 ? "yes" : "no") } }' > groups.csv
"$CAROUSEL" pack table -o step.h5 --group=who --inputs=x,y --class=up groups.csv --quiet || exit 99
awk 'BEGIN { print "load,heat"; for (t = 0; t < 300; t++) printf "%.4f,%.4f\n", sin(t / 5), cos(t / 7) }' > series.csv
"$CAROUSEL" pack table -o ahead.h5 --context=12 --horizon=4 series.csv --quiet || exit 99

small=(--hidden=12 --layers=1 --batch=8 --window=10 --threads=1)

# number KEY: the first number of that key in the JSON of $out.
number() {
    grep -oE "\"$1\":-?[0-9.e+-]+" "$out" | head -n 1 | sed 's/.*://'
}
everything() {
    find . -path ./out -o -path ./err -o -path ./check.out -o -print | sort | md5sum
    fingerprint data.h5 step.h5 ahead.h5 run 2> /dev/null
}

# ---- a new run ----

before=$(everything)
expect 0 "a text" "$CAROUSEL" train data.h5 "${small[@]}" --dry-run -o run
for word in "parameters  " "80 tokens, 8 rows; 59 steps an epoch" "activations" "moments" "messages" "1      8       100 %" \
    "more than the 8 lanes" "ms a step" "an epoch of 59 steps takes" "2,950 steps of the run"; do
    says "it tells: $word" "$out" "$word"
done
says "the model, as a run does" "$err" "model: lstm, 1 layer of 12"
equal "nothing is resumed" "$(grep -c 'resum' "$err")" 0
check "no folder" test ! -e run
expect 0 "without -o" "$CAROUSEL" train data.h5 "${small[@]}" --dry-run --quiet
check "quiet" test ! -s "$err"
equal "nothing is written" "$(everything)" "$before"

expect 0 "as JSON" "$CAROUSEL" train data.h5 "${small[@]}" --dry-run --json --quiet
equal "one line" "$(wc -l < "$out")" 1
says "no run goes on" "$out" '"resumes":false'
equal "parameters" "$(number parameters)" "$(
    "$CAROUSEL" train data.h5 "${small[@]}" --dry-run 2>&1 > /dev/null | sed -n 's/^model:.*; \([0-9,]*\) parameters/\1/p' | tr -d ,
)"
equal "tokens a step" "$(number targets_a_step)" "80.0"
equal "steps an epoch" "$(number epoch_steps)" 59
check "some steps were made" test "$(number measured_steps)" -ge 3
check "an epoch is so many steps" awk -v s="$(number step_seconds)" -v e="$(number epoch_seconds)" \
    'BEGIN { d = e / (59 * s) - 1; exit !(s > 0 && d < 1e-3 && -d < 1e-3) }'
equal "no messages of one rank" "$(number messages)" "0.0"
equal "lanes for these numbers of ranks" "$(grep -oE '"by_ranks":.*' "$out" | grep -oE '"ranks":[0-9]+' | sed 's/.*://' | tr '\n' ' ')" "1 2 4 8 "
# Rows 8 lanes of one: all share evenly; of 6 rows in 6 lanes four ranks have 2 at most.
expect 0 "uneven shares" "$CAROUSEL" train data.h5 "${small[@]}" --batch=6 --lanes=6 --dry-run --json --quiet
equal "efficiency" "$(grep -oE '"efficiency":[0-9.]+' "$out" | sed 's/.*://' | tr '\n' ' ')" "1.0 1.0 0.75 "

# What is estimated is about what is allocated.
near() {
    check "about what is allocated: $1" awk -v a="$2" -v b="$3" 'BEGIN { exit !(a >= 0.8 * b && a <= 2 * b) }'
}
allocated() {
    grep -oE '"allocated":\{[^}]*\}' "$out" | grep -oE "\"$1\":[0-9]+" | sed 's/.*://'
}
large=(--hidden=128 --layers=2 --batch=24 --window=40 --threads=1 --dry-run --json --quiet)
for n in 1 2; do
    expect 0 "a larger model, $n ranks" ranks $n "$CAROUSEL" train data.h5 "${large[@]}"
    near "activations, $n" "$(number activations)" "$(allocated activations)"
    near "parameters and their copies, $n" "$(grep -oE '"bytes":\{[^}]*' "$out" | grep -oE '"parameters":[0-9.e+]+' | sed 's/.*://')" \
        $(($(allocated parameters) + $(allocated "packed parameters")))
    near "gradients and messages, $n" "$(awk -v a="$(number gradients)" -v b="$(number messages)" 'BEGIN { print a + b }')" "$(allocated gradients)"
    near "moments, $n" "$(number moments)" $(($(allocated optimizer) * (4 - n) / 3))
done
check "messages of two" awk -v x="$(number messages)" 'BEGIN { exit !(x > 0) }'

# ---- sequences, forecasts, streams; ranks ----

expect 0 "sequences" "$CAROUSEL" train step.h5 --hidden=8 --batch=6 --dry-run
says "whole ones, on average" "$out" "steps on average, 6 rows; "
expect 0 "file order, 2 ranks" ranks 2 "$CAROUSEL" train step.h5 --hidden=8 --batch=6 --order=file --dry-run --quiet
says "both work" "$out" "2 ranks of"
expect 0 "streams" "$CAROUSEL" train step.h5 --hidden=8 --batch=4 --window=5 --dry-run
says "their windows" "$out" "a step      20 steps, 4 rows; "
expect 0 "forecasts, 3 ranks" ranks 3 "$CAROUSEL" train ahead.h5 --hidden=8 --batch=12 --dry-run --json --quiet
says "at three" "$out" '"ranks":3'
says "its windows" "$out" '"targets":"windows"'
equal "nothing is written" "$(everything)" "$before"

# ---- where a run exists ----

expect 0 "a run" "$CAROUSEL" train data.h5 -o run "${small[@]}" --steps=20 --quiet
before=$(everything)
expect 0 "that goes on" ranks 2 "$CAROUSEL" train data.h5 -o run --steps=40 --dry-run
says "it says so" "$err" "this would resume run at step 20"
says "what is left" "$out" "the 20 steps left of the run"
expect 0 "as JSON" "$CAROUSEL" train data.h5 -o run --steps=40 --dry-run --json --quiet
says "it would" "$out" '"resumes":true,"step":20,'
expect 0 "that is finished" "$CAROUSEL" train data.h5 -o run --dry-run
says "it says so" "$err" "run is finished"
says "and tells all the same" "$out" "an epoch of 59 steps takes"
expect 0 "--fresh" "$CAROUSEL" train data.h5 -o run "${small[@]}" --fresh --dry-run
equal "starts over" "$(grep -c resume "$err")" 0
refused 78 "another size than the run's" "--hidden=9 --hidden=12" "$CAROUSEL" train data.h5 -o run --hidden=9 --dry-run
exec 9< run/.lock
flock 9
expect 0 "while somebody trains into it" "$CAROUSEL" train data.h5 -o run --steps=40 --dry-run --quiet
exec 9<&-
equal "nothing is changed" "$(everything)" "$before"
expect 0 "the run goes on" "$CAROUSEL" train data.h5 -o run --steps=40 --quiet
expect 0 "the same, at once" "$CAROUSEL" train data.h5 -o other "${small[@]}" --steps=40 --quiet
equal "to the same bits" "$(digest run/last.h5)" "$(digest other/last.h5)"

# ---- what is refused ----

refused 78 "more ranks than lanes" "ranks --batch" ranks 3 "$CAROUSEL" train data.h5 "${small[@]}" --batch=2 --dry-run --quiet
refused 78 "--json without it" "--json --dry-run" "$CAROUSEL" train data.h5 -o none "${small[@]}" --json --quiet
refused 64 "no -o without it" "-o" "$CAROUSEL" train data.h5 "${small[@]}"
expect 73 "a full standard output" bash -c '"$CAROUSEL" train data.h5 --hidden=8 --dry-run --quiet --threads=1 > /dev/full'
touch run/stop
"$CAROUSEL" train data.h5 -o run --steps=50 --dry-run > "$out" 2> "$err" &
sleep 1
kill -TERM $!
wait $!
equal "a signal ends it" $? 75
says "it says so" "$err" "nothing to save"
check "what asks the run itself to stop stays" test -e run/stop
check "no folder" test ! -e none

finish
