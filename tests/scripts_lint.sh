#!/bin/bash
# The rules of scripts/lint hold in this tree, and each of its checks finds what it is for.
. "$srcdir/tests/lib.sh"

lint=$srcdir/scripts/lint
checks="include length header calls text script"
if clang-format-14 --version > /dev/null 2>&1 || clang-format --version 2> /dev/null | grep -q 'version 14\.'; then
    checks="format $checks"
else
    skip "format (no clang-format 14)"
fi
for name in $checks; do
    check "lint $name" "$lint" "$name"
done
expect 64 "an unknown check is refused" "$lint" no-such-check
run "$lint" --selftest
cat "$out"
passed=$((passed + $(grep -c '^ok: ' "$out")))
failed=$((failed + $(grep -c '^FAILED: ' "$out")))
check "lint --selftest ends well" test "$status" -eq 0
finish
