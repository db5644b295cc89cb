#!/bin/bash
# "hello", learned and completed by the plain RNN in seconds, from texts of one word and of many.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

# learn NAME TEXT OPTION...: pack, train, and complete "hell".
learn() {
    local name=$1 text=$2 start
    shift 2
    printf '%b' "$text" > "$name.txt"
    expect 0 "$name: packed" "$CAROUSEL" pack text --split=1,0,0 -o "$name.h5" "$name.txt"
    start=$(date +%s)
    expect 0 "$name: trained" "$CAROUSEL" train "$name.h5" -o "$name" --cell=rnn --hidden=32 --layers=1 --threads=1 "$@"
    check "$name: nothing on standard output" test ! -s "$out"
    says "$name: it says that the text is short" "$err" "the text is short"
    check "$name: in seconds" test $(($(date +%s) - start)) -lt 60
    expect 0 "$name: sampled" "$CAROUSEL" sample "$name/last.h5" --prime=hell --length=1 --temperature=0
    equal "$name: hello" "$(cat "$out")" hello
}

learn word 'hello' --epochs=200
learn line 'hello\n' --epochs=200 --save-every=50
learn many "$(printf 'hello %.0s' $(seq 40))" --epochs=100 --save-every=50

# What the word itself says of the numbers: 4 predictions in one row of one window.
says "one row of four" "$WORK/word/metrics.jsonl" '"tokens": 800'
check "200 steps" test "$(wc -l < "$WORK/word/metrics.jsonl")" -eq 200
last=$(tail -n 1 "$WORK/word/metrics.jsonl" | sed 's/.*"loss": \([^,]*\),.*/\1/')
check "learned by heart" awk -v loss="$last" 'BEGIN { exit !(loss < 0.05) }'

# The same command again, with a later end: batch and window are those of the first time.
expect 0 "goes on" "$CAROUSEL" train word.h5 -o word --cell=rnn --hidden=32 --layers=1 --threads=1 --epochs=203
says "where it stopped" "$err" "resuming word at step 200"
refused 78 "two ranks for one row" "--batch=1 --batch=2" ranks 2 "$CAROUSEL" train word.h5 -o other
expect 0 "two rows for two ranks" ranks 2 "$CAROUSEL" train word.h5 -o other --batch=2 --epochs=2

finish
