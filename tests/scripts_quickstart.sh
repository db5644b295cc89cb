#!/bin/bash
# scripts/quickstart with the program as built: from a text to a sample, and what it refuses.
. "$srcdir/tests/lib.sh"

quickstart() {
    "$BASH" "$srcdir/scripts/quickstart" --program="$CAROUSEL" --output="$WORK/out.d" "$@"
}

for i in $(seq 400); do
    echo "Line $i: the quick brown fox jumps over the lazy dog, and sphinxes of black quartz judge its vow."
done > "$WORK/text"
expect 0 "a text of one's own" quickstart --seconds=4 "$WORK/text"
check "a data set" test -s "$WORK/out.d/text.h5"
check "a network" test -s "$WORK/out.d/run/last.h5"
check "a line of metrics a step" test -s "$WORK/out.d/run/metrics.jsonl"
says "perplexity is told" "$out" "perplexity"
equal "a sample ends the results" "$([ "$(tail -c 600 "$out" | wc -m)" -gt 500 ] && echo yes)" yes
says "it says what is next" "$err" "carousel sample run/"
equal "no words of the launcher" "$(grep -c 'Primary job\|mpirun detected' "$err")" 0
expect 0 "again, it starts over" quickstart --seconds=2 "$WORK/text"

refuses() {
    local name=$1 words=$2
    shift 2
    rm -rf "$WORK/out.d"
    run quickstart "$@"
    if [ "$status" -eq 1 ] && [ "$(wc -l < "$err")" -eq 1 ] && [ ! -s "$out" ] && [ ! -e "$WORK/out.d" ]; then
        says "$name" "$err" "$words"
    else
        fail "$name" "status $status: $(head -n 3 "$err")"
    fi
}
: > "$WORK/empty"
refuses "a file that is not there" "no such file" "$WORK/nothing"
refuses "a folder" "not a file" "$WORK"
refuses "an empty file" "empty" "$WORK/empty"
refuses "no time" "--seconds=0" --seconds=0 "$WORK/text"
refuses "an unknown option" "--no-such" --no-such
refuses "a program that is not there" "no program" --program="$WORK/empty" "$WORK/text"
printf 'good \xff bad\n' > "$WORK/latin"
run quickstart "$WORK/latin"
equal "not UTF-8: status" "$status" 65
equal "not UTF-8: one line of error" "$(grep -c '^carousel: ' "$err")" 1
expect 0 "--help" quickstart --help
says "--help tells the options" "$out" "--seconds=N"
finish
