#!/bin/bash
# Names and units in data sets by other hands: what could drive a terminal or break the line of a table becomes '?' in all
# that show, eval and predict say; a name that stands there twice is refused; units are shown.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99
other_names=$(dirname "$CAROUSEL")/other_names

# ---- control characters: newline, ESC, DEL, and CSI in one character ----

awk 'BEGIN { print "who,x,y,kind"; for (g = 0; g < 10; g++) for (t = 0; t < 6; t++)
    printf "g%d,%.3f,%.3f,%s\n", g, sin(t + g), cos(t * g), g % 2 ? "hot" : "cold" }' > x.csv
table=("$CAROUSEL" pack table --quiet --group=who --inputs=x,y --split=0.6,0.2,0.2)
train=("$CAROUSEL" train --quiet --hidden=2 --layers=1 --steps=1 --threads=1)
"${table[@]}" --class=kind -o kinds.h5 x.csv && "${table[@]}" --targets=y,x -o values.h5 x.csv || exit 99
printf '{"train": [[[60], [62], [60]]], "test": [[[60], [62]], [[61], [62]]]}' > keys.json
"$CAROUSEL" pack notes --quiet --low=60 --high=62 -o keys.h5 keys.json || exit 99
check "names of inputs" "$other_names" kinds.h5 columns $'\e[31mx' $'y\177'
check "of classes" "$other_names" kinds.h5 classes $'co\nld' $'h\u009bot'
check "of targets" "$other_names" values.h5 target_names $'y\n\e[31m' $'x,\u009b'
check "units" "$other_names" values.h5 target_names@units $'k\nW' $'\e[m'
check "of sequences" "$other_names" values.h5 test/names $'g\n8' $'\e[31mg9'
check "of keys" "$other_names" keys.h5 columns $'\e60' 61 $'62\n'
# clean NAME FILE: nothing but lines of plain text are in it.
clean() { check "$1: nothing drives a terminal" test "$(LC_ALL=C tr -d '\n\40-\176' < "$2" | wc -c)" -eq 0; }
for what in kinds values keys; do
    expect 0 "$what: trained" "${train[@]}" $what.h5 -o $what
    expect 0 "$what: show" "$CAROUSEL" show $what.h5
    clean "$what: show" "$out"
    cp "$out" $what.shown
    expect 0 "$what: show --json" "$CAROUSEL" show --json $what.h5
    clean "$what: show --json" "$out"
    equal "$what: it is one line" "$(wc -l < "$out")" 1
    expect 0 "$what: eval" "$CAROUSEL" eval $what/last.h5 $what.h5
    clean "$what: eval" "$out"
    cp "$out" $what.said
    expect 0 "$what: eval --json" "$CAROUSEL" eval --json $what/last.h5 $what.h5
    clean "$what: eval --json" "$out"
    targets=$(sed -n 's/.*"targets": \([0-9]*\).*/\1/p' "$out")
    expect 0 "$what: predict" "$CAROUSEL" predict $what/last.h5 $what.h5 -o $what.csv
    clean "$what: the table" $what.csv
    equal "$what: a line a target" "$(wc -l < $what.csv)" $((targets + 1))
done
says "columns by their names" kinds.shown "  ?[31mx "
says "and classes" kinds.shown "  co?ld "
says "in the table of classes" kinds.said "h??ot"
says "as what is true" kinds.csv ",co?ld"
equal "the columns of a table" "$(head -n 1 values.csv)" \
    'sequence,name,step,says:y??[31m,"says:x,??",true:y??[31m,"true:x,??"'
equal "names of sequences" "$(sed 1d values.csv | cut -d, -f2 | uniq | tr '\n' ' ')" "g?8 ?[31mg9 "
says "keys" keys.shown "from ?60 to 62?"

# ---- names that stand there twice ----

# twice NAME DATA LIST TEXT...: refused, by name and places.
twice() {
    local name=$1 words=$2 data=$3
    shift 3
    cp $data.h5 twice.h5
    check "$name" "$other_names" twice.h5 "$@"
    refused 65 "$name: refused" "twice.h5 $words" "$CAROUSEL" show twice.h5
}
twice "two classes of a name" "/classes[0] /classes[1] 'hot'" kinds classes hot hot
refused 65 "to train on, at two ranks" "/classes[1] 'hot'" ranks 2 "${train[@]}" twice.h5 -o no
twice "two columns" "/columns[0] /columns[2] '60'" keys columns 60 61 60
twice "two targets" "/target_names[1] 'y'" values target_names y y
twice "two that look the same" "/columns[1] 'x?'" kinds columns $'x\n' $'x\t'

# ---- units ----

check "a unit each" "$other_names" values.h5 target_names@units MW °C
check "one for all" "$other_names" values.h5 columns@units mm
expect 0 "show" "$CAROUSEL" show values.h5
check "tells of columns" grep -Eq '^Columns .* most  units   \(of training\)$' "$out"
check "each" grep -Eqx '  x( +[-0-9.]+){4}  mm' "$out"
check "and of targets" grep -Eq '^Targets  *mean  *deviation  units   \(of training\)$' "$out"
says "each" "$out" "  °C"
expect 0 "as JSON" "$CAROUSEL" show --json values.h5
says "of a column" "$out" '{"name":"x","units":"mm","mean"'
says "of a target" "$out" '"units":"MW"'
expect 0 "eval" "$CAROUSEL" eval values/last.h5 values.h5
check "its table has them" grep -Eq '^column .* r2 +guess  units$' "$out"
check "in each line" grep -Eq '^x,.* -?[0-9.]+  °C$' "$out"
expect 0 "without units" "$CAROUSEL" eval kinds/last.h5 kinds.h5
equal "none are told" "$(grep -c units "$out")" 0
check "three units of two columns" "$other_names" values.h5 columns@units mm mm mm
refused 65 "are refused" "values.h5 /columns units list of 2" "$CAROUSEL" show values.h5

# Those of a forecast's targets are those of its columns, and stay with the checkpoint.
"$CAROUSEL" pack table --quiet --inputs=x,y --targets=y --context=4 --horizon=2 --split=0.6,0.2,0.2 -o ahead.h5 x.csv || exit 99
wanted=$(digest ahead.h5 data)
check "units of a forecast" "$other_names" ahead.h5 columns@units mm kg
equal "they are not in the digest" "$(digest ahead.h5 data)" "$wanted"
expect 0 "trained at two ranks" ranks 2 "${train[@]}" ahead.h5 -o ahead --batch=4
expect 0 "eval" "$CAROUSEL" eval ahead/last.h5 ahead.h5
check "has the column's" grep -Eq '^y .*  kg$' "$out"
expect 0 "a run that goes on" "${train[@]}" ahead.h5 -o ahead --steps=2
if command -v h5dump > /dev/null; then
    equal "the checkpoint's" "$(h5dump -y -w 1 -d units -d target_units ahead/last.h5 | grep -c '"mm"\|"kg"')" 3
else
    skip "h5dump is missing: apt-get install hdf5-tools"
fi

finish
