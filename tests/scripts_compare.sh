#!/bin/bash
# scripts/compare-pytorch: what it says where it can't compare.
. "$srcdir/tests/lib.sh"
cd "$WORK" || exit 99

if ! command -v python3 > /dev/null; then
    skip "python3 is missing"
    finish
fi
mkdir none
echo 'raise ImportError' > none/torch.py
compare=(env PYTHONPATH="$WORK/none" python3 "$srcdir/scripts/compare-pytorch" --program="$CAROUSEL")
expect 77 "without torch nothing is compared" "${compare[@]}"
says "it says so, and what would do" "$err" "pip install torch"
expect 2 "shares that are not even" "${compare[@]}" --batch=5 --ranks=2
says "which option" "$err" "--batch=5"
expect 0 "--help" "${compare[@]}" --help
says "--help tells the options" "$out" "--window"
mkdir some
echo > some/torch.py
expect 1 "a program that is not there" env PYTHONPATH="$WORK/some" python3 "$srcdir/scripts/compare-pytorch" --program=nothing
says "its name" "$err" "nothing: no program there"
finish
