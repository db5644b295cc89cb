#!/bin/bash
# Runs one CUnit program at 1, 2, 3 and 4 ranks (or at those of TEST_RANKS), and ends with `N passed, N failed`
# over all of them. Failures, crashes, hangs (TEST_TIMEOUT seconds) and missing counts are failures; 77 says that all
# was skipped.
# ONE_RANK names programs whose ranks would all do the same, TWO_RANKS those that share one list of cases out over their
# ranks: each is run once, at 1 and at 2 ranks; FEW_RANKS those that are run at 1 and 2 ranks alone.
#
#   tests/run-mpi.sh PROGRAM [ARGUMENT]...
. "$(dirname "$0")/lib.sh"

numbers=${TEST_RANKS:-1 2 3 4}
case " ${ONE_RANK:-} " in *" ${1##*/} "*) numbers=1 ;; esac
case " ${FEW_RANKS:-} " in *" ${1##*/} "*) numbers=${TEST_RANKS:-1 2} ;; esac
case " ${TWO_RANKS:-} " in *" ${1##*/} "*) numbers=2 ;; esac
for n in $numbers; do
    echo "== $* at $n ranks"
    output=$(ranks "$n" "$@" 2> "$WORK/errors")
    status=$?
    cat "$WORK/errors"
    printf '%s\n' "$output"
    count=$(printf '%s\n' "$output" | sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' | tail -n 1)
    out=$(printf '%s\n' "$output" | sed -n 's/^\([0-9][0-9]*\) skipped$/\1/p' | tail -n 1)
    if [ -z "$count" ]; then
        echo "FAILED at $n ranks: no count of tests (exit status $status)"
        count="0 1"
    elif [ "$status" -ne 0 ] && [ "${count#* }" -eq 0 ] && { [ "$status" -ne 77 ] || [ "${out:-0}" -eq 0 ]; }; then
        echo "FAILED at $n ranks: exit status $status"
        count="${count% *} 1"
    fi
    passed=$((passed + ${count% *}))
    failed=$((failed + ${count#* }))
    skipped=$((skipped + ${out:-0}))
done
finish
