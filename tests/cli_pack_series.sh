#!/bin/bash
# `carousel pack series` from the command line: series of the UEA/UCR archive, and which are refused.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

bad() { # NAME WORDS ARGUMENT...: refused with 65; nothing is written
    local name=$1 words=$2
    shift 2
    refused 65 "$name" "$words" "$CAROUSEL" pack series -o bad.h5 "$@"
    check "and nothing is written" test ! -e bad.h5
}
# ts FILE CLASSES LINE...: a file with this header, and these lines of data
ts() {
    local file=$1 classes=$2
    shift 2
    {
        echo '# made up'
        echo '@problemName test'
        echo '@timeStamps false'
        echo '@missing false'
        echo "@classLabel true $classes"
        echo '@data'
        printf '%s\n' "$@"
    } > "$file"
}

lines=()
for i in $(seq 20); do
    lines+=("$(seq -s, "$i" $((i + i % 4))):$(seq -s, 1 $((1 + i % 4))):$([ $((i % 2)) -eq 0 ] && echo even || echo odd)")
done
ts train.ts "even odd" "${lines[@]}"
ts test.ts "even odd" "5,6:7,8:even" "1:2:odd"
expect 0 "series" "$CAROUSEL" pack series -o data.h5 train.ts test.ts
says "what there is" "$err" "data.h5: 22 sequences of 53 steps, 2 numbers a step"
says "every tenth validates" "$err" "validation  2 sequences of 4 steps"
says "the rest is for training" "$err" "train       18 sequences of 46 steps"
says "test" "$err" "test        2 sequences of 3 steps"
says "what comes next" "$err" "next: carousel train data.h5 -o run"
wanted=$(digest data.h5 data)
sed 's/$/\r/; s/,/ , /g; s/@c/@C/' train.ts > dos.ts
expect 0 "blanks, carriage returns, capitals" "$CAROUSEL" pack series -o data.h5 dos.ts test.ts
equal "the same data" "$(digest data.h5 data)" "$wanted"
sed '1s/^/\xef\xbb\xbf/' train.ts > mark.ts
expect 0 "a byte order mark" "$CAROUSEL" pack series -o data.h5 mark.ts test.ts
equal "the same data" "$(digest data.h5 data)" "$wanted"
printf %s "$(cat train.ts)" > end.ts
pack_pipe() { cat end.ts | "$CAROUSEL" pack series -o data.h5 - test.ts; }
expect 0 "a pipe, the last line without an end" pack_pipe
equal "the same data" "$(digest data.h5 data)" "$wanted"
expect 0 "no validation" "$CAROUSEL" pack series -o data.h5 --validation=0 train.ts
says "all is for training" "$err" "train       20 sequences of 50 steps"
expect 0 "every fourth" "$CAROUSEL" pack series -o data.h5 --validation=0.25 train.ts test.ts
says "validates" "$err" "validation  5 sequences"

# ---- missing values ----

ts x.ts "a b" "1,?,3:4,5,NaN:a" "1,2:3,4:b"
bad "a value is missing" "x.ts:7: dimension 1, value 2 --missing" --validation=0 x.ts
expect 0 "taken as 0" "$CAROUSEL" pack series -o data.h5 --validation=0 --missing=zero x.ts
says "counted" "$err" "missing: 2 values, taken as 0"
expect 0 "the last one" "$CAROUSEL" pack series -o data.h5 --validation=0 --missing=forward x.ts
forward=$(digest data.h5 data)
expect 0 "steps left out" "$CAROUSEL" pack series -o data.h5 --validation=0 --missing=drop x.ts
says "counted" "$err" "dropped: 2 rows"
says "three are left" "$err" "2 sequences of 3 steps"
dropped=$(digest data.h5 data)
ts x.ts "a b" "1,1,3:4,5,5:a" "1,2:3,4:b"
expect 0 "by hand" "$CAROUSEL" pack series -o data.h5 --validation=0 x.ts
equal "the same as carried forward" "$(digest data.h5 data)" "$forward"
ts x.ts "a b" "1:4:a" "1,2:3,4:b"
expect 0 "by hand" "$CAROUSEL" pack series -o data.h5 --validation=0 x.ts
equal "the same as left out" "$(digest data.h5 data)" "$dropped"
ts x.ts "a b" "?,1:4,5:a" "1,2:3,4:b"
bad "none to carry forward" "x.ts:7: dimension 1 forward" --validation=0 --missing=forward x.ts
ts x.ts "a b" "?:4:a" "1,2:3,4:b"
bad "no step stays" "x.ts:7: stays" --validation=0 --missing=drop x.ts

# ---- what is refused ----

ts x.ts "a b" "1,2:3,4:a" "1,2:3:b"
bad "dimensions of unlike lengths" "x.ts:8: dimension 2 1 values 2" --validation=0 x.ts
ts x.ts "a b" "1,2:3,4:a" "1,2:b"
bad "a dimension too few" "x.ts:8: 1 dimensions 2" --validation=0 x.ts
ts x.ts "a b" "1,2:3,4:a" "1,2:3,x:b"
bad "text where a number should be" "x.ts:8: dimension 2, value 2 'x' number" --validation=0 x.ts
ts x.ts "a b" "1,2:3,4:a" "1,2:3,4:c"
bad "an unknown class" "x.ts:8: 'c' @classLabel" --validation=0 x.ts
ts x.ts "a b" "1,2:3,4:a" "1,2:3,4"
bad "no class" "x.ts:8: class" --validation=0 x.ts
ts x.ts "a b" "1,2:3,4:a" "1,2"
bad "neither colon nor class" "x.ts:8: class" --validation=0 x.ts
ts x.ts "a b" "1,2:3,4:a" "5,6:7,8:a"
ts y.ts "a b" "1,2:3,4:a" "1,2:3,4:b"
bad "a class that training never shows" "y.ts:8: 'b' training" --validation=0 x.ts y.ts
bad "one that stands in the header alone" "x.ts:5: 'b' training" --validation=0 x.ts
ts y.ts "a c" "1,2:3,4:a"
bad "another class to test" "y.ts:5: 'c' x.ts" --validation=0 x.ts y.ts
ts y.ts "a b" "1,2:a"
bad "other dimensions to test" "y.ts:7: 1 dimensions 2" --validation=0 x.ts y.ts
ts x.ts $'a \344' $'1,2:3,4:\344' "1,2:3,4:a"
bad "a class that is not UTF-8" "x.ts:5: UTF-8 iconv" --validation=0 x.ts
ts y.ts "a b" "1,2:3,4:a" "1,2:3,4:b" "1,2:3,4:b~"
tr '~' '\0' < y.ts > x.ts
bad "a zero byte behind a class" "x.ts:9: zero" --validation=0 x.ts
sed 's/true a/true a~/' y.ts | tr '~' '\0' > x.ts
bad "one in the header" "x.ts:5: zero" --validation=0 x.ts
ts x.ts "a b" "1,2:3,4:a" $'1,2:3,\344:b'
bad "a value that is not UTF-8" "x.ts:8: dimension 2, value 2 number" --validation=0 x.ts
ts x.ts $'\303\244 b' $'1,2:3,4:\303\244' "1,2:3,4:b"
expect 0 "classes in UTF-8" "$CAROUSEL" pack series -o utf8.h5 --validation=0 x.ts
ts x.ts "a a" "1,2:3,4:a"
bad "a class twice" "x.ts:5: 'a' twice" x.ts
for key in '@timeStamps true' '@targetLabel true' '@classLabel false' 'word'; do
    { echo "$key" && cat train.ts; } > x.ts
    bad "$key" "x.ts:1: ${key%% *}" x.ts
done
{ echo '@dimensions 3' && cat train.ts; } > x.ts
bad "another number of dimensions" "x.ts:8: 2 dimensions 3" x.ts
sed '/@classLabel/d' train.ts > x.ts
bad "no classes" "x.ts:5: @classLabel" x.ts
sed '/@data/,$d' train.ts > x.ts
bad "no data" "x.ts @data" x.ts
sed '/@data/q' train.ts > x.ts
bad "no series" "x.ts series" x.ts
bad "no series to test" "x.ts series" train.ts x.ts
: > x.ts
bad "an empty file" "x.ts @data" x.ts
head -c 3000 /dev/zero > x.ts
bad "no .ts file" "x.ts .ts" x.ts
refused 66 "a missing file" "nowhere.ts" "$CAROUSEL" pack series -o bad.h5 train.ts nowhere.ts
refused 64 "three files" "'x.ts'" "$CAROUSEL" pack series -o bad.h5 train.ts test.ts x.ts
refused 64 "no file" "TRAIN.ts" "$CAROUSEL" pack series -o bad.h5
refused 64 "too much to validate" "--validation: '0.6'" "$CAROUSEL" pack series -o bad.h5 --validation=0.6 train.ts
refused 64 "standard input twice" "-: once" "$CAROUSEL" pack series -o bad.h5 - -
check "no temporary file is left" test -z "$(find . -name '.*.tmp' -o -name '.carousel*')"
finish
