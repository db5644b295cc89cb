#!/bin/bash
# Where options may stand and how they may be written; help, versions, standard streams; once over ranks. What is refused:
# cli_usage.sh.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 3000 > text.txt
"$CAROUSEL" pack text -o data.h5 text.txt 2> /dev/null || exit 99
small=(--hidden=8 --layers=1 --batch=8 --window=10 --threads=1 --steps=2)
"$CAROUSEL" train data.h5 -o run "${small[@]}" --quiet || exit 99
model=run/last.h5
json=$("$CAROUSEL" eval --json --quiet $model data.h5)

# ---- options anywhere ----

expect 0 "quiet before the command" "$CAROUSEL" --quiet pack text -o quiet.h5 text.txt
check "it is" test ! -s "$err"
expect 0 "verbose before the command" "$CAROUSEL" -v sample $model --length=3
expect 0 "cut short" "$CAROUSEL" --qui pack text -o quiet.h5 text.txt
check "it is quiet too" test ! -s "$err"
expect 0 "the last one counts" "$CAROUSEL" --verbose pack -q text -o quiet.h5 text.txt
check "so it is quiet" test ! -s "$err"
for line in "--json $model data.h5" "$model --json data.h5" "$model data.h5 --js" "-q $model --json -- data.h5" \
    "$model data.h5 --json --streams 1" "--split=test $model --spl test data.h5 --json" "-qv --json $model data.h5 --quiet"; do
    # shellcheck disable=SC2086
    expect 0 "eval $line" "$CAROUSEL" eval $line
    equal "the same: eval $line" "$(cat "$out")" "$json"
done
POSIXLY_CORRECT=1 expect 0 "also where POSIXLY_CORRECT is set" "$CAROUSEL" eval $model data.h5 --json
equal "the same" "$(cat "$out")" "$json"
cp $model -- -dash.h5
expect 0 "a file that begins with a dash" "$CAROUSEL" show --digest -- -dash.h5
refused 66 "options end at --" "--json" "$CAROUSEL" show --digest -- --json
expect 0 "a value that begins with a dash" "$CAROUSEL" sample --length 2 --temperature=0 --seed 3 $model
refused 65 "it is a value" "--prime '-'" "$CAROUSEL" sample $model --prime -quiet
expect 0 "-o and its value in one" "$CAROUSEL" pack text -qoone.h5 text.txt
check "it was written" test -s one.h5

refused 64 "one dash for two" "-hidden=8 --hidden=8" "$CAROUSEL" train data.h5 -o bad -hidden=8
refused 64 "one dash for two, before help" "-json --json" "$CAROUSEL" show -json $model
refused 64 "a shortened name is told in full" "--hid --hidden '0'" "$CAROUSEL" train data.h5 -o bad --hid=0
refused 64 "also with a value of its own" "--hid --hidden 'x'" "$CAROUSEL" train data.h5 -o bad --hid x
refused 64 "also where the value is missing" "--hid --hidden=N" "$CAROUSEL" train data.h5 -o bad --hid
refused 64 "a letter no one has" "-Z train" "$CAROUSEL" train data.h5 -o bad -qZ
refused 64 "a letter of two bytes" "-é" "$CAROUSEL" train data.h5 -o bad -é
refused 64 "what others call it" "--learning-rate --rate" "$CAROUSEL" train data.h5 -o bad --learning-rate=1
refused 64 "what others call it" "--batch_size --batch" "$CAROUSEL" train data.h5 -o bad --batch_size=1
refused 64 "before the command: unknown" "--hlep --help" "$CAROUSEL" --hlep
refused 64 "before the command: ambiguous" "ambiguous --ver" "$CAROUSEL" --ver
refused 64 "before the command: of another" "--hidden=8 before the command" "$CAROUSEL" --hidden=8 train data.h5 -o bad
refused 64 "before the command: a dash alone" "unknown option" "$CAROUSEL" -
refused 64 "options alone" "command missing" "$CAROUSEL" --quiet
check "no run" test ! -e bad

# ---- help and version ----

for line in --help -h help "help help" "--quiet --help" --hel "--help trian"; do
    # shellcheck disable=SC2086
    expect 0 "carousel $line" "$CAROUSEL" $line
    says "it lists the commands" "$out" "  sample   "
done
expect 0 "version" "$CAROUSEL" --version
check "a name and a number" grep -Eqx 'carousel [0-9]+\.[0-9]+\.[0-9]+' "$out"
for command in pack train eval sample show bench; do
    "$CAROUSEL" $command --help > "$command.help"
    expect 0 "help $command" "$CAROUSEL" help $command
    check "the same as $command --help" cmp -s "$out" "$command.help"
    expect 0 "$command: help beside other options" "$CAROUSEL" $command -q --help --nonsense
    check "at most 80 columns: $command" test "$(wc -L < "$command.help")" -le 80
    says "a summary of $command" "$command.help" "Usage: carousel $command "
    says "an example of $command" "$command.help" "  carousel $command"
    if [ "$command" = pack ]; then # its kinds have the options
        for kind in $(sed -n '/^Kinds:/,/^$/s/^  \([a-z]*\) .*/\1/p' pack.help); do
            expect 0 "help pack $kind" "$CAROUSEL" help pack "$kind"
            "$CAROUSEL" pack "$kind" --help > kind.help
            check "the same as pack $kind --help" cmp -s "$out" kind.help
            check "at most 80 columns: pack $kind" test "$(wc -L < kind.help)" -le 80
            says "a summary of pack $kind" kind.help "Usage: carousel pack $kind "
            says "an example of pack $kind" kind.help "  carousel pack $kind"
            cat kind.help >> pack.help
        done
    fi
    for option in $(grep -o '^  -., --[a-z0-9-]*\|^      --[a-z0-9-]*' "$command.help" | grep -o -e '--.*'); do
        check "the manual page has $command $option" \
            grep -q -e "$(printf '%s' "$option" | sed 's/-/\\\\-/g')" "$srcdir/docs/carousel.1"
    done
done
refused 64 "help for too much" "'eval'" "$CAROUSEL" help train eval

# ---- standard streams ----

closed() { "$@" >&-; }
before=$(fingerprint $model data.h5)
refused 73 "closed: help" "standard output" closed "$CAROUSEL" --help
refused 73 "closed: show" "standard output" closed "$CAROUSEL" show --quiet $model
refused 73 "closed: eval" "standard output" closed "$CAROUSEL" eval --quiet $model data.h5
refused 73 "closed: eval --json" "standard output" closed "$CAROUSEL" eval --quiet --json $model data.h5
refused 73 "closed: sample" "standard output" closed "$CAROUSEL" sample $model
equal "nothing was written into the files read" "$(fingerprint $model data.h5)" "$before"
check "the checkpoint is whole" "$CAROUSEL" show $model
no_input() { "$@" <&-; }
refused 66 "closed standard input" "standard input" no_input "$CAROUSEL" pack text -o none.h5 -
check "nothing was packed" test ! -e none.h5
"$CAROUSEL" pack text -o deaf.h5 text.txt 2>&-
equal "closed standard error" $? 0
equal "what was packed is the same" "$(digest deaf.h5 data)" "$(digest data.h5 data)"

# A reader that goes away is no news.
for command in "sample $model --length=1000000" "show $model" "eval $model data.h5 -q"; do
    # shellcheck disable=SC2086
    "$CAROUSEL" $command 2> pipe.err | true
    equal "a closed pipe: $command" "${PIPESTATUS[0]}, $(cat pipe.err)" "73, "
done
"$CAROUSEL" sample $model --length=1000000 2> pipe.err | head -c 5 > head.out
equal "head: five characters" "$(wc -c < head.out)" 5
check "and not a word" test ! -s pipe.err
if [ -c /dev/full ]; then
    "$CAROUSEL" sample $model --length=1000000 > /dev/full 2> full.err
    equal "a full device: the status" $? 73
    says "a full device: the reason" full.err "No space left"
    "$CAROUSEL" eval $model data.h5 --json --quiet > /dev/full 2> full.err
    says "a full device: eval" full.err "No space left"
fi

# ---- results ----

expect 0 "eval for people" "$CAROUSEL" eval $model data.h5
equal "four figures" "$(sed 's/ .*//' "$out" | tr '\n' ' ')" "split predictions nats bits perplexity "
equal "exactly these keys" "$(printf '%s' "$json" | grep -o '"[a-z_]*":' | tr -d '\n')" \
    '"split":"tokens":"nats_per_token":"bits_per_token":"perplexity":'
check "bits and perplexity of the same loss" awk -v json="$json" 'BEGIN {
    split(json, part, /[:,}] */)
    nats = part[6]; bits = part[8]; perplexity = part[10]
    exit !(nats > 0 && (bits * log(2) - nats) ^ 2 < 1e-24 && (log(perplexity) - nats) ^ 2 < 1e-24)
}'
expect 0 "sample" "$CAROUSEL" sample $model --prime=the --length=40 --count=2
equal "two lines of 43 characters" "$(tr '\n' '~' < "$out" | wc -m)" 88
equal "the same text from any process" "$("$CAROUSEL" sample $model --prime=the --length=40 --count=2 --threads=2)" "$(cat "$out")"
equal "and instruction set" "$(CAROUSEL_ISA=baseline "$CAROUSEL" sample $model --prime=the --length=40 --count=2 2> isa.err)" "$(cat "$out")"
says "that is slow" isa.err "slow"

# The same beginning from a file; level byte: any bytes, which come out as they are.
"$CAROUSEL" sample $model --prime=the --length=40 > wanted.out
printf the > prime.txt
expect 0 "a prime from a file" "$CAROUSEL" sample $model --prime-file=prime.txt --length=40
check "gives the same text" cmp "$out" wanted.out
from_input() { "$CAROUSEL" sample $model --prime-file=- --length=40 < prime.txt; }
expect 0 "and from standard input" from_input
check "the same text" cmp "$out" wanted.out
for _ in $(seq 150); do printf '\344\366\374\0\337'; done > latin.txt
"$CAROUSEL" pack text -q -o latin.h5 --level=byte latin.txt || exit 99
"$CAROUSEL" train latin.h5 -o latin --hidden=8 --layers=1 --rate=0.02 --steps=100 --threads=1 --quiet || exit 99
head -c 11 latin.txt > prime.txt
expect 0 "a prime of any bytes" "$CAROUSEL" sample latin/last.h5 --prime-file=prime.txt --length=40 --temperature=0
check "and the text as it was" cmp <(head -c 51 latin.txt; echo) "$out"
expect 0 "a prime that is no UTF-8" "$CAROUSEL" sample latin/last.h5 --prime=$'\344\366' --length=0
check "as it is" cmp <(printf '\344\366\n') "$out"
for line in "pack text -o free.h5 text.txt" "train data.h5 -o free --hidden=4 --layers=1 --steps=1 --threads=1" "eval $model data.h5" \
    "sample $model" "show $model" "show data.h5" "sample $model --prime=Q" "eval $model $model" "pack text -o free.h5 none.txt"; do
    # shellcheck disable=SC2086
    run "$CAROUSEL" --verbose $line
    equal "all memory is freed: $line" "$(grep -c 'not freed' "$err"), $((status == 0 || status > 63))" "0, 1"
done

# ---- going on: an option that needs another may leave it to the earlier run ----

sgd=(train data.h5 -o sgd "${small[@]}" --quiet)
expect 0 "sgd" "$CAROUSEL" "${sgd[@]}" --optimizer=sgd --momentum=0.5 --schedule=step --decay-every=3
expect 0 "its momentum again, without its name" "$CAROUSEL" "${sgd[@]}" --momentum=0.5 --decay-every=3
refused 78 "another momentum" "--momentum=0.6 --momentum=0.5 sgd" "$CAROUSEL" "${sgd[@]}" --momentum=0.6
refused 78 "a beta that sgd has not" "--beta1" "$CAROUSEL" "${sgd[@]}" --beta1=0.9
lane=$("$CAROUSEL" show $model | sed -n 's/^ *lane  *=* *\([0-9]*\).*/\1/p')
expect 0 "what was a default, typed" "$CAROUSEL" train data.h5 -o run "${small[@]}" --quiet --embed=8 --beta1=0.9 --epsilon=1e-8 \
    --lane="${lane:-1}"
refused 78 "what was a default, and another value" "--lane=2 --lane=1 run" "$CAROUSEL" train data.h5 -o run "${small[@]}" --lane=2

# ---- once over ranks, and the status is everyone's ----

for line in --help "help eval" "train --help" "show --help"; do
    # shellcheck disable=SC2086
    expect 0 "3 ranks: $line" ranks 3 "$CAROUSEL" $line
    equal "printed once" "$(grep -c '^Usage: ' "$out")" 1
done
expect 0 "3 ranks: version" ranks 3 "$CAROUSEL" --version
equal "printed once" "$(wc -l < "$out")" 1
expect 0 "3 ranks: sample" ranks 3 "$CAROUSEL" sample $model --length=9
equal "printed once" "$(wc -m < "$out")" 10
expect 0 "3 ranks: eval" ranks 3 "$CAROUSEL" eval $model data.h5 --json --quiet
equal "printed once, the same" "$(cat "$out")" "$json"
expect 0 "3 ranks: eval, one piece a rank" ranks 3 "$CAROUSEL" eval $model data.h5 --json --quiet --streams=7
equal "the same number as alone" "$(cat "$out")" "$("$CAROUSEL" eval $model data.h5 --json --quiet --streams=7)"
expect 0 "3 ranks: pack" ranks 3 "$CAROUSEL" pack text -o three.h5 text.txt
equal "packed once" "$(digest three.h5 data)" "$(digest data.h5 data)"
refused 64 "3 ranks: no command" "command" ranks 3 "$CAROUSEL"
refused 64 "3 ranks: an option before the command" "--hlep" ranks 3 "$CAROUSEL" --hlep
refused 64 "3 ranks: help for no command" "'trian'" ranks 3 "$CAROUSEL" help trian
refused 64 "3 ranks: one dash" "-hidden=8" ranks 3 "$CAROUSEL" train data.h5 -o bad -hidden=8
check "still no run" test ! -e bad

finish
