#!/bin/bash
# Hostile files: the fuzz programs go through their kept corpus, and through seeded changes of it (FUZZ_CHANGES of each
# file); some of each corpus are valid. What a program does not deal with is kept beside it.
. "$srcdir/tests/lib.sh"

build=$(dirname "$CAROUSEL")
for name in checkpoint dataset ini notes table utf8; do
    run env FUZZ_LAST="$WORK/last" "$build/fuzz_$name" "$srcdir/tests/fuzz/corpus/$name" "${FUZZ_CHANGES:-20}"
    inputs=$(sed -n 's/^\([1-9][0-9]*\) passed, 0 failed$/\1/p' "$out")
    accepted=$(sed -n 's/^\([1-9][0-9]*\) accepted, .*/\1/p' "$out")
    if [ "$status" -eq 0 ] && [ -n "$inputs" ] && [ -n "$accepted" ]; then
        pass "fuzz_$name: $inputs inputs; $accepted of the corpus are valid"
    else
        fail "fuzz_$name: status $status" "$(tail -n 3 "$out" "$err")"
        [ ! -e "$WORK/last" ] || cp "$WORK/last" "$build/fuzz_$name.failed"
        echo "    the input: fuzz_$name.failed in the build folder"
    fi
done
mkdir "$WORK/none"
run "$build/fuzz_ini" "$WORK/none"
equal "no corpus is a failure" "$status" 1
finish
