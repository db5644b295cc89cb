#!/bin/bash
# carousel bench: what it prints, not how fast: a benchmark is no test.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

small=(--hidden=20 --layers=2 --batch=9 --window=6 --seconds=0.1 --threads=1)

expect 0 "one model" "$CAROUSEL" bench "${small[@]}"
says "the peak" "$out" "GFLOP/s of fused multiply-adds"
says "a kernel" "$out" "weight gradient, int64"
says "the step" "$out" "tokens/s"
says "what limits" "$out" "what limits"

expect 0 "as JSON" "$CAROUSEL" bench --json "${small[@]}"
for key in isa peak_gflops copy_gbytes kernels steps tokens_per_second fraction_of_peak sum_int64 sum_float bytes; do
    says "key $key" "$out" "\"$key\":"
done
check "one line" test "$(wc -l < "$out")" -eq 1

for cell in peephole gru rnn; do
    expect 0 "cell $cell" "$CAROUSEL" bench --json --cell=$cell "${small[@]}"
    says "cell $cell is named" "$out" "\"cell\": \"$cell\""
done

expect 0 "two ranks" ranks 2 "$CAROUSEL" bench "${small[@]}"
says "sums both ways" "$out" "as floats"
expect 78 "more ranks than lanes" ranks 3 "$CAROUSEL" bench --hidden=20 --batch=2 --window=6 --seconds=0.1
expect 64 "a wrong value" "$CAROUSEL" bench --hidden=0
expect 64 "an operand" "$CAROUSEL" bench run
check "nothing is left behind" test -z "$(ls "$WORK" | grep carousel-bench)"

finish
