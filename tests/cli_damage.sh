#!/bin/bash
# Files that are damaged, one data set after the other: `show --verify` finds it, and a run goes on from the newest good
# checkpoint, saying what is wrong with those that it passes over.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99
flip_set=$(dirname "$CAROUSEL")/flip_set
export OMPI_MCA_ess_singleton_isolated=1

text 4000 > text.txt
"$CAROUSEL" pack text -q --split=0.8,0.1,0.1 -o data.h5 text.txt || exit 99
{
    echo 'who,x,y'
    for i in $(seq 0 999); do echo "p$((i / 40)),$i,$((i * i % 17))"; done
} > table.csv
"$CAROUSEL" pack table -q --group=who --targets=y -o table.h5 table.csv || exit 99
small=(--cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --quiet)
train=(train data.h5 "${small[@]}" --save-every=10 --validate-every=20)
"$CAROUSEL" "${train[@]}" --steps=40 -o whole || exit 99
expect 0 "undisturbed" "$CAROUSEL" "${train[@]}" --steps=60 -o on
state=$(digest on/last.h5)

verified() {
    expect 0 "$1: whole" "$CAROUSEL" show --verify "$1"
    equal "$1: in a line" "$(wc -l < "$out")" 1
    says "$1: which says so" "$out" "$1: a $2, whole"
}
verified data.h5 "data set of tokens"
verified table.h5 "data set of sequences"
verified whole/last.h5 checkpoint
refused 64 "with --json" "--verify --json" "$CAROUSEL" show --verify --json data.h5
refused 66 "a file that is not there" "none.h5" "$CAROUSEL" show --verify none.h5

# ---- a flipped bit in each data set ----

for file in data.h5 table.h5 whole/last.h5; do
    count=0
    noticed=0
    while cp "$file" flipped.h5 && path=$("$flip_set" flipped.h5 $count); do
        count=$((count + 1))
        run "$CAROUSEL" show --verify flipped.h5
        if [ "$status" -eq 65 ] && grep -qF "flipped.h5: " "$err" && grep -qF "$path" "$err"; then
            noticed=$((noticed + 1))
        else
            fail "$file: a flipped bit in $path" "$(cat "$out" "$err")"
        fi
    done
    check "$file: there are some data sets" test "$count" -ge 4
    equal "$file: a flipped bit in each of them is noticed, by name" "$noticed" "$count"
done

# ---- the newest checkpoint ----

# spoilt NAME WORDS COMMAND...: the command spoils run/step-00000040.h5, and with it last.h5; WORDS is told of it.
spoilt() {
    local name=$1 words=$2
    shift 2
    rm -rf run
    cp -a whole run
    "$@"
    expect 0 "$name: the run goes on" "$CAROUSEL" "${train[@]}" --steps=60 -o run
    equal "$name: which is passed over, once" "$(grep -c '^carousel: warning: .*; passed over' "$err")" 1
    for word in $words; do
        says "$name: tells $word" "$err" "${word//_/ }"
    done
    equal "$name: to the same state" "$(digest run/last.h5)" "$state"
    equal "$name: each line once" "$(sed 's/^{"step": \([0-9]*\),.*/\1/' run/metrics.jsonl)" "$(seq 60)"
}
newest=run/step-00000040.h5
for bytes in 1 100 2000 10000; do
    spoilt "$bytes bytes are left" "$newest passed_over" truncate -s $bytes $newest
done
spoilt "one byte is missing" "$newest passed_over" truncate -s -1 $newest
spoilt "it is empty" "$newest is_empty passed_over" truncate -s 0 $newest
spoilt "it is something else" "$newest no_HDF5" eval 'cat text.txt > $newest'
spoilt "it is a data set" "$newest a_data_set" cp --remove-destination data.h5 $newest
newer() { "$flip_set" --version $newest; }
spoilt "it is of a version to come" "$newest version_2 newer" newer
for ((n = 0; n < 40; n++)); do
    rm -rf run
    cp -a whole run
    path=$("$flip_set" $newest $n) || break
    expect 0 "a flipped bit in $path: the run goes on" "$CAROUSEL" "${train[@]}" --steps=60 -o run
    says "a flipped bit in $path: it is told" "$err" "$path"
    equal "a flipped bit in $path: to the same state" "$(digest run/last.h5)" "$state"
done
check "there were some" test "$n" -ge 20
spoilt_all() { for file in run/*.h5; do truncate -s 3000 "$file"; done; }
rm -rf run
cp -a whole run
spoilt_all
refused 65 "none is left" "none step-00000040.h5 --fresh" bash -c '"$@" 2> all.err; s=$?; grep "^carousel: [^w]" all.err >&2; exit $s' - \
    "$CAROUSEL" "${train[@]}" --steps=60 -o run

# Deleted, or replaced, while it is read: what is open stays, and what is not yet is passed over.
if command -v strace > /dev/null && strace -qq -o log true; then
    rm -rf run
    cp -a whole run
    rm run/last.h5
    expect 0 "it goes between being listed and read" strace -f -qq -o log -P "$PWD/$newest" -P $newest -e trace=openat,open \
        -e inject=openat,open:error=ENOENT:when=3+ "$CAROUSEL" "${train[@]}" --steps=60 -o run
    says "it is told" "$err" "$newest: "
    equal "and the run comes to the same" "$(digest run/last.h5)" "$state"
else
    skip "a checkpoint that goes while it is read: strace is missing (on Debian: apt-get install strace), or may not trace"
fi

finish
