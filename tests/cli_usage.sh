#!/bin/bash
# What a person types wrong, for every command, alone and over ranks: the exit status, one line that names the option or
# the file and what would do, and nothing on the disk.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
mkdir "$WORK/box"
cd "$WORK/box" || exit 99

text 3000 > text.txt
text 3000 9 | tr a-z A-Z > other.txt
"$CAROUSEL" pack text -o data.h5 text.txt 2> /dev/null || exit 99
"$CAROUSEL" pack text -o other.h5 other.txt 2> /dev/null || exit 99
"$CAROUSEL" pack text --level=byte -o bytes.h5 text.txt 2> /dev/null || exit 99
small=(--hidden=8 --layers=1 --batch=8 --window=10 --threads=1)
"$CAROUSEL" train data.h5 -o run "${small[@]}" --steps=2 --quiet || exit 99
model=run/last.h5

# untouched NAME: no file or folder was made, changed or removed in this folder since the preparations.
state() { fingerprint . && find . | sort | md5sum; }
before=$(state)
untouched() { equal "nothing on the disk: $1" "$(state)" "$before"; }

# train WORDS ARGUMENT...: with this much wrong in a command that is right otherwise, exit status 64.
train() {
    local words=$1
    shift
    local typed="train $*"
    refused 64 "${typed:0:90}" "$words" "$CAROUSEL" train data.h5 -o bad "$@"
}

# ---- commands ----

refused 64 "no command" "carousel --help" "$CAROUSEL"
refused 64 "an unknown command" "'trian' 'train'" "$CAROUSEL" trian data.h5 -o bad
refused 64 "one like no other" "'frobnicate' --help" "$CAROUSEL" frobnicate
refused 64 "an option before the command" "--frobnicate --help" "$CAROUSEL" --frobnicate train data.h5 -o bad
refused 64 "an empty command" "''" "$CAROUSEL" ''
refused 64 "help for an unknown command" "'smaple' 'sample'" "$CAROUSEL" help smaple
refused 64 "a command of several lines" "unknown command" "$CAROUSEL" $'a\nb\nc'
for command in pack train eval sample show bench; do
    refused 64 "$command: an unknown option" "--frobnicate 'carousel $command" "$CAROUSEL" "$command" --frobnicate
    refused 64 "$command: an unknown letter" "-Z 'carousel $command" "$CAROUSEL" "$command" -Z
    refused 64 "$command: a value for a switch" "--quiet takes no value" "$CAROUSEL" "$command" --quiet=yes
    refused 64 "$command: a value for --help" "--help takes no value" "$CAROUSEL" "$command" --help=yes
    expect 0 "$command: help" "$CAROUSEL" "$command" --help
    says "its usage" "$out" "Usage: carousel $command"
done
untouched "commands"

# ---- options of train ----

train "--hiden --hidden" --hiden=8
train "--layer-count" --layer-count=8
train "--s --seed --steps --save-every write" --s=1
train "--decay --decay-every --decay-factor" --decay=1
train "--fresh takes no value" --fresh=no
train "-x" -x
train "-o: value missing RUN" -o
train "--hidden: value missing --hidden=N" --hidden
numbers=('' abc -1 0 1.5 1e3 0x10 12x ' 12' '12 ' 99999999999999999999 nan inf --5)
for value in "${numbers[@]}"; do
    train "--hidden: ${value// /} whole number from 1" --hidden="$value"
done
for option in layers batch lane epochs steps keep threads; do
    for value in 0 9999999999999999 1x; do
        train "--$option: '$value' whole number from 1" --$option="$value"
    done
done
for value in -1 9999999999999999 1x; do
    train "--window: '$value' whole number from 0" --window="$value"
done
for value in '' abc -1 0 nan inf -inf 1e999 1e-999 0x1p3 1,5 1.5x ' 1'; do
    train "--rate: ${value// /} number above 0" --rate="$value"
done
for option in dropout clip momentum weight-decay decay-every decay-factor epsilon beta1 beta2; do
    for value in -1 1e31 0.1x; do
        train "--$option: '$value' give a number" --$option="$value"
    done
done
train "--forget-bias: 'nan' -1000 1000" --forget-bias=nan
train "--dropout: '1' below" --dropout=1
train "--momentum: '1' below" --momentum=1
train "--epsilon: '0' above" --epsilon=0
train "--embed: '-1'" --embed=-1
train "--warmup: '-1'" --warmup=-1
for value in '' -1 abc 1.5 18446744073709551616 nan; do
    train "--seed: '$value" --seed="$value"
done
train "--cell: 'LSTM' lstm, peephole, gru, rnn" --cell=LSTM
train "--cell: 'transformer' lstm" --cell=transformer
train "--cell: ''" --cell=
train "--optimizer: 'adm' adam, rmsprop, sgd, adagrad" --optimizer=adm
train "--schedule: 'linear' constant, step, cosine" --schedule=linear
train "--reduce: 'double' int64, float" --reduce=double
for value in '' 0 -5 -5m abc 5d 1h30q 1e3s infs nanh 0s '5m ' 1..5m . 99999999999999999999; do
    train "--save-every: ${value// /}" --save-every="$value"
done
eon=$(printf '9%.0s' {1..40})h instant=0.$(printf '0%.0s' {1..30})1s
for option in stop-after validate-every; do
    for value in 0 -5m 5d 1e3s "$eon" "$instant"; do
        train "--$option:" --$option="$value"
    done
done
train "--output: empty" --output=
train "--output: long" --output="$(printf 'a%.0s' {1..5000})"
train "--config: empty" --config=
train "--init-from: empty" --init-from=
train "--hidden:" --hidden="$(printf '7%.0s' {1..100000})"
train "--hidden:" --hidden=$'8\nand more'
train "--$(printf 'z%.0s' {1..40})" "--$(printf 'z%.0s' {1..100000})"
train "'more.h5' usage: carousel train" more.h5
train "usage: carousel train" ''
refused 64 "train: no data" "DATA.h5 missing usage: carousel train" "$CAROUSEL" train -o bad
refused 64 "train: no run" "-o missing usage: carousel train" "$CAROUSEL" train data.h5
refused 64 "train: everything behind --" "one argument too many" "$CAROUSEL" train -- data.h5 -o bad
refused 64 "train: a long name" "too long" "$CAROUSEL" train "$(printf 'a%.0s' {1..5000})" -o bad
for isa in bogus V4 v3,v4; do
    CAROUSEL_ISA=$isa train "CAROUSEL_ISA=$isa baseline" "${small[@]}"
done
untouched "options of train"
check "no run" test ! -e bad

# ---- what contradicts itself: 78 ----

apart() {
    local words=$1
    shift
    refused 78 "train $*" "$words" "$CAROUSEL" train data.h5 -o bad "$@"
}
apart "--epochs=1 --steps=2" --epochs=1 --steps=2
apart "--steps=2 --epochs=1" --steps=2 --epochs=1
apart "--momentum --optimizer=sgd" --momentum=0.9
apart "--beta1 --optimizer=adam" --beta1=0.9 --optimizer=rmsprop
apart "--beta2 --optimizer=adam rmsprop" --beta2=0.9 --optimizer=sgd
apart "--epsilon sgd" --epsilon=1e-7 --optimizer=sgd
apart "--decay-every --schedule=step" --decay-every=2
apart "--decay-after --schedule=step" --decay-after=2
apart "--decay-factor --schedule=step" --decay-factor=0.2 --schedule=cosine
apart "--forget-bias --cell=lstm" --forget-bias=2 --cell=gru
apart "--input-bias --cell=lstm" --input-bias=-2 --cell=rnn
apart "--lane=9 --batch=8" --lane=9 --batch=8
again=(train data.h5 -o run --steps=2)
refused 78 "another size of the same run" "--hidden=9 --hidden=8 run --fresh" "$CAROUSEL" "${again[@]}" --hidden=9
refused 78 "another seed of the same run" "--seed=2 --seed=1 run" "$CAROUSEL" "${again[@]}" --seed=2
refused 78 "another cell of the same run" "--cell=gru --cell=lstm run" "$CAROUSEL" "${again[@]}" --cell=gru
expect 0 "the same, written otherwise" "$CAROUSEL" "${again[@]}" --rate=2E-3 --dropout=-0 --hidden=008 --embed=8
untouched "contradictions"

# ---- INI files ----

# ini STATUS WORDS TEXT [ARGUMENT...]
ini() {
    local status=$1 words=$2
    printf "$3" > "$WORK/bad.ini"
    shift 3
    refused "$status" "INI: $words" "$words" "$CAROUSEL" train data.h5 -o bad --config="$WORK/bad.ini" "$@"
}
ini 78 "bad.ini:2: hiden hidden?" 'layers = 1\nhiden = 8\n'
ini 78 "bad.ini:1: frobnicate" 'frobnicate = 8\n'
ini 78 "bad.ini:2: sections" '# a remark\n[model]\nhidden = 8\n'
ini 78 "bad.ini:3: hidden '-8' whole number" '\n; a remark\nhidden = -8\n'
ini 78 "bad.ini:1: rate 'nan'" 'rate = nan\n'
ini 78 "bad.ini:1: cell 'LSTM' lstm, peephole, gru, rnn" 'cell: LSTM\n'
ini 78 "bad.ini:1: fresh 'perhaps'" 'fresh = perhaps\n'
ini 78 "bad.ini:2: 'hidden 8'" 'layers = 1\nhidden 8\n'
ini 78 "bad.ini:2: 8" 'layers = 1\n  8\n'
ini 78 "bad.ini:1: hidden ''" 'hidden =\n'
ini 78 "bad.ini:1: config leave it out" 'config = more.ini\n'
ini 78 "bad.ini:1: too long" "init-from = $(printf 'x%.0s' {1..5000})\n"
ini 78 "bad.ini:2: keep" 'hidden = 8\nkeep = 1x'
ini 78 "--epochs=1 --steps=2" 'epochs = 1\nsteps = 2\n'
ini 78 "--momentum --optimizer=sgd" 'momentum = 0.5\n'
ini 64 "--layers: '0'" 'hidden = 8\n' --layers=0
refused 66 "INI: a missing file" "--config=none.ini" "$CAROUSEL" train data.h5 -o bad --config=none.ini
refused 66 "INI: a folder" "--config=run" "$CAROUSEL" train data.h5 -o bad --config=run
untouched "INI files"

# ---- the other commands ----

pack() { # STATUS WORDS ARGUMENT...
    local status=$1 words=$2
    shift 2
    refused "$status" "pack $*" "$words" "$CAROUSEL" pack "$@"
}
pack 64 "kind of input text missing" -o bad
pack 64 "FILE missing" text -o bad
pack 64 "-o missing" text text.txt
pack 64 "'txet' text" txet -o bad text.txt
pack 64 "'text.txt' --help" -o bad text.txt
pack 64 "unknown option --levle --level 'carousel pack text --help'" text -o bad --levle=byte text.txt
pack 64 "argument empty" text -o bad ''
pack 64 "--level: 'line' char, byte, word" text -o bad --level=line text.txt
pack 64 "--unknown: 'keep' error, drop" text -o bad --vocabulary=data.h5 --unknown=keep text.txt
pack 64 "--unknown=drop --vocabulary" text -o bad --unknown=drop text.txt
for shares in '' 1 1,0 1,0,0,0 0.5,0.5,0.5 -1,1,1 nan,0,1 a,b,c 1,0,0x 1,,0 1,0,; do
    pack 64 "--split: 0.9,0.05,0.05" text -o bad --split="$shares" text.txt
done
expect 0 "options before the kind" "$CAROUSEL" pack -q --level byte -o early.h5 text text.txt
equal "the same data set" "$(digest early.h5 data)" "$(digest bytes.h5 data)"
rm -f early.h5
refused 64 "help for too much of pack" "'b'" "$CAROUSEL" help pack text b
pack 73 "/dev/full" text -o /dev/full text.txt
pack 73 "no/where.h5" text -o no/where.h5 text.txt

eval_() {
    local status=$1 words=$2
    shift 2
    refused "$status" "eval $*" "$words" "$CAROUSEL" eval "$@"
}
eval_ 64 "CHECKPOINT missing"
eval_ 64 "DATA.h5 missing" $model
eval_ 64 "'more' one argument too many" $model data.h5 more
eval_ 64 "--split: 'all' train, validation, test" $model data.h5 --split=all
for value in 0 -1 99999999999 1x; do
    eval_ 64 "--streams: '$value" $model data.h5 --streams="$value"
    eval_ 64 "--threads: '$value" $model data.h5 --threads="$value"
done
eval_ 64 "--json takes no value" $model data.h5 --json=yes
eval_ 65 "data.h5 checkpoint" data.h5 data.h5
eval_ 65 "$model" $model $model
eval_ 65 "data.h5" data.h5 $model
eval_ 65 "$model other.h5 vocabulary --vocabulary=$model" $model other.h5
eval_ 65 "$model bytes.h5 level" $model bytes.h5
eval_ 65 "text.txt" text.txt data.h5
eval_ 66 "none.h5" none.h5 data.h5
eval_ 66 "none.h5" $model none.h5
CAROUSEL_ISA=bogus eval_ 64 "CAROUSEL_ISA=bogus baseline" $model data.h5

sample() {
    local status=$1 words=$2
    shift 2
    refused "$status" "sample $*" "$words" "$CAROUSEL" sample "$@"
}
sample 64 "CHECKPOINT missing"
sample 64 "'more' one argument too many" $model more
sample 64 "--t --temperature --top-k --top-p --threads" $model --t=1
sample 64 "--lenght --length" $model --lenght=4
for value in '' -1 many 1.5 99999999999999999999 1x nan; do
    sample 64 "--length: '$value" $model --length="$value"
    sample 64 "--count: '$value" $model --count="$value"
    sample 64 "--top-k: '$value" $model --top-k="$value"
    sample 64 "--seed: '$value" $model --seed="$value"
done
for value in '' -0.1 hot nan inf 1e999 1x; do
    sample 64 "--temperature: '$value" $model --temperature="$value"
    sample 64 "--top-p: '$value" $model --top-p="$value"
done
sample 64 "--top-p: '1.5' above to 1" $model --top-p=1.5
sample 64 "--top-p: '0' above" $model --top-p=0
sample 64 "--prime: value missing --prime=TEXT" $model --prime
sample 65 "--prime: U+20AC byte 4" $model --prime='the €'
sample 64 "--prime: byte 4 UTF-8" $model --prime=$'the \377'
sample 64 "--prime: byte 4 UTF-8" $model --prime=$'the \342\202'
sample 64 "--prime --prime-file one" $model --prime=a --prime-file=text.txt
sample 66 "--prime-file=none.txt -" $model --prime-file=none.txt
sample 66 "--prime-file=run -" $model --prime-file=run
sample 65 "other.txt: 'R' byte 0" $model --prime-file=other.txt
sample 64 "data.h5: byte UTF-8" $model --prime-file=data.h5
sample 65 "--prime-file=/dev/zero longer 1048576" $model --prime-file=/dev/zero
sample 65 "data.h5" data.h5
sample 65 "text.txt" text.txt
sample 66 "none.h5" none.h5
CAROUSEL_ISA=bogus sample 64 "CAROUSEL_ISA=bogus baseline" $model

refused 64 "show: nothing" "FILE.h5 missing" "$CAROUSEL" show
refused 64 "show: two files" "'other.h5' one argument too many" "$CAROUSEL" show data.h5 other.h5
refused 64 "show: both forms" "--json --digest" "$CAROUSEL" show --json --digest data.h5
refused 65 "show: a text" "text.txt" "$CAROUSEL" show text.txt
refused 66 "show: no file" "none.h5" "$CAROUSEL" show none.h5
refused 64 "bench: an argument" "'data.h5' one argument too many" "$CAROUSEL" bench data.h5
refused 64 "bench: no size" "--hidden: '0'" "$CAROUSEL" bench --hidden=0
refused 64 "bench: no time" "--seconds: '0' above" "$CAROUSEL" bench --seconds=0
refused 64 "bench: one token" "--vocabulary: '1' 2" "$CAROUSEL" bench --vocabulary=1
untouched "the other commands"

# ---- standard output that can't be written ----

full() { "$@" > /dev/full; }
if [ -c /dev/full ]; then
    refused 73 "help to a full device" "standard output" full "$CAROUSEL" --help
    refused 73 "version to a full device" "standard output" full "$CAROUSEL" --version
    refused 73 "a command's help to a full device" "standard output" full "$CAROUSEL" train --help
    refused 73 "show to a full device" "standard output" full "$CAROUSEL" show data.h5
    refused 73 "a digest to a full device" "standard output" full "$CAROUSEL" show --digest $model
    refused 73 "eval to a full device" "standard output" full "$CAROUSEL" eval $model data.h5 --quiet
    refused 73 "sample to a full device" "standard output" full "$CAROUSEL" sample $model --length=100000000
    refused 73 "train to a full device" "/dev/full" "$CAROUSEL" train data.h5 -o /dev/full "${small[@]}"
    untouched "full devices"
fi

# ---- over ranks: once, and the launcher has the status ----

over() { # STATUS WORDS ARGUMENT...
    local status=$1 words=$2
    shift 2
    refused "$status" "3 ranks: $*" "$words" ranks 3 "$CAROUSEL" "$@"
}
over 64 "'trian' 'train'" trian data.h5
over 64 "missing" train -o bad
over 64 "--hiden --hidden" train data.h5 -o bad --hiden=8
over 64 "--hidden: 'nan'" train data.h5 -o bad --hidden=nan
over 78 "--epochs=1 --steps=2" train data.h5 -o bad --epochs=1 --steps=2
printf 'layers = 1\nhiden = 8\n' > "$WORK/bad.ini"
over 78 "bad.ini:2: hiden hidden?" train data.h5 -o bad --config="$WORK/bad.ini"
over 66 "none.ini" train data.h5 -o bad --config=none.ini
over 78 "--hidden=9 --hidden=8" train data.h5 -o run --hidden=9
over 65 "data.h5" eval data.h5 data.h5
over 65 "$model" eval $model $model
over 65 "$model other.h5 vocabulary" eval $model other.h5
over 64 "--prime: byte 0 UTF-8" sample $model --prime=$'\377'
over 65 "text.txt" show text.txt
over 64 "FILE missing" pack text -o bad
CAROUSEL_ISA=bogus over 64 "CAROUSEL_ISA=bogus baseline" train data.h5 -o bad "${small[@]}"
untouched "over ranks"

finish
