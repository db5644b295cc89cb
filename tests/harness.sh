#!/bin/bash
# What has to make a run of CUnit tests fail does: a failure of one rank, a leak, a crash, an early exit, a hang, no test.
. "$srcdir/tests/lib.sh"

# driver NAME WRONG COUNTS [CHOICE]: the driver's last line over 1 and 3 ranks, and whether its status fits.
driver() {
    local name=$1 wrong=$2 counts=$3
    shift 3
    run env TEST_RANKS="1 3" TEST_TIMEOUT="${limit:-60}" bash "$srcdir/tests/run-mpi.sh" ./harness_faults "$wrong" "$@"
    equal "$name: counts" "$(tail -n 1 "$out")" "$counts"
    case $counts in
        "0 passed, 0 failed") equal "$name: status" "$status" 77 ;;
        *" 0 failed") equal "$name: status" "$status" 0 ;;
        *) equal "$name: status" "$status" 1 ;;
    esac
}

driver "nothing wrong" nothing "6 passed, 0 failed"
driver "one test chosen" nothing "4 passed, 0 failed" good
driver "no test chosen" nothing "0 passed, 2 failed" no_such_test
driver "a failed assertion of the last rank" assertion "4 passed, 2 failed"
says "it names the rank" "$out" "rank 2: test_wrong: "
says "it names the test" "$out" "FAILED at 3 ranks: test_wrong"
driver "memory of the last rank that is not freed" leak "4 passed, 2 failed"
says "it names the balance" "$out" "FAILED at 3 ranks: memory_balance"
driver "a test that the last rank skips" skip "4 passed, 0 failed"
equal "it counts at each number of ranks" "$(grep -c '^SKIPPED at . rank.*: test_wrong$' "$out")" 2
says "they are told before" "$out" "2 skipped"
driver "nothing but what is skipped" skip "0 passed, 0 failed" wrong
driver "a failure that is skipped" "skipped assertion" "4 passed, 2 failed"
driver "a crash of the last rank" crash "0 passed, 2 failed"
driver "a quiet exit" exit "0 passed, 2 failed"
limit=3
driver "a hang of the last rank" hang "0 passed, 2 failed"
unset limit

# The shell tests' own checks find what they are for.
counts_of() {
    (
        passed=0
        failed=0
        "$@" > "$WORK/quiet"
        echo "$passed $failed"
    )
}
two_lines() {
    printf 'carousel: one\ncarousel: two\n' >&2
    return 64
}
one_line() {
    echo "carousel: no file 'x'" >&2
    return 64
}
chatty() {
    echo "result"
    one_line
}
equal "a refusal of one line" "$(counts_of refused 64 name "file x" one_line)" "1 0"
equal "a refusal of two lines" "$(counts_of refused 64 name "" two_lines)" "0 1"
equal "a refusal with results" "$(counts_of refused 64 name "" chatty)" "0 1"
equal "a refusal without a word" "$(counts_of refused 64 name "file y" one_line)" "0 1"
equal "a refusal with another status" "$(counts_of refused 65 name "" one_line)" "0 1"
equal "no refusal" "$(counts_of refused 64 name "" true)" "0 1"
equal "an expected status" "$(counts_of expect 64 name one_line)" "1 0"
equal "an unexpected status" "$(counts_of expect 0 name one_line)" "0 1"
equal "equal to nothing" "$(counts_of equal name "" "")" "0 1"
equal "not equal" "$(counts_of equal name a b)" "0 1"
equal "not different" "$(counts_of differ name a a)" "0 1"
equal "a text that is not there" "$(counts_of says name "$err" no-such-text)" "0 1"
# ends COUNT...: what finish says and its status, of so many passed, failed and skipped.
ends() {
    (passed=$1 failed=$2 skipped=$3; finish; ) | tr '\n' ' '
    echo "${PIPESTATUS[0]}"
}
equal "some skipped" "$(ends 2 0 1)" "1 skipped 2 passed, 0 failed 0"
equal "all skipped" "$(ends 0 0 3)" "3 skipped 0 passed, 0 failed 77"
equal "one failed, the rest skipped" "$(ends 0 1 3)" "3 skipped 0 passed, 1 failed 1"
run env ONE_RANK="a harness_faults" bash "$srcdir/tests/run-mpi.sh" ./harness_faults nothing
equal "a program of one rank" "$(tail -n 1 "$out")" "3 passed, 0 failed"
run env TWO_RANKS=harness_faults bash "$srcdir/tests/run-mpi.sh" ./harness_faults assertion
equal "a program of two ranks" "$(grep -c '^==' "$out"): $(tail -n 1 "$out")" "1: 2 passed, 1 failed"
equal "no check at all" "$(passed=0 failed=0; finish)" "0 passed, 1 failed"
finish
