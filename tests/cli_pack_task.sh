#!/bin/bash
# `carousel pack task` from the command line. What the sequences are is in test_task.c.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

for task in adding temporal-order-3 temporal-order-4 reber spike-delay timed-spikes periodic-cos periodic-triangle periodic-rectangle; do
    expect 0 "$task" "$CAROUSEL" pack task -o data.h5 $task --count=30,5,7
    says "$task: sequences" "$err" "test        7 sequences"
    first=$(fingerprint data.h5)
    expect 0 "$task again" "$CAROUSEL" pack task -o data.h5 $task --count=30,5,7
    equal "$task: the same bytes" "$(fingerprint data.h5)" "$first"
    expect 0 "$task, another seed" "$CAROUSEL" pack task -o data.h5 $task --count=30,5,7 --seed=2
    case $task in
        periodic-*) ;; # nothing is drawn
        *) differ "$task: other bytes" "$(digest data.h5 data)" "$("$CAROUSEL" pack task -q -o one.h5 $task --count=30,5,7 && digest one.h5 data)" ;;
    esac
done
expect 0 "lengths of their own" "$CAROUSEL" pack task -o data.h5 timed-spikes --length=60,50,1050 --count=2,1,1
says "in training" "$err" "train       2 sequences of 120 steps"
says "in test" "$err" "test        1 sequence of 1,050 steps"
expect 0 "some to train on alone" "$CAROUSEL" pack task -o few.h5 adding --count=3,0,0
says "nothing to validate" "$err" "validation  0 sequences"

wrong() { # NAME WORDS ARGUMENT...
    local name=$1 words=$2
    shift 2
    refused 64 "$name" "$words" "$CAROUSEL" pack task -o bad.h5 "$@"
}
wrong "an unknown task" "'addin' 'adding'" addin
wrong "one like no other" "'frobnicate' --help" frobnicate
wrong "no name" "NAME"
wrong "two names" "'reber'" adding reber
wrong "a length of words" "--length: 60,60,1050" adding --length=a
wrong "two lengths" "--length: three" adding --length=30,40
wrong "too short" "--length=10 adding 20" adding --length=10
wrong "no spike" "--length=10 spike-delay 11" spike-delay --length=10
wrong "a grammar's length" "--length reber" reber --length=20
wrong "a period of none" "--period adding" adding --period=5
wrong "a short period" "--period: '1'" periodic-cos --period=1
wrong "one count" "--count: 1000,100,100" adding --count=5
wrong "nothing to train on" "--count training" adding --count=0,5,5
refused 64 "no output" "-o missing" "$CAROUSEL" pack task adding
check "nothing is written" test ! -e bad.h5
finish
