#!/bin/bash
# `carousel train`: what it writes and says, and what it refuses.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 6000 > text.txt
text 3000 9 | tr a-z A-Z > other.txt
"$CAROUSEL" pack text --split=0.8,0.1,0.1 -o data.h5 text.txt 2> /dev/null || exit 99
"$CAROUSEL" pack text --split=1,0,0 -o all.h5 text.txt 2> /dev/null || exit 99
"$CAROUSEL" pack text -o other.h5 other.txt 2> /dev/null || exit 99
printf 'a short text of forty-one characters, oh.' > short.txt
"$CAROUSEL" pack text --split=1,0,0 -o short.h5 short.txt 2> /dev/null || exit 99

small=(--hidden=12 --layers=1 --batch=8 --window=10 --threads=1)

# ---- what it writes ----

expect 0 "trains" "$CAROUSEL" train data.h5 -o run "${small[@]}" --epochs=2
check "nothing on standard output" test ! -s "$out"
says "the model" "$err" "model: lstm, 1 layer of 12, embedding of 12"
says "the data" "$err" "data: data.h5; 4,800 tokens to train on, 600 for validation"
says "the ranks" "$err" "ranks: 1 with 1 thread"
says "validation is reported" "$err" "validation loss"
says "saving is reported" "$err" "saved run/step-00000059.h5"
says "where the files are" "$err" "run/last.h5, best.h5"
says "what comes next" "$err" "next: carousel sample run/best.h5"
equal "the files" "$(cd run && echo *)" "best.h5 last.h5 metrics.jsonl step-00000059.h5 step-00000118.h5"
check "no line for a terminal" test "$(grep -c "$(printf '\r')" "$err")" -eq 0
equal "a line a step" "$(sed 's/^{"step": \([0-9]*\),.*/\1/' run/metrics.jsonl)" "$(seq 118)"
for key in step epoch tokens loss rate grad_norm tokens_per_second comm_share seconds; do
    equal "every line has $key" "$(grep -c "\"$key\": [0-9.e-]*[,}]" run/metrics.jsonl)" 118
done
equal "validated after each epoch" "$(grep validation_loss run/metrics.jsonl | sed 's/^{"step": \([0-9]*\), "epoch": \([0-9]*\),.*/\1 \2/')" \
    "$(printf '59 1\n118 2')"
equal "tokens are counted" "$(tail -n 1 run/metrics.jsonl | sed 's/.*"tokens": \([0-9]*\),.*/\1/')" 9440
# validation_loss is what eval says.
loss=$(tail -n 1 run/metrics.jsonl | sed 's/.*"validation_loss": \([0-9.]*\).*/\1/')
expect 0 "evaluates" "$CAROUSEL" eval run/last.h5 data.h5 --split=validation --streams=8 --json
equal "the validation loss is that of eval" "$(sed 's/.*"nats_per_token": *\([0-9.]\{10\}\).*/\1/' "$out")" "${loss:0:10}"
ranks 3 "$CAROUSEL" eval run/last.h5 data.h5 --split=validation --streams=8 --json > eval.3 2> /dev/null
equal "also at 3 ranks" "$(sed 's/.*"nats_per_token": *\([0-9.e-]*\).*/\1/' eval.3)" "$(sed 's/.*"nats_per_token": *\([0-9.e-]*\).*/\1/' "$out")"
check "it learns" awk -F'"loss": ' 'NR == 1 { first = $2 + 0 } { last = $2 + 0 } END { exit !(last < first - 0.3) }' run/metrics.jsonl

expect 0 "quiet" "$CAROUSEL" train data.h5 -o quiet "${small[@]}" --steps=3 --quiet
check "quiet says nothing" test ! -s "$err"
equal "quiet or not, the same" "$(digest quiet/step-00000003.h5)" "$(
    "$CAROUSEL" train data.h5 -o verbose "${small[@]}" --steps=3 --verbose 2> /dev/null
    digest verbose/last.h5
)"
expect 0 "ranks" ranks 3 "$CAROUSEL" train data.h5 -o three "${small[@]}" --steps=3
says "uneven shares are shown" "$err" "shares are uneven: efficiency 89 %"
equal "every rank's line is said once" "$(grep -c 'model: lstm' "$err")" 1
expect 0 "without a validation split" "$CAROUSEL" train all.h5 -o novalidation "${small[@]}" --steps=3
says "it says so" "$err" "no validation"
check "then there is no best" test ! -e novalidation/best.h5
expect 0 "keeps as many as asked" "$CAROUSEL" train data.h5 -o keep "${small[@]}" --steps=12 --save-every=2 --keep=3
equal "the last three" "$(cd keep && echo step-*)" "step-00000008.h5 step-00000010.h5 step-00000012.h5"
expect 0 "saves by the clock" "$CAROUSEL" train data.h5 -o clock "${small[@]}" --steps=200 --save-every=0.001s --keep=1000
check "on the way" test "$(find clock -name 'step-*' | wc -l)" -ge 4
expect 0 "float sums" ranks 2 "$CAROUSEL" train data.h5 -o float "${small[@]}" --steps=20 --reduce=float
expect 0 "exact sums" ranks 2 "$CAROUSEL" train data.h5 -o int "${small[@]}" --steps=20 --reduce=int64
differ "float sums give other bits" "$(digest float/last.h5 parameters)" "$(digest int/last.h5 parameters)"
check "and nearly the same loss" awk -v a="$(tail -n 1 float/metrics.jsonl | sed 's/.*"loss": \([^,]*\),.*/\1/')" \
    -v b="$(tail -n 1 int/metrics.jsonl | sed 's/.*"loss": \([^,]*\),.*/\1/')" 'BEGIN { exit !(a - b < 1e-3 && b - a < 1e-3) }'

# ---- a terminal ----

if command -v script > /dev/null; then
    TERM=xterm script -qec "'$CAROUSEL' train data.h5 -o tty --hidden=150 --layers=1 --batch=8 --window=10 --threads=1 --steps=200" /dev/null \
        > tty.out 2> /dev/null
    check "a live line" grep -q "$(printf '\r').*epoch .*/200 .* left" tty.out
    check "cleared in the end" test "$(tail -n 1 tty.out | grep -c 'epoch')" -eq 0
    says "what comes next" tty.out "next: carousel sample tty/best.h5"
else
    skip "a terminal: script is missing. On Debian: apt-get install bsdutils"
fi

# ---- schedules ----

rates() { sed 's/.*"rate": \([^,]*\),.*/\1/' "$1/metrics.jsonl" | tr '\n' ' '; }
expect 0 "warm-up" "$CAROUSEL" train data.h5 -o warm "${small[@]}" --steps=6 --rate=0.004 --warmup=4
equal "its rates" "$(rates warm)" "0.001 0.002 0.003 0.004 0.004 0.004 "
expect 0 "steps" "$CAROUSEL" train data.h5 -o decay "${small[@]}" --epochs=3 --rate=0.5 --optimizer=sgd --schedule=step \
    --decay-every=1 --decay-factor=0.5
equal "its rates" "$(rates decay | tr ' ' '\n' | uniq -c | tr -s ' \n' ' ')" " 59 0.5 59 0.25 59 0.125 "

# ---- weights of another run ----

expect 0 "starts from a model" "$CAROUSEL" train data.h5 -o from --init-from=run/best.h5 --batch=8 --window=10 --steps=1 --threads=1
equal "with its weights" "$(digest from/step-00000000.h5 parameters)" "$(digest run/best.h5 parameters)"
differ "and no more than them" "$(digest from/step-00000000.h5)" "$(digest run/best.h5)"
refused 78 "another size" "--hidden=13 --init-from 12" "$CAROUSEL" train data.h5 -o bad --init-from=run/best.h5 --hidden=13
refused 78 "another cell" "--cell=gru --init-from lstm" "$CAROUSEL" train data.h5 -o bad --init-from=run/best.h5 --cell=gru
refused 78 "another depth" "--layers=2 --init-from 1" ranks 2 "$CAROUSEL" train data.h5 -o bad --init-from=run/best.h5 --layers=2
refused 65 "another vocabulary" "other.h5 run/best.h5 vocabulary" "$CAROUSEL" train other.h5 -o bad --init-from=run/best.h5
refused 66 "a missing model" "none.h5" "$CAROUSEL" train data.h5 -o bad --init-from=none.h5
refused 65 "a data set for a model" "data.h5" "$CAROUSEL" train data.h5 -o bad --init-from=data.h5

# ---- what it refuses, alone and over ranks ----

before=$(fingerprint data.h5 all.h5 other.h5 short.h5)
refused 78 "more ranks than rows" "4 --batch=3 --batch=4" ranks 4 "$CAROUSEL" train data.h5 -o bad --batch=3
refused 78 "more ranks than lanes" "3 --lane=2 --batch=9" ranks 3 "$CAROUSEL" train data.h5 -o bad --batch=8 --lane=4
refused 78 "short text, batch" "short.h5 --batch=80 --batch=40" "$CAROUSEL" train short.h5 -o bad --batch=80
refused 78 "short text, window" "short.h5 --window=41 --window=40" ranks 2 "$CAROUSEL" train short.h5 -o bad --window=41
refused 78 "short text, both" "short.h5 --batch=10 --window=10 --batch=4 --window=4" "$CAROUSEL" train short.h5 -o bad --batch=10 --window=10
refused 78 "a model of terabytes" "--hidden=1000000" "$CAROUSEL" train data.h5 -o bad --hidden=1000000
refused 78 "also over ranks" "--hidden=1000000" ranks 2 "$CAROUSEL" train data.h5 -o bad --hidden=1000000
refused 78 "too many lanes" "--batch=4200 --lane" "$CAROUSEL" train data.h5 -o bad --batch=4200 --window=1 --lane=1
refused 66 "missing data" "none.h5" "$CAROUSEL" train none.h5 -o bad
refused 66 "missing data, over ranks" "none.h5" ranks 3 "$CAROUSEL" train none.h5 -o bad
refused 65 "no HDF5" "text.txt" ranks 2 "$CAROUSEL" train text.txt -o bad
refused 65 "a checkpoint for data" "run/last.h5" "$CAROUSEL" train run/last.h5 -o bad
refused 73 "a folder that can't be" "text.txt/run" "$CAROUSEL" train data.h5 -o text.txt/run "${small[@]}"
refused 73 "a file for a folder" "text.txt" ranks 2 "$CAROUSEL" train data.h5 -o text.txt "${small[@]}"
refused 73 "a missing parent" "no/run" "$CAROUSEL" train data.h5 -o no/run "${small[@]}"
refused 64 "an unknown instruction set" "v5 CAROUSEL_ISA" env CAROUSEL_ISA=v5 "$CAROUSEL" train data.h5 -o bad "${small[@]}"
check "nothing of it was written" test ! -e bad
equal "the data are as they were" "$(fingerprint data.h5 all.h5 other.h5 short.h5)" "$before"

# A damaged split is found before training: flip bytes in the middle of a copy until it is noticed or refused.
cp data.h5 damaged.h5
offset=$(grep -abo 'ring' damaged.h5 | head -n 1 | cut -d: -f1)
size=$(stat -c %s damaged.h5)
printf '\3\3\3\3\3\3\3\3' | dd of=damaged.h5 bs=1 seek="${offset:-$((size - 2000))}" conv=notrunc 2> /dev/null
run ranks 2 "$CAROUSEL" train damaged.h5 -o bad "${small[@]}" --steps=2
equal "damaged data" "$status" 65
says "names the file" "$err" "damaged.h5"
check "and makes no folder" test ! -e bad

# ---- a run that diverges ----

refused 78 "divergence" "--rate --clip=5 --init-from=diverged/last.h5" "$CAROUSEL" train data.h5 -o diverged "${small[@]}" --optimizer=sgd --rate=1e30 --clip=0 \
    --steps=200 --quiet
refused 78 "divergence over ranks" "--rate --clip" ranks 2 "$CAROUSEL" train data.h5 -o diverged2 "${small[@]}" --optimizer=sgd --rate=1e30 \
    --clip=0 --steps=200 --quiet
check "the checkpoint before it is whole" "$CAROUSEL" show diverged/last.h5
says "refused steps are in the metrics" diverged/metrics.jsonl '"refused": '
expect 0 "a new run from its weights, as advised" "$CAROUSEL" train data.h5 -o converges "${small[@]}" --optimizer=sgd --rate=0.1 --clip=5 \
    --steps=20 --init-from=diverged/last.h5
refused 78 "divergence with a clip" "--init-from=clipped/last.h5 --clip 1e+20" "$CAROUSEL" train data.h5 -o clipped "${small[@]}" \
    --optimizer=sgd --rate=1e30 --clip=1e20 --validate-every=1 --steps=200 --schedule=cosine --quiet --init-from=run/best.h5
check "where the schedule has a length, not by the same command" test "$(grep -c 'same command' "$err")" -eq 0

finish
