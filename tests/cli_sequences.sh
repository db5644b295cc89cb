#!/bin/bash
# Training on sequences: the same bits at any number of ranks, threads, instruction sets, and after a stop; what is
# refused; --patience.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

# 30 groups of 3 to 21 rows: two numbers, a class of each row and one of the group.
awk 'BEGIN { print "who,x,y,up,kind"; s = 7
    for (g = 0; g < 30; g++) for (t = 0; t < 3 + (g * 5) % 19; t++) {
        s = (s * 1103 + 12345) % 65536; x = s / 65536; y = x * x + g % 3
        printf "g%d,%.4f,%.4f,%s,%s\n", g, x, y, (x > 0.5 ? "yes" : "no"), (g % 3 ? "odd" : "even") } }' > groups.csv
awk 'BEGIN { print "load,heat"; for (t = 0; t < 160; t++) printf "%.4f,%.4f\n", sin(t / 5) + t / 99, cos(t / 7) }' > series.csv
expect 0 "a class of each row" "$CAROUSEL" pack table -o step.h5 --group=who --inputs=x,y --class=up groups.csv --quiet
expect 0 "a class of each group" "$CAROUSEL" pack table -o whole.h5 --group=who --inputs=x,y --class=kind --per-sequence \
    groups.csv --quiet
expect 0 "numbers of each row" "$CAROUSEL" pack table -o real.h5 --group=who --inputs=x --targets=y groups.csv --quiet
expect 0 "a forecast" "$CAROUSEL" pack table -o ahead.h5 --context=12 --horizon=4 series.csv --quiet
# Keys of a piano: 60 is down in every eighth step, the other 87 never.
awk 'function split_of(name, n) { printf "\"%s\": [", name
        for (i = 0; i < n; i++) { printf "%s[", i ? ", " : ""
            for (t = 0; t < 8 + 8 * (i % 3); t++) printf "%s[%s]", t ? ", " : "", t % 8 == 3 ? 60 : ""
            printf "]" } printf "]" }
    BEGIN { printf "{"; split_of("train", 20); printf ", "; split_of("valid", 3); printf ", "; split_of("test", 3); print "}" }' \
    > keys.json
expect 0 "keys" "$CAROUSEL" pack notes -o keys.h5 keys.json --quiet
small=(--hidden=7 --layers=2 --batch=6 --epochs=3 --dropout=0.2 --quiet --keep=1)

# same NAME RANKS DATA OPTION...: the same bits at each number of RANKS as alone, with other threads, and after a stop,
# where the rest goes on at 2 ranks and on the slowest instruction set. With the model of one rank, eval and predict say
# the same at 1 and 3 ranks.
same() {
    local name=$1 numbers=$2 data=$3 one n
    shift 3
    rm -rf run-*
    expect 0 "$name" "$CAROUSEL" train "$data" -o run-1 "${small[@]}" "$@" --threads=1
    one=$(digest run-1/last.h5)
    for n in $numbers; do
        expect 0 "$name, $n ranks" ranks "$n" "$CAROUSEL" train "$data" -o "run-$n" "${small[@]}" "$@" --threads=$((n - 1))
        equal "the same bits" "$(digest "run-$n/last.h5")" "$one"
    done
    expect 0 "$name, the beginning" "$CAROUSEL" train "$data" -o run-cut "${small[@]}" "$@" --epochs=1
    differ "is not all" "$(digest run-cut/last.h5)" "$one"
    CAROUSEL_ISA=baseline expect 0 "$name, the rest, slowly" ranks 2 "$CAROUSEL" train "$data" -o run-cut "${small[@]}" "$@" \
        --threads=2
    equal "the same bits after a stop, on another instruction set" "$(digest run-cut/last.h5)" "$one"
    expect 0 "eval" "$CAROUSEL" eval --json run-1/last.h5 "$data" --quiet
    cp "$out" eval.json
    expect 0 "eval at 3 ranks" ranks 3 "$CAROUSEL" eval --json run-1/last.h5 "$data" --quiet
    check "says the same" cmp -s eval.json "$out"
    expect 0 "predict" "$CAROUSEL" predict run-1/last.h5 "$data" -o one.csv --quiet
    expect 0 "predict at 3 ranks" ranks 3 "$CAROUSEL" predict run-1/last.h5 "$data" -o three.csv --quiet
    check "writes the same" cmp -s one.csv three.csv
}

# 2 and 4 ranks are seen once with whole sequences and once in streams; 3, the uneven number, with every kind.
same "a class of each step" "2 3 4" step.h5 --cell=gru
same "in streams" "2 3 4" step.h5 --window=5 --cell=peephole --residual
same "a class of each sequence, both ways" 3 whole.h5 --bidirectional --layer-norm --pool=mean
same "numbers" 3 real.h5 --loss=gaussian --input-noise=0.1 --input-dropout=0.1 --cell=rnn
same "a forecast" 3 ahead.h5 --change --order=file
same "keys" 3 keys.h5 --input-dropout=0.1
same "keys in streams" 3 keys.h5 --window=9 --output-bias=0.25

# Where the output of bits begins: from 0 each key costs ln 2; from its log odds a step costs what is known of key 60
# alone, 0.41 nats with 4 of the 31.5 steps behind a first one; from half of them the others cost ln(1 + e^-4.6) each.
begin() {
    rm -rf begin
    expect 0 "from ${1:-the default}" "$CAROUSEL" train keys.h5 -o begin --hidden=1 --layers=1 --steps=1 --rate=1e-30 \
        --quiet ${1:+--output-bias=$1} ${4:+"$4"}
    expect 0 "eval" "$CAROUSEL" eval --json begin/last.h5 keys.h5 --quiet
    loss=$(sed 's/.*"nats_per_step": \([0-9.]*\).*/\1/' "$out")
    check "a loss of $2 to $3 ($loss)" awk -v l="$loss" -v low="$2" -v high="$3" 'BEGIN { exit !(l > low && l < high) }'
}
begin 0 60 62
begin 1 0.3 0.6
begin 0.5 1.1 1.7
begin "" 55 70
begin "" 1.1 1.7 --window=9

# Batches as they stand, or in an order of each epoch's own.
expect 0 "in the order of the file" "$CAROUSEL" train step.h5 -o file "${small[@]}" --order=file
expect 0 "shuffled" "$CAROUSEL" train step.h5 -o shuffled "${small[@]}"
differ "are not the same" "$(digest file/last.h5)" "$(digest shuffled/last.h5)"
expect 0 "with another seed" "$CAROUSEL" train step.h5 -o seed "${small[@]}" --seed=2
differ "nor is this" "$(digest seed/last.h5)" "$(digest shuffled/last.h5)"

# What goes with what.
printf 'the quick brown fox jumps over the lazy dog and the quick cat %.0s' 1 2 3 4 5 6 7 8 9 > text.txt
"$CAROUSEL" pack text -o text.h5 text.txt --quiet || exit 99
expect 78 "whole sequences of one text" "$CAROUSEL" train text.h5 -o no --window=0
says "says what it is" "$err" "--window=0 is for data sets of sequences"
expect 78 "a window where there is one target a sequence" "$CAROUSEL" train whole.h5 -o no --window=5
says "says so" "$err" "one target a sequence"
expect 78 "a window both ways" "$CAROUSEL" train step.h5 -o no --window=5 --bidirectional
says "says so" "$err" "--bidirectional reads whole sequences"
expect 78 "both ways to what comes next" "$CAROUSEL" train text.h5 -o no --bidirectional
says "says why" "$err" "--bidirectional: what comes next"
expect 78 "a change of no forecast" "$CAROUSEL" train real.h5 -o no --change
says "says so" "$err" "no forecast"
expect 78 "outputs pooled for a target each step" "$CAROUSEL" train step.h5 -o no --pool=mean
says "says so" "$err" "--pool: these data have a target for each step"
expect 78 "and for the next token" "$CAROUSEL" train text.h5 -o no --pool=mean
expect 0 "the default, typed" "$CAROUSEL" train step.h5 -o pooled "${small[@]}" --pool=last --epochs=1
expect 0 "and once more" "$CAROUSEL" train step.h5 -o pooled "${small[@]}" --pool=last
refused 78 "more ranks than lanes of whole sequences" "4 lanes --batch=8 --lane=1" ranks 5 "$CAROUSEL" train step.h5 -o no \
    --batch=8 --lane=2 --quiet
expect 78 "log odds of no bits" "$CAROUSEL" train real.h5 -o no --output-bias=0.5
says "says so" "$err" "--output-bias: these data have no bits"
expect 78 "numbers tied" "$CAROUSEL" train real.h5 -o no --tie
says "says so" "$err" "--tie: it needs tokens"
expect 78 "tied widths that differ" "$CAROUSEL" train text.h5 -o no --tie --embed=5 --hidden=6
says "says so" "$err" "--tie needs --embed as --hidden"
for data in real keys; do
    refused 78 "an embedding of numbers: $data" "--embed=5: tokens leave $data.h5" ranks 2 "$CAROUSEL" train $data.h5 \
        -o no --embed=5
done
expect 0 "none of numbers, typed" "$CAROUSEL" train real.h5 -o bare "${small[@]}" --epochs=1 --embed=0
expect 0 "and none" "$CAROUSEL" train real.h5 -o plain "${small[@]}" --epochs=1
equal "are the same" "$(digest bare/last.h5)" "$(digest plain/last.h5)"
expect 0 "the options of a run of numbers" "$CAROUSEL" show --json plain/last.h5
says "have no embedding" "$out" '"embed":"0"'
refused 78 "streams of numbers that are too short" "real.h5 steps --batch --window" "$CAROUSEL" train real.h5 -o no \
    --batch=100 --window=100
"$CAROUSEL" pack task -q -o reber.h5 reber --count=9,3,3 || exit 99
refused 78 "streams of symbols that are" "reber.h5 tokens --window" "$CAROUSEL" train reber.h5 -o no --window=9999
check "nothing was made" test ! -e no
expect 0 "another run" "$CAROUSEL" train real.h5 -o other "${small[@]}"
expect 65 "other data" "$CAROUSEL" eval other/last.h5 step.h5
says "says how they differ" "$err" "they don't go together"
expect 65 "a run that goes on with other data" "$CAROUSEL" train step.h5 -o other --quiet
expect 0 "weights to begin with" "$CAROUSEL" train real.h5 -o from "${small[@]}" --init-from=other/last.h5
expect 65 "weights of other data" "$CAROUSEL" train step.h5 -o no "${small[@]}" --init-from=other/last.h5
expect 65 "weights for a text, to numbers" "$CAROUSEL" train text.h5 -o no --hidden=7 --init-from=other/last.h5
says "says how they differ" "$err" "they don't go together"
expect 0 "a text" "$CAROUSEL" train text.h5 -o prose --hidden=7 --steps=1 --quiet
expect 65 "weights of a text, for keys" "$CAROUSEL" train keys.h5 -o no --init-from=prose/last.h5
says "says how they differ" "$err" "they don't go together"

# Pieces of one step each: nothing follows that could be learned.
printf '{"train": [[[60]], [[62]]], "valid": [[[60]]], "test": [[[60], [61]]]}' > single.json
"$CAROUSEL" pack notes -o single.h5 single.json --quiet || exit 99
refused 65 "data without a target" "single.h5 train nothing weight docs/formats.md" "$CAROUSEL" train single.h5 -o no --quiet
refused 65 "nor in streams" "single.h5 train nothing" ranks 2 "$CAROUSEL" train single.h5 -o no --quiet --window=1
check "nothing was made" test ! -e no

# Nothing to validate on: patience has no end.
printf '{"train": [[[60], [62], [60]]], "test": [[[60], [61]]]}' > alone.json
"$CAROUSEL" pack notes -o alone.h5 alone.json --quiet || exit 99
expect 0 "patience without a validation" "$CAROUSEL" train alone.h5 -o alone --hidden=4 --epochs=2 --patience=1 --quiet
says "is warned of" "$err" "--patience=1 never ends this run"

# The rate is nil: no validation is lower than the first.
patient=("$CAROUSEL" train step.h5 -o patient --hidden=5 --batch=6 --rate=1e-30 --epochs=20 --patience=3)
expect 0 "--patience ends a run" "${patient[@]}"
says "says so" "$err" "3 validations without a lower loss: --patience ends the run"
equal "after so many" "$(grep -c validation_loss patient/metrics.jsonl)" 4
at=$("$CAROUSEL" show --json patient/last.h5 | grep -oE '"step":[0-9]+' | head -n 1)
expect 0 "once more" "${patient[@]}" --quiet
equal "is at its end" "$("$CAROUSEL" show --json patient/last.h5 | grep -oE '"step":[0-9]+' | head -n 1)" "$at"
expect 0 "with more patience" "${patient[@]}" --patience=5 --quiet
equal "it goes on" "$(grep -c validation_loss patient/metrics.jsonl)" 6
finish
