#!/bin/bash
# Where the time of a step goes, rank by rank, and a rank that keeps the others waiting.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99
train=(train data.h5 --cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --steps=50 --save-every=1h)

expect 0 "a rank that is 20 ms a step slower" ranks 3 env CAROUSEL_FAULT=slow-rank "$CAROUSEL_FAULTS" "${train[@]}" -o slow
equal "is named once" "$(grep -c 'warning: rank 1 on .* takes .* times as long' "$err")" 1
expect 0 "none" ranks 3 "$CAROUSEL" "${train[@]}" -o even
check "is not" bash -c "! grep 'times as long' '$err'"

# figure RUN KEY N: of the last line, the N-th number of a list.
figure() {
    tail -n 1 "$1/metrics.jsonl" | sed "s/.*\"$2\": \[\([^]]*\)\].*/\1/" | cut -d, -f"$3" | tr -d ' '
}
equal "the slow one computes most" "$(figure slow computing 4)" 1
check "its 20 ms are computing" test "$(figure slow computing 3 | cut -d. -f1)" -ge 20
check "the others wait about as long" test "$(figure slow waiting 3 | cut -d. -f1)" -ge 15
equal "it does not" "$(figure slow waiting 1)" 0.0
check "that is no sending" test "$(figure slow sending 3 | cut -d. -f1)" -lt 15
for key in comm_share wait_share computing reading waiting sending; do
    says "$key" even/metrics.jsonl "\"$key\":"
done
expect 0 "one rank" "$CAROUSEL" "${train[@]}" -o one
check "has no others to wait for" bash -c "! grep waiting one/metrics.jsonl"
says "and shares nothing" one/metrics.jsonl '"comm_share": 0.0'
expect 0 "--verbose" ranks 2 "$CAROUSEL" "${train[@]}" --verbose -o verbose
says "tells it at validations" "$err" "ms a step ("

finish
