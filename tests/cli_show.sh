#!/bin/bash
# What `carousel show` tells of data sets and checkpoints, and what it refuses.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

for _ in $(seq 60); do
    printf 'The ring turns, and each rank adds its own: 0123456789.\n\tna\303\257ve caf\303\251, \342\202\254 5 \360\237\216\240\n'
done > words.txt

# show_line NAME BEGINNING TEXT: the line of $out that begins so has this text.
show_line() {
    if grep "^ *$2" "$out" | grep -qF -e "$3"; then
        pass "$1"
    else
        fail "$1" "no '$3' in the line '$2' of:"
        head -n 20 "$out"
    fi
}

# matches NAME FILE PATTERN...: line k of the file matches pattern k as a whole, and there are no more.
matches() {
    local name=$1 file=$2 number=0 pattern
    shift 2
    for pattern in "$@"; do
        number=$((number + 1))
        if ! sed -n "${number}p" "$file" | grep -qxE -e "$pattern"; then
            fail "$name" "line $number is '$(sed -n "${number}p" "$file")', not '$pattern'"
            return
        fi
    done
    equal "$name" "$(wc -l < "$file")" "$number"
}

# grouped NUMBER: 1234 as 1,234.
grouped() {
    echo "$1" | sed 's/\([0-9]\)\([0-9][0-9][0-9]\)$/\1,\2/'
}

hex='[0-9a-f]{32}'

# ---- a data set ----

expect 0 "packed" "$CAROUSEL" pack text --split=0.8,0.1,0.1 -o data.h5 words.txt
expect 0 "packed bytes" "$CAROUSEL" pack text --level=byte --split=1,0,0 -o bytes.h5 words.txt
expect 0 "data set shown" "$CAROUSEL" show data.h5
characters=$(wc -m < words.txt)
show_line "kind" "data.h5:" "a data set of tokens"
show_line "source" "source" "words.txt"
show_line "level" "level" "char"
show_line "tokens" "tokens" "$(grouped "$characters")"
says "letters as ranges" "$out" "0-9"
says "blanks have names" "$out" '\t \n space'
says "others stand as they are" "$out" "🎠"
show_line "share of the training split" "train" "80.0"
show_line "share of the test split" "test" "10.0"
expect 0 "bytes shown" "$CAROUSEL" show bytes.h5
show_line "the level byte has no list" "vocabulary" "256 bytes"
show_line "an empty split" "validation" "0.00 %"

expect 0 "digest of data" "$CAROUSEL" show --digest data.h5
matches "one line of digest" "$out" "data $hex"
cp data.h5 copy.h5
equal "a copy has the same digest" "$(digest copy.h5 data)" "$(digest data.h5 data)"
differ "other data have another" "$(digest bytes.h5 data)" "$(digest data.h5 data)"

expect 0 "data set as JSON" "$CAROUSEL" show --json data.h5
matches "one object" "$out" "\{.*\}"
says "JSON: format" "$out" '"format":"carousel/tokens"'
says "JSON: tokens" "$out" "\"tokens\":$characters,"
says "JSON: splits" "$out" '"splits":{"train":{"tokens":'
says "JSON: digest" "$out" "\"data_digest\":\"$(digest data.h5 data)\""

# ---- a checkpoint ----

rm copy.h5
expect 0 "trained" "$CAROUSEL" train data.h5 -o run --cell=gru --hidden=8 --layers=2 --embed=4 --batch=4 --window=10 \
    --steps=6 --save-every=3 --threads=1 --rate=0.01
before=$(fingerprint data.h5 run)
expect 0 "checkpoint shown" "$CAROUSEL" show run/last.h5
show_line "kind of file" "run/last.h5:" "a checkpoint, whole"
show_line "model" "model" "gru, 2 layers of 8 units, an embedding of 4, "
show_line "steps" "trained" "6 steps"
show_line "loss" "validation" "bits a character"
show_line "optimizer" "optimizer" "adam"
show_line "data" "data " "$(digest data.h5 data)"
show_line "parameters digest" "digests" "$(digest run/last.h5 parameters)"
show_line "state digest" "state  " "$(digest run/last.h5)"
show_line "a tensor" "layers/0/weight_ih " "24 x 4"
show_line "a tensor of the gru" "layers/1/bias_hh " "24"
show_line "a moment" "adam/first_moment/layers/1/weight_hh " "24 x 8"
show_line "the configuration" "hidden " "8"
show_line "the rate" "rate " "0.01"
tokens=$(sed -n 's/^ *model .* \([0-9]*\) characters$/\1/p' "$out")
count=$((tokens * 4 + 24 * (4 + 8 + 2) + 24 * (8 + 8 + 2) + tokens * 9))
show_line "parameters" "parameters " "$(grouped "$count")"

expect 0 "digests" "$CAROUSEL" show --digest run/last.h5
matches "two lines of digest" "$out" "parameters $hex" "state $hex"
differ "another step has another digest" "$(digest run/step-00000003.h5)" "$(digest run/step-00000006.h5)"
equal "last.h5 is the last" "$(digest run/last.h5)" "$(digest run/step-00000006.h5)"

expect 0 "checkpoint as JSON" "$CAROUSEL" show --json run/last.h5
matches "one object of a checkpoint" "$out" "\{.*\}"
says "JSON: cell" "$out" '"cell":"gru","hidden":8,"layers":2,"embed":4,'
says "JSON: step" "$out" '"step":6,'
says "JSON: parameters" "$out" "\"parameters\":$count,"
says "JSON: digest of the state" "$out" "\"state_digest\":\"$(digest run/last.h5)\""
says "JSON: configuration" "$out" '"hidden":"8"'
says "JSON: a tensor" "$out" '"name":"/model/output/bias","type":"float32","shape":['
equal "nothing has changed" "$(fingerprint data.h5 run)" "$before"

# A checkpoint's vocabulary is written as a data set's.
expect 0 "packed by a checkpoint's vocabulary" "$CAROUSEL" pack text --vocabulary=run/last.h5 -o again.h5 \
    --split=0.8,0.1,0.1 words.txt
equal "the same data" "$(digest again.h5 data)" "$(digest data.h5 data)"

# ---- standard output that fails ----

expect 73 "a full standard output" bash -c '"$CAROUSEL" show run/last.h5 > /dev/full'
check "a reader that goes away" bash -c 'set -o pipefail; { "$CAROUSEL" show run/last.h5 || [ $? -ne 139 ]; } | head -n 1'

# ---- what is refused ----

refused 64 "no file" "FILE.h5" "$CAROUSEL" show
refused 64 "two files" "data.h5" "$CAROUSEL" show run/last.h5 data.h5
refused 64 "an unknown option" "--colour" "$CAROUSEL" show --colour data.h5
refused 64 "two forms at once" "--json --digest" "$CAROUSEL" show --json --digest data.h5
refused 66 "a missing file" "nowhere.h5" "$CAROUSEL" show nowhere.h5
refused 66 "a folder" "run last.h5" "$CAROUSEL" show run
: > empty.h5
refused 65 "an empty file" "empty.h5 empty" "$CAROUSEL" show empty.h5
refused 65 "a text" "words.txt HDF5" "$CAROUSEL" show words.txt
size=$(stat -c %s run/last.h5)
head -c $((size - 100)) run/last.h5 > short.h5
refused 65 "a truncated checkpoint" "short.h5" "$CAROUSEL" show short.h5
head -c $(($(stat -c %s data.h5) / 2)) data.h5 > short-data.h5
refused 65 "a truncated data set" "short-data.h5" "$CAROUSEL" show short-data.h5

# flip FILE OUT OFFSET COUNT: bytes turned into others.
flip() {
    cp "$1" "$2"
    head -c "$4" < <(yes '#') | dd of="$2" bs=1 seek="$3" conv=notrunc status=none
}
flip run/last.h5 damaged.h5 $((size / 2)) 16
refused 65 "a damaged checkpoint" "damaged.h5 hash" "$CAROUSEL" show damaged.h5
refused 65 "a damaged checkpoint has no digest" "damaged.h5" "$CAROUSEL" show --digest damaged.h5
# Some places are padding; at any other, no digest may be told.
caught=0 tried=0
data_size=$(stat -c %s data.h5)
for place in $(seq 200 $((data_size / 12)) $((data_size - 100))); do
    flip data.h5 damaged-data.h5 "$place" 32
    "$CAROUSEL" show --digest damaged-data.h5 > shown 2> /dev/null
    case $? in
        0) [ "$(sed -n 's/^data //p' shown)" = "$(digest data.h5 data)" ] || tried=-100 ;;
        65) caught=$((caught + 1)) ;;
        *) tried=-100 ;;
    esac
    tried=$((tried + 1))
done
check "damaged data sets: $caught of $tried places found, none believed" test "$caught" -gt 2 -a "$tried" -gt 5

finish
