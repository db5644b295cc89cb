#!/bin/bash
# carousel predict: what is said of each target, in order, the same bytes at any number of ranks; whole or not at all.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 6000 > text.txt
"$CAROUSEL" pack text --split=0.7,0,0.3 -o text.h5 text.txt 2> /dev/null || exit 99
"$CAROUSEL" train text.h5 --cell=gru --hidden=16 --layers=1 --batch=8 --window=10 --rate=0.01 --threads=1 --steps=40 \
    -o run --quiet || exit 99

# ---- of a text ----

expect 0 "next tokens, as text" "$CAROUSEL" predict run/last.h5 text.h5 -o one.csv
says "it says how many" "$err" "one.csv: 1,799 predictions"
equal "nothing on standard output" "$(wc -c < "$out")" 0
equal "the columns" "$(head -n 1 one.csv)" "sequence,name,step,says,probability,true"

# The truth is the text itself, from the second character of the split on; a line a character, where it is no newline.
truth=$(tail -c 1799 text.txt | tr -d '\n' | md5sum)
equal "the truth beside it" "$(sed -n 's/.*,\([^,"]\)$/\1/p' one.csv | tr -d '\n' | md5sum)" "$truth"
sed -n '2,$p' one.csv | sed -n 's/^0,,\([0-9]*\),.*/\1/p' > steps
check "a step after the other" cmp steps <(seq 1 1799)
right=$(awk -F, 'NR > 1 && NF == 6 && $4 == $6 { n++ } END { print n + 0 }' one.csv)
check "more than a third is right" [ "$right" -gt 600 ]

# A model that is right half of the time is surer than chance; probabilities are such.
check "probabilities" awk -F, 'NR > 1 && NF == 6 && !($5 > 0.04 && $5 <= 1) { bad = 1 } END { exit bad }' one.csv

for n in 2 3; do
    expect 0 "$n ranks" ranks "$n" "$CAROUSEL" predict run/last.h5 text.h5 -o many.csv
    check "$n ranks: the same bytes" cmp one.csv many.csv
done
expect 0 "in seven streams" "$CAROUSEL" predict --streams=7 run/last.h5 text.h5 -o seven.csv
expect 0 "in seven streams, three ranks" ranks 3 "$CAROUSEL" predict --streams=7 run/last.h5 text.h5 -o many.csv
check "streams: the same bytes" cmp seven.csv many.csv
equal "streams: in their order" "$(sed -n 's/^\([0-6]\),,1,.*/\1/p' seven.csv | tr -d '\n')" 0123456
expect 0 "of the training split" "$CAROUSEL" predict --split=train run/last.h5 text.h5 -o train.csv --quiet
equal "quietly" "$(wc -c < "$err")" 0
equal "its lines" "$(grep -c '^0,,' train.csv)" 4199

expect 0 "as HDF5" "$CAROUSEL" predict run/last.h5 text.h5 -o one.h5
if command -v h5dump > /dev/null; then
    h5dump -y -w 1 -d says one.h5 | sed -n 's/^ *"\([^"]\)\(\\000\)*",*$/\1/p' | tr -d '\n' > says.h5
    equal "HDF5: the same is said" "$(md5sum < says.h5)" \
        "$(sed -n 's/^0,,[0-9]*,\([^",]\),.*/\1/p' one.csv | tr -d '\n' | md5sum)"
    h5dump -y -w 1 -d step one.h5 | sed -n 's/^ *\([0-9][0-9]*\),*$/\1/p' > steps.h5
    check "HDF5: the steps" cmp steps steps.h5
else
    skip "h5dump is missing: apt-get install hdf5-tools"
fi

# ---- values: the truth as the data have it ----

# Exact in float, which no scale gives back so, and 0 among them; by step, and of a forecast.
awk 'BEGIN { print "who,x,y"; for (g = 0; g < 9; g++) for (t = 0; t < 30; t++)
    printf "g%d,%.4f,%s\n", g, sin(t + g), t % 3 ? t * 0.25 + g * 1000 : 0 }' > values.csv
"$CAROUSEL" pack table -q -o step.h5 --group=who --inputs=x --targets=y values.csv || exit 99
"$CAROUSEL" pack table -q -o ahead.h5 --group=who --inputs=x,y --targets=y --context=5 --horizon=2 values.csv || exit 99
for data in step ahead; do
    "$CAROUSEL" train $data.h5 -o $data --hidden=3 --layers=1 --steps=1 --threads=1 --quiet || exit 99
    expect 0 "of $data" ranks 2 "$CAROUSEL" predict $data/last.h5 $data.h5 -o $data.csv --quiet
done
check "by step: each is the number of the table" awk -F, 'NR == FNR { y[$1, n[$1]++] = $3; next }
    FNR > 1 { lines++; if ($5 != y[$2, $3 + 0]) { print; bad = 1 } } END { exit bad || lines < 30 }' values.csv step.csv
check "a forecast: each step of the horizon is" awk -F, 'NR == FNR { y[$1, n[$1]++] = $3; next }
    FNR > 1 { lines++; if ($6 != y[$2, $3 + 0] || $7 != y[$2, $3 + 1]) { print; bad = 1 } }
    END { exit bad || lines < 20 }' values.csv ahead.csv

# ---- what can't be ----

before=$(fingerprint one.csv one.h5)
refused 64 "no output" "predict: -o" "$CAROUSEL" predict run/last.h5 text.h5
refused 64 "an unknown ending" ".csv .h5 said.txt" "$CAROUSEL" predict run/last.h5 text.h5 -o said.txt
refused 73 "no such folder" "none/said.csv mkdir" "$CAROUSEL" predict run/last.h5 text.h5 -o none/said.csv
mkdir folder.csv
refused 73 "a folder" "folder.csv folder" "$CAROUSEL" predict run/last.h5 text.h5 -o folder.csv
refused 66 "no checkpoint" "none.h5" "$CAROUSEL" predict none.h5 text.h5 -o said.csv
refused 65 "a data set for a checkpoint" "text.h5" "$CAROUSEL" predict text.h5 text.h5 -o said.csv
refused 65 "no test split" "validation 2" "$CAROUSEL" predict --split=validation run/last.h5 text.h5 -o said.csv
refused 78 "too many streams" "--streams=1799" "$CAROUSEL" predict --streams=2000 run/last.h5 text.h5 -o said.csv
inputs=$(fingerprint run/last.h5 text.h5)
ln -s text.h5 link.h5
refused 64 "over its own data" "text.h5 input output" "$CAROUSEL" predict run/last.h5 text.h5 -o ./text.h5
refused 64 "by another name" "link.h5 input output" ranks 2 "$CAROUSEL" predict run/last.h5 text.h5 -o link.h5
refused 64 "over the checkpoint" "run/last.h5 input output" "$CAROUSEL" predict run/last.h5 text.h5 -o run/last.h5
equal "both are as they were" "$(fingerprint run/last.h5 text.h5)" "$inputs"
"$CAROUSEL" pack text --level=byte --split=0.7,0,0.3 -o bytes.h5 text.txt 2> /dev/null || exit 99
refused 65 "another vocabulary" "bytes.h5 level --vocabulary" "$CAROUSEL" predict run/last.h5 bytes.h5 -o said.csv
refused 65 "the same at three ranks" "bytes.h5 level" ranks 3 "$CAROUSEL" predict run/last.h5 bytes.h5 -o said.csv

# Pieces of a single step have nothing behind it that could be said.
printf '{"train": [[[60], [62], [64]], [[60], [], [62]]], "test": [[[60]], [[62]]]}' > short.json
"$CAROUSEL" pack notes -q -o short.h5 short.json || exit 99
"$CAROUSEL" train short.h5 -o short --hidden=2 --layers=1 --steps=1 --threads=1 --quiet || exit 99
refused 65 "a split without a target" "short.h5 test weight --split" "$CAROUSEL" predict short/last.h5 short.h5 -o said.csv
refused 65 "the same at two ranks" "short.h5 test weight" ranks 2 "$CAROUSEL" predict short/last.h5 short.h5 -o said.h5
refused 65 "eval says the same" "short.h5 test weight --split" "$CAROUSEL" eval short/last.h5 short.h5
refused 65 "a split without sequences" "short.h5 validation sequences" "$CAROUSEL" predict --split=validation \
    short/last.h5 short.h5 -o said.csv
check "nothing was written" test ! -e said.csv -a ! -e said.h5
expect 0 "that of training has some" "$CAROUSEL" predict --split=train short/last.h5 short.h5 -o some.csv --quiet
equal "four" "$(wc -l < some.csv)" 5

# A file that may not grow so far: what was there stays, and nothing else is left; also where MPI ends with HDF5.
for form in csv h5; do
    refused 73 "too large: $form" "one.$form ulimit" bash -c "ulimit -f 1; '$CAROUSEL' predict run/last.h5 text.h5 -o one.$form"
    run bash -c "ulimit -f 1; '$CAROUSEL' predict run/last.h5 text.h5 -o new.$form"
    equal "too large: $form: nothing is left" "$(ls -A | grep -c "new.$form")" 0
done
equal "what was there is as it was" "$(fingerprint one.csv one.h5)" "$before"

finish
