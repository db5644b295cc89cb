#!/bin/bash
# `carousel show` on data sets of sequences.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

# table OPTION...: packs x.csv into data.h5
table() {
    "$CAROUSEL" pack table -q -o data.h5 "$@" x.csv || exit 99
}
line() { # the line of standard output that begins so, its blanks single
    sed -n "s/^ *$1 /$1 /p" "$out" | tr -s ' ' | sed 's/ $//' | head -n 1
}

{ echo 'g,load,heat,kind' && for i in $(seq 0 39); do echo "g$((i / 8)),$i,2.5,$([ $((i % 4)) -eq 0 ] && echo hot || echo cold)"; done; } > x.csv

# ---- a forecast ----

table --inputs=load,heat --targets=load --context=4 --horizon=2 --split-rows=20,10,10
expect 0 "a forecast" "$CAROUSEL" show data.h5
says "what it is" "$out" "data.h5: a data set of sequences, whole"
equal "inputs" "$(line inputs)" "inputs 2 numbers a step"
equal "targets" "$(line targets)" "targets from 4 steps, the next 2 of 1 column"
equal "training" "$(line train)" "train 1 20 15"
equal "validation, with its lead" "$(line validation)" "validation 1 14 9"
equal "a column" "$(line load)" "load 9.5 5.76628 0 19"
equal "one that is constant" "$(line heat)" "heat 2.5 1 2.5 2.5"
says "lengths" "$out" "Lengths in steps"
equal "two of 14" "$(line 14)" "14 2 ########################################"
says "what is forecast" "$out" "To be forecast"
expect 0 "its digest" "$CAROUSEL" show --digest data.h5
check "is one line" grep -Eqx 'data [0-9a-f]{32}' "$out"
expect 0 "as JSON" "$CAROUSEL" show --json data.h5
for text in '"format":"carousel/sequences"' '"alignment":"sequence"' '"context":4' '"horizon":2' \
    '"train":{"sequences":1,"steps":20,"targets":15,"longest":20}' '{"name":"load","mean":9.5,' '"least":0.0,"most":19.0}' \
    '"target_columns":[{"name":"load","mean":9.5,'; do
    says "with $text" "$out" "$text"
done
says "the same digest" "$out" "\"data_digest\":\"$(digest data.h5 data)\""

# ---- classes ----

table --group=g --inputs=load --class=kind --split=0.6,0.2,0.2
expect 0 "a class of each step" "$CAROUSEL" show data.h5
equal "targets" "$(line targets)" "targets a class of each step, of 2"
equal "shares" "$(line hot)" "hot 6 25.00 % 2 25.00 % 2 25.00 %"
equal "all of a length" "$(line 8)" "8 5 ########################################"
expect 0 "as JSON" "$CAROUSEL" show --json data.h5
says "how many of each" "$out" '"classes":[{"name":"cold","train":18,"validation":6,"test":6},'
sed 's/,2.5,/,,/; 2s/,,/,1,/' x.csv > y.csv && mv y.csv x.csv
table --group=g --inputs=load,heat --class=kind --split=0.6,0.2,0.2 --missing=zero
expect 0 "missing values" "$CAROUSEL" show data.h5
equal "are told" "$(line missing)" "missing 39 values, taken as 0"

# ---- tasks: what is to be said is told; weights count ----

"$CAROUSEL" pack task -q -o data.h5 spike-delay --count=10,0,0 --length=100 --period=20
expect 0 "spikes" "$CAROUSEL" show data.h5
check "targets are at spikes alone" test "$(line train | cut -d' ' -f4)" -lt 60
says "what it is" "$out" "measure spike delays"
says "what made it" "$out" "carousel pack task spike-delay"
"$CAROUSEL" pack task -q -o data.h5 reber --count=300,0,0
expect 0 "Reber's grammar" "$CAROUSEL" show data.h5
equal "tokens" "$(line inputs)" "inputs a token a step, of 7"
equal "one less than steps a sequence" "$(line train | tr -d , | awk '{ print $3 - $4 }')" 300
check "a histogram" test "$(sed -n '/^Lengths/,$p' "$out" | grep -c '#')" -gt 3
"$CAROUSEL" pack task -q -o data.h5 timed-spikes --count=5,0,0 --length=110
expect 0 "spikes to be made" "$CAROUSEL" show data.h5
says "are bits" "$out" "1 bit of each step"
says "few" "$out" "from spike to spike"

# ---- checkpoints of all kinds ----

train=("$CAROUSEL" train --quiet --hidden=4 --layers=1 --steps=2)
"${train[@]}" data.h5 -o bits || exit 99
expect 0 "one of bits" "$CAROUSEL" show bits/last.h5
equal "what it reads" "$(line model)" "model lstm, 1 layer of 4 units, 1 number a step"
equal "what it says" "$(line says)" "says 1 bit of each step; loss logistic"
equal "no validation" "$(line validation)" "validation none yet"
no_text() { check "$1: nothing of a text" test "$(grep -c 'character\|vocabulary\|one-hot\|token\|perplexity' "$out")" -eq 0; }
no_text bits
"$CAROUSEL" pack task -q -o whole.h5 adding --count=20,5,5 --length=20
"${train[@]}" whole.h5 -o whole --bidirectional --pool=mean --layer-norm --loss=mae || exit 99
expect 0 "one of whole sequences" "$CAROUSEL" show whole/last.h5
equal "both ways" "$(line model)" "model lstm, 1 layer of 4 units each way, 2 numbers a step"
equal "what it says of them" "$(line says)" "says 1 number of each sequence; loss mae, pool mean"
check "its loss" grep -q '^  validation  *best loss [0-9.]* (scaled, a number)$' "$out"
equal "its norm" "$(line with)" "with layer norm"
equal "targets, not tokens" "$(line trained)" "trained 2 steps, 2 epochs, 40 targets"
no_text whole
"$CAROUSEL" pack task -q -o reber.h5 reber --count=20,5,5
"${train[@]}" reber.h5 -o reber --embed=4 --tie || exit 99
expect 0 "one of symbols" "$CAROUSEL" show reber/last.h5
equal "its embedding" "$(line model)" "model lstm, 1 layer of 4 units, an embedding of 4, 7 characters"
says "tied" "$out" "with        embedding and output tied"

# ---- what docs/formats.md has in Python writes one, and reads one ----

if python3 -c 'import h5py, numpy' 2> /dev/null; then
    sed -n '/^## A data set of sequences/,/^## A checkpoint/p' "$srcdir/docs/formats.md" > page
    sed -n '/^Python writes one/,/^```$/{/^```/d;/^Python/d;p}' page > write.py
    sed -n '/^and reads one/,/^```$/{/^```/d;/^and reads/d;p}' page > read.py
    expect 0 "written by Python" python3 write.py waves.h5
    expect 0 "is taken" "$CAROUSEL" show waves.h5
    equal "its inputs" "$(line inputs)" "inputs 2 numbers a step"
    equal "its targets" "$(line targets)" "targets a class of each sequence, of 2"
    equal "its classes" "$(line rises | cut -d' ' -f1-3)" "rises 20 50.00"
    expect 0 "is learned from" "${train[@]}" waves.h5 -o waves
    expect 0 "is read by Python" python3 read.py waves.h5
    equal "a line a sequence" "$(wc -l < "$out")" 40
    check "with steps, columns and class" grep -Eqx '1 \(([2-3][0-9]|40), 2\) rises' "$out"
    expect 0 "one of ours, too" python3 read.py whole.h5
    equal "a line a sequence" "$(wc -l < "$out")" 20
    # What a checkpoint of whole sequences, and one of tied symbols, says of itself, and how its tensors are called.
    cat > said.py << 'END'
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    of = lambda name: f.attrs[name].decode() if isinstance(f.attrs[name], bytes) else f.attrs[name]
    print(*(of(name) for name in "inputs targets alignment loss pool bidirectional layer_norm residual tie change".split()))
    print(*(of(name) for name in ("input_size", "output_size")))
    f["model"].visititems(lambda name, item: print(name, *item.shape) if hasattr(item, "shape") else None)
END
    expect 0 "a checkpoint of sequences" python3 said.py whole/last.h5
    equal "its attributes" "$(sed -n 1p "$out")" "values values sequence mae mean 1 1 0 0 0"
    equal "its sizes" "$(sed -n 2p "$out")" "2 1"
    equal "its tensors" "$(sed 1,2d "$out" | sort | tr '\n' ';')" "\
layers/0/bias_ih 16;layers/0/norm/bias 8;layers/0/norm/weight 8;\
layers/0/reverse/bias_ih 16;layers/0/reverse/weight_hh 16 4;layers/0/reverse/weight_ih 16 2;layers/0/weight_hh 16 4;\
layers/0/weight_ih 16 2;output/bias 1;output/weight 1 8;"
    expect 0 "one of tied symbols" python3 said.py reber/last.h5
    equal "its attributes" "$(sed -n 1p "$out")" "tokens next step softmax last 0 0 0 1 0"
    equal "its tensors" "$(sed 1,2d "$out" | sort | tr '\n' ';')" "\
embedding/weight 7 4;layers/0/bias_ih 16;layers/0/weight_hh 16 4;layers/0/weight_ih 16 4;output/bias 7;"
else
    skip "python3 has no h5py and numpy: pip install h5py"
fi

# ---- a file that is damaged ----

size=$(wc -c < data.h5)
head -c $((size - 100)) data.h5 > short.h5
refused 65 "cut off" "short.h5" "$CAROUSEL" show short.h5
finish
