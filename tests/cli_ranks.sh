#!/bin/bash
# Ranks that were told, or find, something else than rank 0: nothing is made of a mixture. And data that change while they
# are trained on.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

mkdir A B
text 6000 > A/text.txt
{ tail -c 3000 A/text.txt; head -c 3000 A/text.txt; } > B/text.txt # the same characters in another order
for folder in A B; do
    (cd "$folder" && "$CAROUSEL" pack text -q -o data.h5 text.txt) || exit 99
done
{ cat A/text.txt; echo XYZ; } > more.txt
"$CAROUSEL" pack text -q -o B/more.h5 more.txt || exit 99
head -c 4000 A/text.txt > short.txt
"$CAROUSEL" pack text -q --vocabulary=A/data.h5 -o B/short.h5 short.txt || exit 99
cp A/data.h5 A/more.h5
cp A/data.h5 A/short.h5
cp A/data.h5 B/copy.h5

small=(--hidden=11 --threads=1 --steps=6 --quiet)

# Each rank in a folder of its own: both NAME OPTION... is one command, but for what rank 1 is told besides.
both() {
    local command=$1
    shift
    ranks 1 -wdir "$WORK/A" "$CAROUSEL" "$command" "$@" : -n 1 -wdir "$WORK/B" "$CAROUSEL" "$command" "$@"
}
# beside A... -- B...: carousel A at rank 0, carousel B at rank 1.
beside() {
    local first=()
    while [ "$1" != -- ]; do
        first+=("$1")
        shift
    done
    shift
    ranks 1 "$CAROUSEL" "${first[@]}" : -n 1 "$CAROUSEL" "$@"
}
# unlike STATUS NAME WORDS COMMAND...: as `refused`, of a command of more ranks.
unlike() {
    local wanted=$1 name=$2 words=$3 word
    shift 3
    run timeout 60 bash -c "$(declare -f ranks both beside); launcher_flags=(${launcher_flags[*]}); "'"$@"' - "$@"
    equal "$name: $wanted" "$status" "$wanted"
    equal "$name: one line" "$(grep -c '^carousel: ' "$err")" 1
    for word in $words; do
        check "$name: tells $word" grep -q "^carousel: .*$word" "$err"
    done
}
export CAROUSEL MPIRUN WORK

# ---- the data ----

for data in data more short; do
    unlike 65 "$data.h5 is another file at rank 1" "rank.1 $data.h5 digest same.file" both train "$data.h5" -o "$WORK/bad" "${small[@]}"
done
check "nothing was made" test ! -e bad
expect 0 "alone" "$CAROUSEL" train A/data.h5 -o one "${small[@]}"
unlike 65 "evaluation of other data" "rank.1 data.h5 same.file" both eval --streams=4 "$WORK/one/last.h5" data.h5
check "no number" test ! -s "$out"
# A copy whose tokens are spoilt under the hashes that it states.
cp A/data.h5 A/spoilt.h5
cp A/data.h5 B/spoilt.h5
printf '\1%.0s' $(seq 1500) | dd of=B/spoilt.h5 bs=1 seek=6000 conv=notrunc status=none
unlike 65 "tokens spoilt at rank 1" "rank.1 spoilt.h5" both train spoilt.h5 -o "$WORK/bad" "${small[@]}"
check "nothing was made of spoilt tokens" test ! -e bad
unlike 65 "evaluation of tokens spoilt at rank 1" "rank.1 spoilt.h5" both eval --streams=4 --split=train "$WORK/one/last.h5" spoilt.h5

unlike 66 "data that rank 1 has not" "rank.1 only.h5" beside train A/data.h5 -o bad "${small[@]}" -- train only.h5 -o bad "${small[@]}"
unlike 66 "data that rank 0 has not" "rank.0 only.h5" beside train only.h5 -o bad "${small[@]}" -- train A/data.h5 -o bad "${small[@]}"
run beside train A/data.h5 -o two "${small[@]}" -- train B/copy.h5 -o two "${small[@]}" --threads=2
equal "a copy under another name will do, and other threads" "$status" 0
equal "the same bits" "$(digest two/last.h5)" "$(digest one/last.h5)"
run both train data.h5 -o "$WORK/one" "${small[@]}" --steps=8
equal "other data for a run that goes on" "$status" 65

# ---- the configuration and the command ----

printf 'hidden = 11\n' > a.ini
printf 'hidden = 12\n' > b.ini
cp a.ini c.ini
few=(train A/data.h5 -o bad --threads=1 --steps=6 --quiet)
unlike 78 "other contents of --config" "rank.1 hidden...11 hidden...12 --config" beside "${few[@]}" --config=a.ini -- "${few[@]}" --config=b.ini
run beside "${few[@]}" -o ini --config=a.ini -- "${few[@]}" -o ini --config=c.ini
equal "the same under another name will do" "$status" 0
unlike 78 "another option" "rank.1 window...50 window...40" beside "${few[@]}" -- "${few[@]}" --window=40
unlike 78 "one that is the default" "rank.1 batch...50 by.default" beside "${few[@]}" -- "${few[@]}" --batch=50
unlike 78 "another RUN" "rank.1 output" beside "${few[@]}" -- "${few[@]}" -o worse
unlike 64 "an option that is none" "rank.1 --hiden" beside "${few[@]}" -- "${few[@]}" --hiden=3
unlike 64 "no RUN" "rank.1 -o.is.missing" beside "${few[@]}" -- train A/data.h5 --quiet
unlike 66 "no --config" "rank.1 none.ini" beside "${few[@]}" -- "${few[@]}" --config=none.ini
unlike 64 "another command" "rank.1 eval train" beside "${few[@]}" -- eval one/last.h5 A/data.h5
unlike 64 "help at one rank" "rank.1 train" beside "${few[@]}" -- train --help
unlike 64 "no command" "rank.1" beside "${few[@]}" -- trian
unlike 64 "evaluation in other streams" "rank.1 streams" beside eval one/last.h5 A/data.h5 --streams=4 -- eval one/last.h5 A/data.h5 --streams=5
unlike 78 "a benchmark of another size" "rank.1 vocabulary...9" beside bench --quiet --vocabulary=8 -- bench --quiet --vocabulary=9
unlike 64 "an instruction set that is none" "rank.1 CAROUSEL_ISA" ranks 1 "$CAROUSEL" "${few[@]}" : -n 1 -x CAROUSEL_ISA=v5 "$CAROUSEL" "${few[@]}"
check "nothing was made" test ! -e bad

# ---- data that change while they are trained on ----

# Rows so long that each is read in pieces, the second of them after 524 steps.
for ((i = 0; i < 12; i++)); do
    cat A/text.txt A/text.txt A/text.txt A/text.txt A/text.txt A/text.txt A/text.txt A/text.txt A/text.txt A/text.txt
done > ten.txt
cat ten.txt ten.txt ten.txt ten.txt > long.txt
"$CAROUSEL" pack text -q --split=1,0,0 -o good.h5 long.txt || exit 99
wide=(--cell=rnn --hidden=8 --layers=1 --batch=3 --window=500 --threads=1 --save-every=1h --quiet)
for n in 1 2 3; do
    cp good.h5 long.h5
    "$MPIRUN" "${launcher_flags[@]}" -n "$n" "$CAROUSEL" train long.h5 "${wide[@]}" --steps=600 -o "long-$n" > /dev/null 2> "long-$n.err" &
    launcher=$!
    for ((i = 0; i < 400; i++)); do
        [ -e "long-$n/last.h5" ] && break
        sleep 0.05
    done
    head -c 800000 /dev/zero | tr '\0' '\377' | dd of=long.h5 bs=1000 seek=300 conv=notrunc 2> /dev/null
    wait "$launcher"
    equal "$n ranks: data that change end the run" $? 65
    says "$n ranks: it says which" "long-$n.err" "long.h5"
    says "$n ranks: and what is saved" "long-$n.err" "is saved in long-$n"
    at=$(wc -l < "long-$n/metrics.jsonl")
    equal "$n ranks: the last good step" "$(cd "long-$n" && printf '%s\n' step-*.h5 | tail -n 1)" "$(printf 'step-%08d.h5' "$at")"
    if [ "$at" -gt 0 ]; then # on a busy machine they may change before the first read
        "$CAROUSEL" train good.h5 "${wide[@]}" --steps="$at" -o "good-$n"
        equal "$n ranks: as if they had not" "$(digest "long-$n/last.h5")" "$(digest "good-$n/last.h5")"
    fi
    expect 0 "$n ranks: goes on where they are good" "$CAROUSEL" train good.h5 "${wide[@]}" --steps=530 -o "long-$n"
done

finish
