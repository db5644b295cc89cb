#!/bin/bash
# Each fault of tests/mutants.list is still to be found in the sources, and so is the test that should notice it. That the
# tests do notice them is shown by scripts/mutants itself, which takes long.
. "$srcdir/tests/lib.sh"

mkdir -p "$WORK/tree/tests" && cp -r "$srcdir/scripts" "$srcdir/src" "$srcdir/include" "$WORK/tree" || exit 99
cp "$srcdir"/tests/*.{c,sh,list} "$WORK/tree/tests"
mutants=$WORK/tree/scripts/mutants
expect 0 "each fault is found" bash "$mutants" --find
cat "$out"
says "as many as the list has" "$out" "$(grep -c '^\[' "$srcdir/tests/mutants.list") found, 0 not found"
planted() {
    printf '\n[planted]\n- %s\n+ x\ntest %s\n' "$1" "$2" > "$WORK/tree/tests/mutants.list"
    run bash "$mutants" --find
}
planted "static const char last_name[]" test_run
equal "one that is there" "$status" 0
planted "no such text" test_train
says "a text that is not there" "$out" "0 found, 1 not found"
planted "static const char last_name[]" test_none
says "a test that is not there" "$out" "0 found, 1 not found"
planted "#include" test_train
says "a text that stands often" "$out" "NOT FOUND: planted"
finish
