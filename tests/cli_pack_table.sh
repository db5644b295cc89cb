#!/bin/bash
# `carousel pack table` from the command line: what comes out of tables, and which are refused.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

table() { # ARGUMENT...: packs into data.h5
    "$CAROUSEL" pack table -o data.h5 "$@"
}
bad() { # NAME WORDS ARGUMENT...: refused with 65; nothing is written
    local name=$1 words=$2
    shift 2
    refused 65 "$name" "$words" "$CAROUSEL" pack table -o bad.h5 "$@"
    check "and nothing is written" test ! -e bad.h5
}
wrong() { # NAME WORDS ARGUMENT...: refused with 64
    local name=$1 words=$2
    shift 2
    refused 64 "$name" "$words" "$CAROUSEL" pack table -o bad.h5 "$@"
}

# 40 hours of two columns, in time.
{
    echo 'date,load,heat,kind'
    for i in $(seq 0 39); do
        printf '2024-02-%02d %02d:00:00,%d,%d.5,%s\n' $((28 + i / 24)) $((i % 24)) $((i * i % 17)) "$i" "$((i % 3))"
    done
} > hours.csv

# ---- a forecast ----

forecast=(--time=date --inputs=load,heat --context=4 --horizon=2)
expect 0 "a forecast" table "${forecast[@]}" --split-rows=20,8,8 hours.csv
says "what there is" "$err" "data.h5: 3 sequences of 44 steps, 2 numbers a step"
says "windows of training" "$err" "train       1 sequence of 20 steps: 15 windows"
says "those of validation begin early" "$err" "validation  1 sequence of 12 steps: 7 windows"
says "what is not used" "$err" "not used: 4 rows"
says "what comes next" "$err" "next: carousel train data.h5 -o run"
wanted=$(fingerprint data.h5)
wanted_data=$(digest data.h5 data)
expect 0 "the same again" table "${forecast[@]}" --split-rows=20,8,8 hours.csv
equal "the same bytes" "$(fingerprint data.h5)" "$wanted"
pack_pipe() { cat hours.csv | table "${forecast[@]}" --split-rows=20,8,8 -; }
expect 0 "from a pipe" pack_pipe
equal "the same data" "$(digest data.h5 data)" "$wanted_data"
sed 's/,/;/g; s/$/\r/' hours.csv > semicolons.csv
expect 0 "semicolons, carriage returns" table "${forecast[@]}" --delimiter=';' --split-rows=20,8,8 semicolons.csv
equal "the same data" "$(digest data.h5 data)" "$wanted_data"
tr , '\t' < hours.csv > tabs.csv
expect 0 "tabs" table "${forecast[@]}" --delimiter=tab --split-rows=20,8,8 tabs.csv
equal "the same data" "$(digest data.h5 data)" "$wanted_data"
expect 0 "one target" table "${forecast[@]}" --targets=heat hours.csv
says "shares of the rows" "$err" "train       1 sequence of 28 steps: 23 windows"
expect 0 "all columns but the time" table --time=date --context=4 --horizon=2 hours.csv
says "are inputs" "$err" "3 numbers a step"
# Two files in a row are one table.
head -n 21 hours.csv > one.csv
{ head -n 1 hours.csv && tail -n +22 hours.csv; } > two.csv
expect 0 "two files" table "${forecast[@]}" --split-rows=20,8,8 one.csv two.csv
equal "are one series, the same data" "$(digest data.h5 data)" "$wanted_data"
sed '1s/^/\xef\xbb\xbf/; 2s/^/\n \n/' hours.csv > mark.csv
expect 0 "a byte order mark, empty lines" table "${forecast[@]}" --split-rows=20,8,8 mark.csv
equal "the same data" "$(digest data.h5 data)" "$wanted_data"
expect 0 "a split that nothing fits in" table "${forecast[@]}" --split-rows=30,1,1 hours.csv
says "is told of" "$err" "warning: validation has no room"

# ---- classes and numbers ----

expect 0 "a class of each step" table --time=date --class=kind hours.csv
says "of 40 steps" "$err" "3 sequences of 40 steps, 2 numbers a step"
expect 0 "a number of each step" table --time=date --targets=heat,load --inputs=kind hours.csv
{
    echo 'who,x,y,is,age,part'
    for i in $(seq 0 59); do
        who=$((i / 6))
        echo "p$who,$i,$((i * 7 % 5)),c$((who % 2)),$((30 + who)),$([ $who -lt 6 ] && echo train || { [ $who -lt 8 ] && echo validation || echo test; })"
    done
} > people.csv
expect 0 "a class a group" table --group=who --class=is --per-sequence --inputs=x,y people.csv
says "groups in their order" "$err" "train       7 sequences of 42 steps"
says "the rest" "$err" "test        2 sequences of 12 steps"
expect 0 "a number a group" table --group=who --targets=age --per-sequence --inputs=x,y people.csv
expect 0 "a column of splits" table --group=who --class=is --per-sequence --inputs=x,y --split-column=part people.csv
says "six for training" "$err" "train       6 sequences of 36 steps"
contiguous=$(fingerprint data.h5)
# The same rows, first those of the first step of everyone, and so on.
mkdir sorted
{ head -n 1 people.csv && tail -n +2 people.csv | awk -F, '{ print (NR - 1) % 6 "," $0 }' | sort -s -n -t, -k1,1 | cut -d, -f2-; } > sorted/people.csv
differ "rows in another order" "$(cat people.csv)" "$(cat sorted/people.csv)"
mixed() { (cd sorted && "$CAROUSEL" pack table -o ../data.h5 --group=who --class=is --per-sequence --inputs=x,y --split-column=part people.csv); }
expect 0 "groups that are mixed" mixed
equal "give the same bytes" "$(fingerprint data.h5)" "$contiguous"
"$CAROUSEL" pack table -q -o data.h5 --group=who --class=is --inputs=x,y --split-column=part people.csv
contiguous=$(fingerprint data.h5)
mixed() { (cd sorted && "$CAROUSEL" pack table -o ../data.h5 --group=who --class=is --inputs=x,y --split-column=part people.csv); }
expect 0 "mixed, a class of each step" mixed
equal "give the same bytes" "$(fingerprint data.h5)" "$contiguous"

# ---- missing values ----

printf 'a,b,t\n1,,7\n2,5,8\nNA,6,nan\n,7,1\n3,8,2\n' > holes.csv
bad "a value is missing" "holes.csv:2: b missing --missing" --targets=t holes.csv
bad "none to carry forward" "holes.csv:2: b forward zero drop" --targets=t --missing=forward holes.csv
expect 0 "taken as 0" table --targets=t --missing=zero --split=1,0,0 holes.csv
says "counted" "$err" "missing: 4 values, taken as 0"
says "all rows" "$err" "1 sequence of 5 steps"
expect 0 "rows left out" table --targets=t --missing=drop --split=1,0,0 holes.csv
says "counted" "$err" "dropped: 3 rows"
says "two rows" "$err" "1 sequence of 2 steps"
sed 2d holes.csv > later.csv
expect 0 "carried forward" table --targets=t --missing=forward --split=1,0,0 later.csv
says "counted" "$err" "missing: 3 values, for which the last one"
forward=$(digest data.h5 data)
printf 'a,b,t\n2,5,8\n2,6,8\n2,7,1\n3,8,2\n' > later.csv
expect 0 "the same, filled by hand" table --targets=t --split=1,0,0 later.csv
equal "are the same data" "$(digest data.h5 data)" "$forward"
# Each group carries its own.
printf 'g,a,t\nx,1,1\ny,9,1\nx,,1\ny,,1\nx,2,1\ny,8,1\nz,3,1\nz,3,1\nz,3,1\n' > groups.csv
printf 'g,a,t\nx,1,1\nx,1,1\nx,2,1\ny,9,1\ny,9,1\ny,8,1\nz,3,1\nz,3,1\nz,3,1\n' > by_hand.csv
expect 0 "carried forward in mixed groups" "$CAROUSEL" pack table -o data.h5 --group=g --targets=t --missing=forward groups.csv
forward=$(digest data.h5 data)
cp by_hand.csv groups.csv
expect 0 "filled by hand" "$CAROUSEL" pack table -o data.h5 --group=g --targets=t groups.csv
equal "the same data" "$(digest data.h5 data)" "$forward"

# ---- tables that are refused ----

printf 'a,b\n1,2\n3\n' > x.csv
bad "rows of different width" "x.csv:3: 1 fields 2" --targets=b x.csv
printf 'a,b\n1,2\n"3\n4",x\n' > x.csv
bad "text where a number should be" "x.csv:3: column a" --targets=b x.csv
printf 'a,b\n1,2\n3,four\n' > x.csv
bad "a target that is text" "x.csv:3: column b 'four' number" --targets=b x.csv
for number in 0x10 inf 1e39 '1 2' 1,5 --1 1e; do
    printf 'a;b\n1;2\n3;%s\n' "$number" > x.csv
    bad "no number: $number" "x.csv:3: column b '$number'" --delimiter=';' --targets=b x.csv
done
printf 't,a,b\n1,1,2\n3,1,2\n2,1,2\n' > x.csv
bad "a time that goes back" "x.csv:4: column t '2' sort" --time=t --targets=b x.csv
printf 't,a,b\n1,1,2\n1,1,2\n' > x.csv
bad "a time that stands still" "x.csv:3: column t" --time=t --targets=b x.csv
printf 't,a,b\n2024-01-31,1,2\n2024-02-01T00:00:00Z,1,2\n2024-02-01 02:00:00+03:00,1,2\n' > x.csv
bad "dates, with zones" "x.csv:4: column t" --time=t --targets=b x.csv
printf 't,a,b\nnoon,1,2\n' > x.csv
bad "no time" "x.csv:2: column t 'noon'" --time=t --targets=b x.csv
printf 'g,p,a,b\nu,train,1,2\nv,test,1,2\nu,test,1,2\n' > x.csv
bad "a group in two splits" "x.csv:4: group 'u' test train" --group=g --inputs=a --targets=b --split-column=p x.csv
printf 'g,p,a,b\nu,train,1,2\nv,dev,1,2\n' > x.csv
bad "an unknown split" "x.csv:3: column p 'dev' validation" --group=g --inputs=a --targets=b --split-column=p x.csv
printf 'p,a,b\ntrain,1,2\ntest,1,2\ntrain,1,2\n' > x.csv
bad "one series whose splits don't stand together" "x.csv:4: train together --group" --inputs=a --targets=b --split-column=p x.csv
bad "a horizon longer than every series" "hours.csv --horizon=40 44 28" --time=date --context=4 --horizon=40 hours.csv
printf 'g,a,c\nu,1,x\nv,1,y\nw,1,x\nz,1,q\n' > x.csv
bad "a class that training never shows" "x.csv:5: class 'q' training" --group=g --class=c --per-sequence --split=0.5,0.25,0.25 x.csv
printf 'a,c\n1,x\n1,y\n1,y\n1,z\n' > x.csv
bad "the same, of steps" "x.csv:5: class 'z' training" --class=c --split=0.5,0.5,0 x.csv
printf 'g,a,c\nu,1,x\nu,1,y\n' > x.csv
bad "two classes in a group" "x.csv:3: group 'u' 'y' 'x'" --group=g --class=c --per-sequence x.csv
printf 'g,a,c\nu,1,4\nu,1,5\n' > x.csv
bad "two targets in a group" "x.csv:3: column c 5 'u' 4" --group=g --targets=c --per-sequence x.csv
printf 'g,a,c\nu,1,4\n,1,5\n' > x.csv
bad "no group" "x.csv:3: column g" --group=g --targets=c x.csv
bad "nothing for training" "hours.csv training" --time=date --class=kind --split=0,0.5,0.5 hours.csv
bad "more rows than there are" "--split-rows 60 hours.csv 40" --time=date --class=kind --split-rows=40,10,10 hours.csv
: > x.csv
bad "an empty file" "x.csv empty" --targets=b x.csv
echo a,b > x.csv
bad "a header alone" "x.csv nothing" --targets=b x.csv
printf '1,2\n3,4\n' > x.csv
bad "no header" "x.csv:1: names" --targets=b x.csv
printf 'a,b,a\n3,4,5\n' > x.csv
bad "two columns of a name" "x.csv:1: 1 3 'a'" --targets=b x.csv
printf ',b\n3,4\n' > x.csv
bad "a column without a name" "x.csv:1: column 1 --inputs" --targets=b x.csv
printf 'a,b\n3,4\n' > x.csv
printf 'a,c\n3,4\n' > y.csv
bad "another header" "y.csv:1: column 2 'c' x.csv 'b'" --targets=b x.csv y.csv
printf 'a,b\n3,4\n"5,6\n7,8\n' > x.csv
bad "quotes that don't end" "x.csv:3: end" --targets=b x.csv
printf 'a,b\n3,4\n5"6,7\n' > x.csv
bad "a quote within" "x.csv:3: quote" --targets=b x.csv
{ printf 'a,b\n3,4\n"'; head -c 100000 /dev/zero | tr '\0' 'x'; echo; } > x.csv
bad "a field without an end" "x.csv:3: field quote" --targets=b x.csv
printf 'a,b\n3,\344\n' > x.csv
bad "no UTF-8" "x.csv:2: UTF-8 iconv" --targets=b x.csv
printf 'a,\344\n3,4\n' > x.csv
bad "a name that is not UTF-8" "x.csv:1: UTF-8 iconv" --targets=a x.csv
printf 'a,c\n3,x\n4,\344\n' > x.csv
bad "a class that is not UTF-8" "x.csv:3: UTF-8 iconv" --class=c x.csv
{ printf 'a,b'; head -c 1 /dev/zero; printf '\n3,4\n'; } > x.csv
bad "a zero byte in a name" "x.csv:1: zero" --targets=a x.csv
iconv -f UTF-8 -t UTF-16LE hours.csv > x.csv
bad "UTF-16" "x.csv UTF-16LE iconv" --targets=load x.csv
{ printf 'a,b\n3,4\n5,'; head -c 1 /dev/zero; echo 6; } > x.csv
bad "a zero byte" "x.csv:3: zero" --targets=b x.csv
refused 66 "a missing table" "nowhere.csv" "$CAROUSEL" pack table -o bad.h5 --targets=b nowhere.csv

# ---- options that are refused ----

wrong "nothing to be said" "--class --targets --horizon" hours.csv
wrong "a context without a horizon" "--context --horizon" --context=3 hours.csv
wrong "a class and numbers" "--class --targets" --class=kind --targets=heat hours.csv
wrong "a forecast of a class" "--horizon --class" --class=kind --context=3 --horizon=1 hours.csv
wrong "a series that is everything" "--per-sequence --group" --class=kind --per-sequence hours.csv
wrong "a column that is not there" "--targets 'het' hours.csv load, heat" --targets=het hours.csv
wrong "a time that is not there" "--time 'when'" --time=when --targets=heat hours.csv
wrong "a column twice" "--inputs 'load' twice" --inputs=load,load --targets=heat hours.csv
wrong "a forecast of no input" "--targets 'heat' --inputs" --inputs=load --targets=heat --context=3 --horizon=1 hours.csv
wrong "two ways to cut" "--split-rows --split" --split=1,0,0 --split-rows=1,1,1 --targets=heat hours.csv
wrong "rows of groups" "--split-rows --group" --group=kind --split-rows=1,1,1 --targets=heat hours.csv
wrong "no rows" "--split-rows: 8640,2880,2880" --split-rows=1,2 --targets=heat hours.csv
wrong "a long delimiter" "--delimiter: tab" --delimiter=ab --targets=heat hours.csv
wrong "a digit as delimiter" "--delimiter: '1'" --delimiter=1 --targets=heat hours.csv
wrong "an empty name" "--inputs: --inputs=load,temperature" --inputs=load, --targets=heat hours.csv
wrong "an unknown way" "--missing: 'guess' error, forward, zero, drop" --missing=guess --targets=heat hours.csv
wrong "no file" "FILE.csv" --targets=heat
wrong "standard input twice" "-: once" --targets=heat - -
refused 64 "no output" "-o missing pack table" "$CAROUSEL" pack table --targets=heat hours.csv
refused 64 "the output is an input" "hours.csv" "$CAROUSEL" pack table -o hours.csv --targets=heat hours.csv

# ---- constant memory ----

awk 'BEGIN { print "who,x,y"; for (i = 0; i < 2000000; i++) print "p" i % 3 "," i % 1000 "," i % 7 }' > large.csv
pack_large() { (ulimit -d 40000 && "$CAROUSEL" pack table -o large.h5 --group=who --targets=y "$@" large.csv); }
expect 0 "$(($(wc -c < large.csv) / 1000000)) MB in 40 MB of memory, in mixed groups" pack_large --split=0.34,0.33,0.33
check "no temporary file is left" test -z "$(find . -name '.*.tmp' -o -name '.carousel*')"
finish
