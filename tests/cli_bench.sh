#!/bin/bash
# carousel bench: what it tells, and that its numbers fit together; not how fast: a benchmark is no test.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

small=(--hidden=20 --layers=2 --batch=9 --window=6 --seconds=0.1 --threads=1)

# number KEY: the first number of that key in the JSON of $out.
number() {
    grep -oE "\"$1\":-?[0-9.e+-]+" "$out" | head -n 1 | sed 's/.*://'
}

# about NAME A B PART: they differ by at most this part of B.
about() {
    if awk -v a="$2" -v b="$3" -v part="$4" 'BEGIN { d = a - b; exit !(b > 0 && d <= part * b && -d <= part * b) }'; then
        pass "$1"
    else
        fail "$1" "$2 is not $3"
    fi
}

expect 0 "one model" "$CAROUSEL" bench "${small[@]}"
for word in "fused multiply-adds on one core" "first cache" "memory" "--batch=9 --window=6" "tokens/s" "of the peak" \
    "recurrent " "backward " "weights " "gradient " "update " "refresh " "--reduce=float" "input product" \
    "recurrent step, forward" "recurrent step, backward" "weight gradient, int64" "weight gradient, float" \
    "gates, forward" "tanh" "softmax and loss" "optimizer" "activations" "in all" "limits" "gains"; do
    says "it tells: $word" "$out" "$word"
done
says "progress goes to standard error" "$err" "measuring lstm, 2 x 20"
says "one model, as chosen" "$out" "2 layers of 20, embedding of 20, 65 tokens"
equal "no other" "$(grep -c '^model ' "$out")" 1
expect 0 "quiet" "$CAROUSEL" bench --quiet "${small[@]}"
check "nothing on standard error" test ! -s "$err"

# ---- the numbers fit together ----

expect 0 "as JSON" "$CAROUSEL" bench --json "${small[@]}"
equal "one line" "$(wc -l < "$out")" 1
for key in processor isa ranks threads peak_gflops_one peak_gflops_all memory models tokens_per_second fraction_of_peak \
    float_seconds apart_seconds sent_bytes exact_cost phases kernels rows bytes; do
    says "key $key" "$out" "\"$key\":"
done
equal "parameters" "$(number parameters)" $((65 * 20 + 2 * (80 * 40 + 80) + 65 * 21))
about "tokens a second" "$(number tokens_per_second)" "$(awk -v s="$(number seconds)" 'BEGIN { print 54 / s }')" 0.01
about "fraction of the peak" "$(number fraction_of_peak)" \
    "$(awk -v g="$(number gflops)" -v p="$(number peak_gflops)" 'BEGIN { print g / p }')" 0.01
# Products of a step by hand; 65 tokens are more than the embedding's 20 columns: no table. n = 54 pairs, 9 at the start.
n=54 before=45
up=$((2 * n * (80 * 20 * 4 + 20 * 65)))
down=$((2 * (before * 80 * 20 * 2 + n * 80 * 20 * 2 + n * 20 * 65)))
about "operations" "$(awk -v g="$(number gflops)" -v s="$(number seconds)" 'BEGIN { print g * s * 1e9 }')" \
    $((up + down + up)) 0.01
# With a table: no input product over the pairs in layer 0, but three products over the vocabulary.
expect 0 "one-layer model with a table" "$CAROUSEL" bench --json --hidden=70 --layers=1 --batch=8 --window=4 --seconds=0.1 \
    --threads=1
up=$((2 * 32 * (280 * 70 + 70 * 65)))
down=$((2 * (24 * 280 * 70 + 32 * 70 * 65)))
about "operations with a table" "$(awk -v g="$(number gflops)" -v s="$(number seconds)" 'BEGIN { print g * s * 1e9 }')" \
    $((up + down + up + 6 * 65 * 280 * 70)) 0.01

# The phases are the step.
sum_of_phases() {
    grep -oE '"phases":\{.*"kernels"' "$out" | grep -oE '"seconds":[0-9.e+-]+' |
        awk -F: '{ sum += $2 } END { print sum }'
}
expect 0 "a model that takes milliseconds" "$CAROUSEL" bench --json --hidden=96 --batch=16 --window=32 --seconds=0.5 --threads=1
about "the phases add up to the step" "$(sum_of_phases)" "$(number seconds)" 0.3

for cell in peephole gru rnn; do
    expect 0 "cell $cell" "$CAROUSEL" bench --json --cell=$cell "${small[@]}"
    says "cell $cell is named" "$out" "\"cell\":\"$cell\""
done
expect 0 "other sizes and ways" "$CAROUSEL" bench --json --hidden=33 --embed=0 --dropout=0.2 --batch=5 --window=3 --lane=2 \
    --vocabulary=300 --optimizer=sgd --seconds=0.1 --threads=2
says "its vocabulary" "$out" '"vocabulary":300'
says "its threads" "$out" '"threads":2'
expect 0 "the baseline: a small model by itself" env CAROUSEL_ISA=baseline "$CAROUSEL" bench --json --seconds=0.1 --threads=1
says "the baseline is named" "$out" '"isa":"baseline"'

# ---- ranks ----

expect 0 "two ranks" ranks 2 "$CAROUSEL" bench --json "${small[@]}"
equal "one object of all ranks" "$(wc -l < "$out")" 1
says "both are named" "$out" '"ranks":2'
says "sums over ranks, exact" "$out" '"name":"sum over ranks, int64"'
says "sums over ranks, floats" "$out" '"name":"sum over ranks, float"'
refused 78 "more ranks than lanes" "ranks --batch" ranks 3 "$CAROUSEL" bench --quiet --hidden=20 --batch=2 --window=6 --seconds=0.1 \
    --threads=1 --json

# ---- what ranks send each other ----

# row RANKS KEY: of a step of so many ranks.
row() {
    grep -oE "\"steps\":\[.*" "$out" | grep -oE "\\{\"ranks\":$1,[^}]*" | grep -oE "\"$2\":[0-9.e+-]+" | sed 's/.*://'
}
expect 0 "one rank: --comm" "$CAROUSEL" bench --comm "${small[@]}"
says "it says what it can't measure" "$out" "latency, bandwidth, exchange and gathering can't be measured"
says "what would do" "$out" "mpirun -n 2"
says "packing is measured" "$out" "packing sums"
equal "no step is worked out" "$(grep -c 'tenth from' "$out")" 0
expect 0 "as JSON" "$CAROUSEL" bench --comm --json "${small[@]}"
says "nothing of a link" "$out" '"steps":[]'
equal "no latency" "$(grep -c '"latency"' "$out")" 0
expect 0 "three ranks: --comm" ranks 3 "$CAROUSEL" bench --comm --quiet "${small[@]}"
for word in "3 of 1 thread on 1 node" "link     measured" "us one way" "Gbit/s a rank while all send" "exchange of all sums" \
    "gathering of all parameters" "by the terms" " 1024 " "exposed" "tenth from"; do
    says "it tells: $word" "$out" "$word"
done
expect 0 "as JSON, at two" ranks 2 "$CAROUSEL" bench --comm --json --quiet "${small[@]}"
equal "one object of all ranks" "$(wc -l < "$out")" 1
for key in latency message bandwidth exchange gather exchange_by_terms sum_bytes change_bytes; do
    check "$key is above 0" awk -v x="$(number $key)" 'BEGIN { exit !(x > 0) }'
done
equal "steps of these ranks" "$(grep -oE '"steps":\[.*' "$out" | grep -oE '"ranks":[0-9]+' | sed 's/.*://' | tr '\n' ' ')" "1 2 4 8 16 32 64 1024 "
# A link of no bytes' cost and a millisecond a message: in a small model one message to each other rank with sums, one with
# parameters, one for the norm.
expect 0 "another link" "$CAROUSEL" bench --comm --json --quiet "${small[@]}" --link=1000000:0:1000
about "63 others, three messages each" "$(row 64 exposed)" 0.189 0.01
about "1,023" "$(row 1024 exposed)" 3.069 0.01
equal "nothing to hide" "$(row 1 exposed)" "0.0"
about "the parts are the step" "$(row 8 step)" "$(awk -v a="$(row 8 compute)" -v b="$(row 8 work)" -v c="$(row 8 exposed)" 'BEGIN { print a + b + c }')" 0.001
# A link of a megabit a second, two ranks: half of the sums, in so many bytes each, or a little more: rows stay together.
expect 0 "a slow link" "$CAROUSEL" bench --comm --json --quiet --hidden=64 --batch=8 --window=4 --seconds=0.1 --threads=1 --link=0.001:0
about "half of the bytes, at 125,000 a second" "$(row 2 exchange)" \
    "$(awk -v n="$(number parameters)" -v b="$(number sum_bytes)" 'BEGIN { print n / 2 * b / 125000 * 1.1 }')" 0.1
compute=$(row 1 compute)
expect 0 "ranks that are faster" "$CAROUSEL" bench --comm --json --quiet --hidden=64 --batch=8 --window=4 --seconds=0.1 --threads=1 --link=0.001:0 --faster=1000
check "compute less" awk -v a="$(row 1 compute)" -v b="$compute" 'BEGIN { exit !(a > 0 && a < b / 50) }'
refused 64 "no faster" "--faster: above" "$CAROUSEL" bench --comm --faster=0
expect 0 "sums of large layers" "$CAROUSEL" bench --comm --json --quiet --hidden=128 --batch=16 --window=32 --seconds=0.1 --threads=1 \
    --link=10:1
check "are hidden in part" awk -v x="$(row 2 hidden)" 'BEGIN { exit !(x > 0) }'
refused 64 "a link of one number" "--link: '10' 10:20" "$CAROUSEL" bench --comm --link=10
refused 64 "a link of four" "--link: 10:20" "$CAROUSEL" bench --comm --link=10:20:2:2
refused 64 "a link that carries nothing" "--link:" "$CAROUSEL" bench --comm --link=0:20
refused 64 "a link that is infinite" "--link:" "$CAROUSEL" bench --comm --link=inf:20
refused 64 "a link without --comm" "--link --comm" "$CAROUSEL" bench --link=10:20

# ---- what is refused ----

refused 64 "a wrong value" "--hidden" "$CAROUSEL" bench --hidden=0
refused 64 "no time" "--seconds" "$CAROUSEL" bench --seconds=0
refused 64 "an operand" "run" "$CAROUSEL" bench run
refused 64 "an option of another command" "--epochs" "$CAROUSEL" bench --epochs=3
refused 78 "more than the machine has" "--hidden" "$CAROUSEL" bench --quiet --json --hidden=1000000 --layers=100
touch file # Open MPI makes folders that are not there, and needs one
refused 73 "no place for the text" "TMPDIR" env OMPI_MCA_orte_tmpdir_base="$WORK" TMPDIR="$WORK/file" "$CAROUSEL" bench --quiet --json "${small[@]}"
expect 73 "a full standard output" bash -c '"$CAROUSEL" bench --quiet --json --hidden=8 --seconds=0.1 --threads=1 > /dev/full'
check "nothing is left behind" test -z "$(find "$WORK" -name 'carousel-bench*')"

finish
