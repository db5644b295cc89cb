#!/bin/bash
# Instructions a token of training, counted by valgrind on the AVX2 path (it knows no AVX-512): a change that makes a
# step dearer is seen, on any machine and however busy. Loose: another compiler is allowed 15 %.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

if ! command -v valgrind > /dev/null; then
    skip "valgrind is missing. On Debian: apt-get install valgrind"
    finish
fi
if [ -n "${CAROUSEL_SANITIZED:-}" ] || nm "$CAROUSEL" 2> /dev/null | grep -q __asan_init; then
    skip "valgrind does not run what the sanitizers were built into"
    finish
fi
text 4000 > text.txt
"$CAROUSEL" pack text --split=1,0,0 -o data.h5 text.txt 2> /dev/null || exit 99
run env CAROUSEL_ISA=v3 "$CAROUSEL" train data.h5 -o try --hidden=2 --layers=1 --steps=1 --threads=1 --quiet
if [ "$status" -eq 64 ] && grep -qF 'CAROUSEL_ISA=v3: this processor lacks it' "$err"; then
    skip "$(tail -n 1 "$err")"
    finish
fi
equal "training on the AVX2 path" "$status" 0 || { cat "$err"; finish; }

# a_token NAME WANTED TOKENS OPTION...: of the step alone, so that one run will do: neither the start of the program counts
# nor its checkpoint.
a_token() {
    local name=$1 wanted=$2 tokens=$3 steps=3 all found
    shift 3
    rm -rf run
    all=$(CAROUSEL_ISA=v3 valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=crs_engine_step \
        "$CAROUSEL" train data.h5 -o run --threads=1 --quiet --steps="$steps" "$@" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\)$/\1/p')
    if [ -z "$all" ]; then
        fail "$name: valgrind counts nothing"
        return
    fi
    found=$((all / (steps * tokens)))
    echo "$name: $found instructions a token"
    if [ $((found * 100)) -le $((wanted * 115)) ] && [ $((found * 100)) -ge $((wanted * 85)) ]; then
        pass "$name"
    else
        fail "$name" "$found instructions a token, not about $wanted: write the new number down where the change is meant"
    fi
}

a_token "lstm, 2 x 64, batch 8, window 16" 81000 128 --hidden=64 --layers=2 --batch=8 --window=16
a_token "gru, 1 x 128 with a token table, batch 16, window 25" 63800 400 --cell=gru --hidden=128 --layers=1 --batch=16 --window=25
finish
