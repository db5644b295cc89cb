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
says "and those of data sets" "$out" "--quality"
expect 2 "a case without data" "${compare[@]}" --case=jsb
says "says what it needs" "$err" "--data=DATA.h5"
expect 2 "figures without data" "${compare[@]}" --quality
says "says so" "$err" "--data=DATA.h5"
expect 2 "a case that there is not" "${compare[@]}" --case=none --data=x.h5
says "says which there are" "$err" "'vowels'"
expect 2 "a data set over ranks" "${compare[@]}" --data=x.h5 --ranks=2 --batch=4
says "says why not" "$err" "one rank each"
expect 2 "no epochs" "${compare[@]}" --data=x.h5 --epochs=0
expect 77 "a data set without torch" "${compare[@]}" --data=x.h5 --case=vowels --quality

# What a case sets, and that what is typed wins: hidden, bidirectional, pool, batch.
cat > options.py << 'EOF'
import importlib.machinery, importlib.util, sys
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("compare", sys.argv[1])
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
loader.exec_module(compare)
o = compare.parse(sys.argv[2:])
print(o.hidden, o.bidirectional, o.pool, o.batch, o.quality)
EOF
options() {
    python3 options.py "$srcdir/scripts/compare-pytorch" --data=x.h5 "$@"
}
equal "a case" "$(options --case=vowels)" "64 True mean 30 False"
equal "what is typed wins" "$(options --case=vowels --hidden=5 --pool=last --quality)" "5 True last 30 True"
equal "without a case" "$(options --batch=7 | cut -d' ' -f2-)" "False last 7 False"

if python3 -c 'import torch, h5py' 2> /dev/null; then
    awk 'BEGIN { print "g,x,c"; for (i = 0; i < 120; i++) print "g" int(i / 4) "," i % 7 "," int(i / 4) % 2 }' > groups.csv
    "$CAROUSEL" pack table -q --group=g --inputs=x --class=c --per-sequence -o groups.h5 groups.csv || exit 99
    expect 0 "figures of PyTorch" python3 "$srcdir/scripts/compare-pytorch" --program="$CAROUSEL" --data=groups.h5 --quality \
        --hidden=4 --batch=5 --epochs=1
    says "with the accuracy" "$out" '"accuracy"'
else
    skip "PyTorch's figures of a data set: python3 has no torch and h5py; pip install torch h5py"
fi
mkdir some
echo > some/torch.py
expect 1 "a program that is not there" env PYTHONPATH="$WORK/some" python3 "$srcdir/scripts/compare-pytorch" --program=nothing
says "its name" "$err" "nothing: no program there"
finish
