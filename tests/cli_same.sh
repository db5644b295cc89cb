#!/bin/bash
# Ranks that are, have or come to something else than the others: another build, a flipped bit, no memory, no data, numbers
# that are none. They are named, all leave together and soon, and what was saved is good.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text -q --split=0.9,0.1,0 -o data.h5 text.txt || exit 99
small=(train data.h5 --cell=gru --hidden=11 --layers=1 --batch=9 --window=8 --threads=1 --quiet)
expect 0 "undisturbed" "$CAROUSEL" "${small[@]}" --steps=200 --save-every=20 -o whole
state=$(digest whole/last.h5)

# soon STATUS NAME WORDS COMMAND...: as `refused`, of several ranks, within 10 seconds.
soon() {
    local wanted=$1 name=$2 words=$3 word start
    shift 3
    start=$(date +%s)
    run timeout -s KILL 60 bash -c "$(declare -f ranks); launcher_flags=(${launcher_flags[*]}); "'"$@"' - "$@"
    equal "$name: $wanted" "$status" "$wanted"
    check "$name: within 10 seconds" test $(($(date +%s) - start)) -le 10
    equal "$name: one line" "$(grep -c '^carousel: ' "$err")" 1
    for word in $words; do
        says "$name: tells $word" "$err" "${word//_/ }"
    done
}
export MPIRUN

# ---- another build ----

soon 64 "another build" "rank_1: build with_faults -v_--version" ranks 1 "$CAROUSEL" "${small[@]}" --steps=2 -o bad : \
    -n 1 "$CAROUSEL_FAULTS" "${small[@]}" --steps=2 -o bad
soon 64 "another build evaluates" "rank_2: build" ranks 2 "$CAROUSEL" eval whole/last.h5 data.h5 : \
    -n 1 "$CAROUSEL_FAULTS" eval whole/last.h5 data.h5
check "nothing was made" test ! -e bad
expect 0 "the build is told" "$CAROUSEL" -v --version
check "as a hash" grep -Eqx 'build [0-9a-f]{16}' "$out"
for option in --rate=0.1 --seed=7 --hidden=12 --check-every=9; do
    name=${option%%=*}
    name=${name#--}
    soon 78 "another $option" "rank_1: ${name}_=_ ${option#*=}_here" ranks 1 "$CAROUSEL" "${small[@]}" --steps=2 -o bad : \
        -n 1 "$CAROUSEL" "${small[@]}" --steps=2 -o bad $option
done

# ---- a bit that flips in the parameters of the last rank, after step 25 ----

# flipped FAULT RANKS OPTION...
flipped() {
    run ranks "$2" env CAROUSEL_FAULT="$1" "$CAROUSEL_FAULTS" "${small[@]}" --steps=200 "${@:3}"
}
for n in 2 3; do
    flipped flip-bit $n --save-every=20 --check-every=10 -o flip-$n
    equal "$n ranks: a flipped bit" "$status" 0
    says "$n ranks: is found at the next comparison" "$err" "step 30: the parameters of rank"
    says "$n ranks: the run goes back" "$err" "goes back to step 20, its last checkpoint"
    equal "$n ranks: once" "$(grep -c '^carousel: warning: ' "$err")" 1
    equal "$n ranks: to the same state" "$(digest flip-$n/last.h5)" "$state"
    equal "$n ranks: each line once" "$(sed 's/^{"step": \([0-9]*\),.*/\1/' flip-$n/metrics.jsonl)" "$(seq 200)"
done
says "of three, the one is named" "$err" "of rank 2 (on "
flipped flip-bit 3 --save-every=20 --check-every=0 -o unchecked
equal "before a checkpoint it is looked for in any case" "$status" 0
says "there" "$err" "step 40: the parameters of rank 2"
equal "so that none is spoilt" "$(digest unchecked/last.h5)" "$state"
flipped flip-bit-again 3 --save-every=20 --check-every=10 -o again
equal "one that flips again and again ends the run" "$status" 70
says "naming its rank" "$err" "of rank 2 (on "
expect 0 "the same command goes on elsewhere" ranks 3 "$CAROUSEL" "${small[@]}" --steps=200 --save-every=20 -o again
equal "to the same state" "$(digest again/last.h5)" "$state"

# ---- numbers that are none, at one rank ----

soon 78 "numbers that are none at one rank" "10_times_in_a_row,_each_time_by_the_rows_of_rank_1_alone" \
    ranks 3 env CAROUSEL_FAULT=refuse "$CAROUSEL_FAULTS" "${small[@]}" --steps=200 -o refused
expect 78 "at all" ranks 2 "$CAROUSEL" "${small[@]}" --steps=200 --rate=1e30 --clip=0 -o diverged
check "no rank is named" test "$(grep -c 'alone' "$err")" -eq 0

# ---- memory, at one rank ----

# As much as the program takes to start, and no more than a little besides.
if ! (ulimit -v 4000000 && "$CAROUSEL" --version) > /dev/null 2>&1 || grep -q __asan_init "$CAROUSEL"; then
    skip "a limit on memory (ulimit -v): the program can't start with one"
else
    large=(train data.h5 --hidden=1500 --batch=8 --window=8 --threads=1 --quiet --steps=2)
    for rank in 0 1; do
        limits=(unlimited unlimited)
        limits[rank]=600000
        soon 70 "no memory at rank $rank" "rank_$rank: memory" ranks 1 bash -c "ulimit -v ${limits[0]}; "'exec "$@"' - "$CAROUSEL" "${large[@]}" -o much : \
            -n 1 bash -c "ulimit -v ${limits[1]}; "'exec "$@"' - "$CAROUSEL" "${large[@]}" -o much
    done
    check "nothing was made" test ! -e much
fi

# ---- data that one rank can't read, from the start or on the way ----

mkdir A B
cp data.h5 A
cp data.h5 B
rm B/data.h5
soon 66 "no data at rank 1" "rank_1: data.h5" ranks 1 -wdir "$WORK/A" "$CAROUSEL" "${small[@]}" --steps=2 -o bad : \
    -n 1 -wdir "$WORK/B" "$CAROUSEL" "${small[@]}" --steps=2 -o bad
head -c 9000 A/data.h5 > B/data.h5
soon 65 "half of the data at rank 1" "rank_1: data.h5" ranks 1 -wdir "$WORK/A" "$CAROUSEL" "${small[@]}" --steps=2 -o bad : \
    -n 1 -wdir "$WORK/B" "$CAROUSEL" "${small[@]}" --steps=2 -o bad
for ((i = 0; i < 300; i++)); do cat text.txt; done > long.txt
"$CAROUSEL" pack text -q --split=1,0,0 -o A/long.h5 long.txt || exit 99
cp A/long.h5 B/long.h5
long=(train long.h5 --cell=rnn --hidden=8 --layers=1 --batch=4 --window=500 --threads=1 --save-every=1h --quiet --steps=1000000 -o "$WORK/on-the-way")
ranks 1 -wdir "$WORK/A" "$CAROUSEL" "${long[@]}" : -n 1 -wdir "$WORK/B" "$CAROUSEL" "${long[@]}" > /dev/null 2> way.err &
launcher=$!
for ((i = 0; i < 400; i++)); do
    [ -s on-the-way/metrics.jsonl ] && break
    sleep 0.05
done
truncate -s 300000 B/long.h5
start=$(date +%s)
wait "$launcher"
equal "data that shrinks at rank 1 alone" $? 65
check "ends the run within 10 seconds" test $(($(date +%s) - start)) -le 10
says "naming it" way.err "carousel: rank 1: long.h5"
says "and what is saved" way.err "is saved in"
check "which is whole" "$CAROUSEL" show on-the-way/last.h5

finish
