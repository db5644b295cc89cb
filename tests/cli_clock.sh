#!/bin/bash
# --stop-after among steps that take long (0.7 s each, by a fault): one that begins half a second before the end would
# be too late.
. "$srcdir/tests/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text -o data.h5 text.txt 2> /dev/null || exit 99
start=$(date +%s%N)
expect 75 "it stops" env CAROUSEL_FAULT=slow-step "$CAROUSEL_FAULTS" train data.h5 -o slow --hidden=4 --layers=1 --batch=4 --window=8 \
    --threads=1 --steps=1000000 --save-every=1h --validate-every=1h --stop-after=4s
check "before the time" test $((($(date +%s%N) - start) / 1000000)) -le 4000
check "with a step done" grep -q '^{"step": 1, ' slow/metrics.jsonl
finish
