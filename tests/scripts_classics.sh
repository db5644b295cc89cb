#!/bin/bash
# scripts/reproduce-classics: a small part of each task runs through and is told; what it refuses.
. "$srcdir/tests/lib.sh"

if ! command -v python3 > /dev/null; then
    skip "python3 is missing"
    finish
fi
classics() {
    python3 "$srcdir/scripts/reproduce-classics" --program="$CAROUSEL" "$@"
}

for part in adding order reber spikes periodic; do
    expect 0 "a glance at $part" classics --quick --only=$part
    says "$part is told of the LSTM" "$out" "  lstm"
done
expect 0 "one job, a folder that stays" classics --quick --only=spikes --jobs=1 --output="$WORK/runs"
check "data and runs are there" test -s "$WORK/runs/spikes-10-8-lstm-1/last.h5"
equal "nothing is left elsewhere" "$(find "$WORK" -maxdepth 1 -name 'carousel-classics-*' | wc -l)" 0

# What success is, by cases made by hand.
cat > "$WORK/judge.py" << 'END'
import importlib.machinery, importlib.util, sys
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("classics", sys.argv[1])
classics = importlib.util.module_from_spec(importlib.util.spec_from_loader("classics", loader))
loader.exec_module(classics)
needed = classics.sequences_to_success
assert needed([1] * 50 + [0.01] * 100, 20, 0.3) == 3000
assert needed([1] * 50 + [0.01] * 99 + [1], 20, 0.3) is None
assert needed([0.01] * 99 + [float("nan")] + [0.01] * 100, 20, 0.3) == 4000
string = "BTBTXXVPSETE"  # B T, then BTXXVPSE, then T E
allowed = list(classics.follow(string))
assert len(allowed) == len(string) - 1 and all(s in a for s, a in zip(string[1:], allowed)) and allowed[-2] == {"T"}
lines = [{"sequence": "0", "says": s, "true": s} for s in string[1:]]
assert classics.reber_wrong(lines) == 0
lines[-2] = {"sequence": "0", "says": "P", "true": "T"}
assert classics.reber_wrong(lines) == 1
good = {"task": "adding", "cell": "lstm", "needed": 9000, "share": 0}
bad = {"task": "adding", "cell": "rnn", "needed": None, "share": 0.9}
assert list(classics.failures("adding", [good, bad])) == []
assert len(list(classics.failures("adding", [dict(good, needed=None), dict(bad, needed=1)]))) == 2
assert list(classics.failures("spikes", [{"good": False}])) and not list(classics.failures("spikes", [{"good": True}]))
END
check "what success is" python3 "$WORK/judge.py" "$srcdir/scripts/reproduce-classics"
expect 2 "an unknown part" classics --only=counting
says "which there are" "$err" "periodic"
expect 1 "a program that is not there" classics --program="$WORK/nothing"
says "its name" "$err" "no program there"
expect 0 "--help" classics --help
says "--help tells the options" "$out" "--only"
finish
