#!/bin/bash
# Runs one CUnit program at 1, 2, 3 and 4 ranks (or at those of TEST_RANKS), and ends with `N passed, N failed`
# over all of them. Failures, crashes, hangs (TEST_TIMEOUT seconds) and missing counts are failures.
#
#   tests/run-mpi.sh PROGRAM [ARGUMENT]...
. "$(dirname "$0")/lib.sh"

passed=0
failed=0
for n in ${TEST_RANKS:-1 2 3 4}; do
    echo "== $* at $n ranks"
    output=$(ranks "$n" "$@" 2> "$WORK/errors")
    status=$?
    cat "$WORK/errors"
    printf '%s\n' "$output"
    count=$(printf '%s\n' "$output" | sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' | tail -n 1)
    if [ -z "$count" ]; then
        echo "FAILED at $n ranks: no count of tests (exit status $status)"
        count="0 1"
    elif [ "$status" -ne 0 ] && [ "${count#* }" -eq 0 ]; then
        echo "FAILED at $n ranks: exit status $status"
        count="${count% *} 1"
    fi
    passed=$((passed + ${count% *}))
    failed=$((failed + ${count#* }))
done
finish
