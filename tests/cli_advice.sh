#!/bin/bash
# What messages advise, done: each is provoked, what would do is taken out of the message, and then it has to do.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

# have TOOL PACKAGE: or what needs it is skipped.
have() {
    command -v "$1" > /dev/null && return
    skip "advice to use $1, which is missing. On Debian: apt-get install $2"
    return 1
}

# advice PATTERN: what the extended regular expression, or its group if it has one, matches in the last message.
advice() {
    [[ $(grep '^carousel: ' "$err") =~ $1 ]] && echo "${BASH_REMATCH[1]:-${BASH_REMATCH[0]}}"
}

# follow NAME STATUS PATTERN COMMAND... --then OTHER...: the command ends with STATUS and advises what PATTERN finds; then
# the other succeeds, each @@ in it replaced by that.
follow() {
    local name=$1 wanted=$2 pattern=$3 advised
    local -a first=()
    shift 3
    while [ "$1" != --then ]; do
        first+=("$1")
        shift
    done
    shift
    run "${first[@]}"
    advised=$(advice "$pattern")
    if [ "$status" -ne "$wanted" ] || [ -z "$advised" ]; then
        fail "$name: advised" "status $status, not $wanted, or no '$pattern', of: ${first[*]}"
        tail -n 5 "$err"
        return 1
    fi
    expect 0 "$name: $advised" "${@//@@/$advised}"
}

text 3000 > text.txt
text 3000 9 | tr a-z A-Z > other.txt
"$CAROUSEL" pack text -q -o data.h5 text.txt || exit 99
"$CAROUSEL" pack text -q -o bytes.h5 --level=byte text.txt || exit 99
small=(--hidden=8 --layers=1 --batch=8 --window=10 --threads=1 --quiet)
"$CAROUSEL" train data.h5 -o run "${small[@]}" --steps=2 || exit 99
"$CAROUSEL" train bytes.h5 -o bytes "${small[@]}" --steps=2 || exit 99
model=run/last.h5

# ---- encodings ----

printf 'It\342\200\231s a text of another encoding, "na\303\257ve" and longer than forty characters.\n' > utf8.txt
"$CAROUSEL" pack text -q -o utf8.h5 utf8.txt || exit 99
wanted=$(digest utf8.h5 data)
# convert NAME STATUS: other.enc, packed, ends with STATUS and advises an iconv that gives what utf8.txt has.
convert() {
    expect "$2" "$1" "$CAROUSEL" pack text -o x.h5 other.enc
    local command
    command=$(advice 'iconv -f [A-Z0-9-]* -t UTF-8')
    check "$1: $command" sh -c "${command:-false} < other.enc > converted.txt"
    expect 0 "$1: packed" "$CAROUSEL" pack text -o x.h5 converted.txt
    equal "$1: nothing to warn of" "$(grep -c warning "$err")" 0
    equal "$1: the text" "$(digest x.h5 data)" "$wanted"
}
printf 'It\222s a text of another encoding, "na\357ve" and longer than forty characters.\n' > other.enc
follow "another encoding, as bytes" 65 '--level=byte' "$CAROUSEL" pack text -o x.h5 other.enc \
    --then "$CAROUSEL" pack text -o x.h5 @@ other.enc
if have iconv libc-bin; then
    convert "Windows" 65
    for encoding in UTF-16 UTF-32; do
        iconv -f UTF-8 -t $encoding utf8.txt > other.enc
        convert "$encoding with its mark" 65
    done
    for encoding in UTF-16LE UTF-16BE UTF-32LE UTF-32BE; do # the letter with two dots is no UTF-8
        iconv -f UTF-8 -t $encoding utf8.txt > other.enc
        convert "$encoding" 65
    done
    head -n 1 text.txt > utf8.txt
    "$CAROUSEL" pack text -q -o utf8.h5 utf8.txt || exit 99
    wanted=$(digest utf8.h5 data)
    for encoding in UTF-16LE UTF-16BE UTF-32LE UTF-32BE; do
        iconv -f UTF-8 -t $encoding utf8.txt > other.enc
        convert "letters and zeros in $encoding" 0
    done
    printf 'M\201ller, der "gro\341e" Drucker, schreibt einen Text von mehr als vierzig Zeichen\n' > other.enc
    printf 'M\303\274ller, der "gro\303\237e" Drucker, schreibt einen Text von mehr als vierzig Zeichen\n' > utf8.txt
    "$CAROUSEL" pack text -q -o utf8.h5 utf8.txt || exit 99
    wanted=$(digest utf8.h5 data)
    convert "a code page of DOS" 65
fi
expect 0 "zeros as bytes are no text" "$CAROUSEL" pack text -o x.h5 --level=byte other.enc
equal "so nothing to warn of" "$(grep -c warning "$err")" 0
printf 'the ring \342\202' > cut.txt
follow "cut off" 65 '--level=byte' "$CAROUSEL" pack text -o x.h5 cut.txt --then "$CAROUSEL" pack text -o x.h5 @@ cut.txt
refused 65 "cut off, with a vocabulary" "cut.txt mend" "$CAROUSEL" pack text -o x.h5 --vocabulary=data.h5 cut.txt
equal "which goes with no bytes" "$(grep -c -e --level "$err")" 0
printf 'the ring \377' > bad.txt
refused 65 "no UTF-8, with a vocabulary" "bad.txt iconv" "$CAROUSEL" pack text -o x.h5 --vocabulary=data.h5 bad.txt
equal "which goes with no bytes" "$(grep -c -e --level "$err")" 0

# ---- pack ----

follow "unknown characters" 65 '--unknown=drop' "$CAROUSEL" pack text -o x.h5 --vocabulary=data.h5 utf8.txt \
    --then "$CAROUSEL" pack text -o x.h5 --vocabulary=data.h5 @@ utf8.txt
follow "shares" 64 '[0-9.]*,[0-9.]*,[0-9.]*$' "$CAROUSEL" pack text -o x.h5 --split=0.9,0.2,0.1 text.txt \
    --then "$CAROUSEL" pack text -o x.h5 --split=@@ text.txt
follow "an empty name" 64 '-o [a-z]*\.h5' "$CAROUSEL" pack text -o "" text.txt --then sh -c '"$CAROUSEL" pack text @@ text.txt'
follow "no folder" 73 'mkdir -p' "$CAROUSEL" pack text -o a/b/x.h5 text.txt \
    --then sh -c '@@ a/b && "$CAROUSEL" pack text -o a/b/x.h5 text.txt'
pack_pipe() { cat text.txt | env "$@" "$CAROUSEL" pack text -o x.h5 -; }
follow "no room for a copy" 73 'TMPDIR' pack_pipe TMPDIR=nowhere --then pack_pipe @@="$WORK"
printf 'ab' > two.txt
"$CAROUSEL" pack text -q -o two.h5 --split=0.5,0.5,0 two.txt || exit 99
follow "nothing to train on" 65 '--split=1,0,0' "$CAROUSEL" train two.h5 -o two \
    --then sh -c '"$CAROUSEL" pack text -o two.h5 @@ two.txt && "$CAROUSEL" train two.h5 -o two -q --steps=1'
# The manual's number of characters.
below=$(sed -n 's/.*below \([0-9]*\) tokens.*/\1/p' "$srcdir/docs/carousel.1")
for length in $((below - 1)) "$below"; do
    head -c "$length" text.txt > short.txt
    expect 0 "$length characters" "$CAROUSEL" pack text -o x.h5 short.txt
    equal "all for training below $below, as the manual says" "$(grep -c "splits: train $length," "$err")" $((length < below))
done

# ---- other vocabularies ----

"$CAROUSEL" pack text -q -o other.h5 other.txt || exit 99
follow "another vocabulary" 65 '--vocabulary=.*' "$CAROUSEL" eval $model other.h5 \
    --then sh -c '"$CAROUSEL" pack text -o x.h5 --unknown=drop @@ other.txt && "$CAROUSEL" eval run/last.h5 x.h5'
follow "bytes for characters" 65 '--vocabulary=.*' "$CAROUSEL" eval $model bytes.h5 \
    --then sh -c '"$CAROUSEL" pack text -o x.h5 @@ text.txt && "$CAROUSEL" eval run/last.h5 x.h5'
follow "characters for bytes" 65 '--level=byte' "$CAROUSEL" eval bytes/last.h5 data.h5 \
    --then sh -c '"$CAROUSEL" pack text -o x.h5 @@ text.txt && "$CAROUSEL" eval bytes/last.h5 x.h5'
from=(-o from --batch=8 --window=10 --threads=1 --steps=1 --quiet)
follow "weights of another vocabulary" 65 '--vocabulary=.*' "$CAROUSEL" train other.h5 --init-from=$model "${from[@]}" \
    --then "$CAROUSEL" pack text -o x.h5 @@ text.txt
expect 0 "goes on with it" "$CAROUSEL" train x.h5 --init-from=$model "${from[@]}"
follow "weights for bytes" 65 '--level=byte' "$CAROUSEL" train other.h5 --init-from=bytes/last.h5 "${from[@]}" --fresh \
    --then "$CAROUSEL" pack text -o x.h5 @@ text.txt
expect 0 "goes on with it" "$CAROUSEL" train x.h5 --init-from=bytes/last.h5 "${from[@]}" --fresh
cp -r run whole
follow "weights of what is moved aside" 66 '[a-z]*\.h5' "$CAROUSEL" train data.h5 --init-from=whole --fresh "${small[@]}" --steps=1 -o whole \
    --then "$CAROUSEL" train data.h5 --init-from=whole/@@ --fresh "${small[@]}" --steps=1 -o whole
for wrong in --hidden=9 --layers=2 --embed=0 --cell=gru; do
    run "$CAROUSEL" train data.h5 --init-from=$model -o from3 --fresh --steps=1 --quiet $wrong
    equal "weights of another size: $wrong left out" "$(advice 'leave --[a-z]* out')" "leave ${wrong%=*} out"
    expect 0 "does" "$CAROUSEL" train data.h5 --init-from=$model -o from3 --fresh --steps=1 --quiet
done

# ---- sizes ----

fresh=(-o sizes --fresh --hidden=4 --layers=1 --steps=1 --threads=1 --quiet)
follow "a short text" 78 '(--batch=[0-9]+) or' "$CAROUSEL" train data.h5 "${fresh[@]}" --batch=100 --window=100 \
    --then "$CAROUSEL" train data.h5 "${fresh[@]}" --window=100 @@
follow "a short text" 78 '(--window=[0-9]+) would' "$CAROUSEL" train data.h5 "${fresh[@]}" --batch=100 --window=100 \
    --then "$CAROUSEL" train data.h5 "${fresh[@]}" --batch=100 @@
follow "more rows than text" 78 '(--batch=[0-9]+) would' "$CAROUSEL" train data.h5 "${fresh[@]}" --batch=5000 \
    --then "$CAROUSEL" train data.h5 "${fresh[@]}" @@
follow "more rows than text, and a long window" 78 '(--batch=[0-9]+ would fit with --window=1)' \
    "$CAROUSEL" train data.h5 "${fresh[@]}" --batch=5000 --window=5000 \
    --then sh -c '"$CAROUSEL" train data.h5 "$0" "$@" $(echo "@@" | grep -o -e "--[a-z]*=[0-9]*")' "${fresh[@]}"
follow "a window longer than the text" 78 '(--window=[0-9]+) would' "$CAROUSEL" train data.h5 "${fresh[@]}" --window=5000 \
    --then "$CAROUSEL" train data.h5 "${fresh[@]}" @@
follow "a wide lane" 78 'most (--lane=[0-9]+)' "$CAROUSEL" train data.h5 "${fresh[@]}" --lane=30 --batch=8 \
    --then "$CAROUSEL" train data.h5 "${fresh[@]}" --batch=8 @@
follow "streams" 78 '--streams=[0-9]+$' "$CAROUSEL" eval $model data.h5 --streams=5000 --then "$CAROUSEL" eval $model data.h5 @@
"$CAROUSEL" pack text -q -o short.h5 short.txt --split=1,0,0 --vocabulary=data.h5 || exit 99
follow "an empty split" 65 '--split' "$CAROUSEL" eval $model short.h5 --then "$CAROUSEL" eval $model short.h5 @@=train

# ---- more ranks than lanes ----

crowd=(-o crowd --hidden=4 --layers=1 --threads=1 --quiet)
too_many() { ranks 6 "$CAROUSEL" train data.h5 "${crowd[@]}" --batch=8 --lane=2 --steps=1 --fresh; }
expect 78 "6 ranks for 4 lanes" too_many
most=$(advice 'at most ([0-9]+) ranks') lane=$(advice 'or (--lane=[0-9]+)') batch=$(advice '(--batch=[0-9]+) would')
expect 0 "as many ranks as advised: $most" ranks "${most:-0}" "$CAROUSEL" train data.h5 "${crowd[@]}" --batch=8 --lane=2 --steps=1 --fresh
expect 0 "the lane advised: $lane" ranks 6 "$CAROUSEL" train data.h5 "${crowd[@]}" --batch=8 --steps=1 --fresh "$lane"
expect 0 "the batch advised: $batch" ranks 6 "$CAROUSEL" train data.h5 "${crowd[@]}" --lane=2 --steps=1 --fresh "$batch"
expect 0 "a run of 4 lanes" "$CAROUSEL" train data.h5 "${crowd[@]}" --batch=8 --lane=2 --steps=1 --fresh
refused 78 "goes on at 4 ranks, not at 6" "4 crowd --fresh" ranks 6 "$CAROUSEL" train data.h5 "${crowd[@]}" --steps=2
most=$(advice 'at most ([0-9]+) ranks') lane=$(advice '--fresh and a --lane of at most ([0-9]+)')
equal "no --lane that would contradict the run" "$(grep -c -e --lane= "$err")" 0
expect 0 "as many ranks as advised: $most" ranks "${most:-0}" "$CAROUSEL" train data.h5 "${crowd[@]}" --steps=2
expect 0 "--fresh and the lane advised: $lane" ranks 6 "$CAROUSEL" train data.h5 "${crowd[@]}" --batch=8 --steps=2 --fresh --lane="${lane:-0}"
printf hello > hello.txt
"$CAROUSEL" pack text -q -o hello.h5 hello.txt || exit 99
for way in begins "goes on"; do
    refused 78 "more ranks than the text has rows: it $way" "most" ranks 6 "$CAROUSEL" train hello.h5 "${crowd[@]}" -o hello --steps=2
    equal "no larger batch for it" "$(grep -c -e --batch "$err")" 0
    most=$(advice 'at most ([0-9]+) ranks')
    expect 0 "as many ranks as advised: $most" ranks "${most:-0}" "$CAROUSEL" train hello.h5 "${crowd[@]}" -o hello --steps=1
done
refused 78 "more ranks than rows" "8 crowd --fresh --batch" ranks 9 "$CAROUSEL" train data.h5 "${crowd[@]}" --steps=3

# ---- a run that is there ----

on=(train data.h5 -o run --threads=1 --quiet)
run "$CAROUSEL" "${on[@]}" --steps=3 --hidden=9
equal "another size: three ways" "$(advice 'leave it out.*')" "leave it out, or start over with --fresh or another -o"
expect 0 "left out" "$CAROUSEL" "${on[@]}" --steps=3
expect 0 "another -o" "$CAROUSEL" "${on[@]}" --steps=3 --hidden=9 -o run9
expect 0 "--fresh" "$CAROUSEL" "${on[@]}" --steps=3 --hidden=9 --fresh -o run9
expect 0 "a finished run" "$CAROUSEL" train data.h5 -o run --threads=1 --steps=3
says "is told how to go on" "$err" "more --epochs (or --steps) would go on; --fresh would start over"
expect 0 "with more --steps" "$CAROUSEL" "${on[@]}" --steps=4
expect 0 "with more --epochs" "$CAROUSEL" "${on[@]}" --epochs=1
expect 0 "with --fresh" "$CAROUSEL" "${on[@]}" --fresh --hidden=8 --steps=1
follow "two ends" 78 'give one' "$CAROUSEL" "${on[@]}" --fresh --epochs=1 --steps=1 --then "$CAROUSEL" "${on[@]}" --fresh --steps=1
run "$CAROUSEL" "${on[@]}" --fresh --steps=1 --optimizer=adam --momentum=0.5
says "an option of another optimizer" "$err" "leave it out, or give both"
expect 0 "left out" "$CAROUSEL" "${on[@]}" --fresh --steps=1 --optimizer=adam
run "$CAROUSEL" "${on[@]}" --fresh --steps=1 --momentum=0.5
expect 0 "both given: $(advice '--optimizer=sgd')" "$CAROUSEL" "${on[@]}" --fresh --steps=1 --momentum=0.5 "$(advice '--optimizer=sgd')"
follow "other data" 65 'another -o' "$CAROUSEL" train other.h5 -o run --steps=9 --quiet --then "$CAROUSEL" train other.h5 -o run10 --steps=1 --hidden=4 --quiet
for file in run9/*.h5; do printf 'no checkpoint' > "$file"; done
follow "none is whole" 65 '--fresh' "$CAROUSEL" train data.h5 -o run9 --steps=3 --quiet --then "$CAROUSEL" train data.h5 -o run9 --steps=1 --hidden=4 --quiet @@
follow "a folder for a checkpoint" 66 'last\.h5' "$CAROUSEL" eval run data.h5 --then "$CAROUSEL" eval run/@@ data.h5

# ---- a run that diverges ----

sgd=(train data.h5 -o diverging "${small[@]}" --optimizer=sgd --clip=0)
expect 0 "a run at a rate" "$CAROUSEL" "${sgd[@]}" --rate=0.1 --steps=5
follow "diverges" 78 'the same command with a lower (--rate) \(now 1e\+30\)' "$CAROUSEL" "${sgd[@]}" --rate=1e30 --steps=200 \
    --then "$CAROUSEL" "${sgd[@]/--quiet/--verbose}" --steps=200 @@=0.01
says "from the step that was said" "$err" "resuming diverging at step 5"
says "to its end" <("$CAROUSEL" show diverging/last.h5) "trained     200 steps"
# What is saved while steps are refused would be no help.
often=(train data.h5 -o often "${small[@]}" --seed=4 --save-every=5)
expect 0 "a run that saves often" "$CAROUSEL" "${often[@]}" --steps=10
follow "diverges between" 78 'the same command with a lower (--rate) \(now 1e\+09\)' "$CAROUSEL" "${often[@]}" --rate=1e9 --steps=200 \
    --then "$CAROUSEL" "${often[@]}" --steps=40 @@=0.002

# ---- memory ----

text 40000 > long.txt
"$CAROUSEL" pack text -q -o long.h5 --split=1,0,0 long.txt || exit 99
# held BATCH WINDOW: a step within so many KB of memory, in which one of a few tokens has room.
held() {
    (ulimit -d "$room" && exec "$CAROUSEL" train long.h5 -o large --fresh --hidden=64 --layers=1 --threads=1 --steps=1 \
        --quiet "$@")
}
for ((room = 20000; room < 2000000; room += 10000)); do
    held --batch=1 --window=10 2> /dev/null && break
done
room=$((room + 20000)) # the large one needs 60000 more
run held --batch=30 --window=1000
equal "no memory" "$status" 70
says "for activations" "$err" "activations of 30 rows x 1000 steps"
equal "two ways" "$(advice 'a smaller --.* would do')" "a smaller --batch or --window would do"
expect 0 "a smaller --batch" held --batch=1 --window=1000
expect 0 "a smaller --window" held --batch=30 --window=10

# ---- sample, show ----

follow "a prime that is no UTF-8" 64 'UTF-8 text' "$CAROUSEL" sample run10/last.h5 --prime=$'A\377' --then "$CAROUSEL" sample run10/last.h5 --prime=A --length=3
follow "a character never seen" 65 'leave it out' "$CAROUSEL" sample run10/last.h5 --prime=a --then "$CAROUSEL" sample run10/last.h5 --length=3
follow "too long a prime" 65 'the last of them' "$CAROUSEL" sample bytes/last.h5 --prime-file=<(head -c 2000000 /dev/zero) \
    --then "$CAROUSEL" sample bytes/last.h5 --prime-file=<(head -c 100 /dev/zero) --length=3
follow "two primes" 64 'give one' "$CAROUSEL" sample run10/last.h5 --prime=A --prime-file=other.txt \
    --then "$CAROUSEL" sample run10/last.h5 --prime-file=other.txt --length=3
follow "no file of a prime" 66 ' - for standard input' "$CAROUSEL" sample run10/last.h5 --prime-file=nowhere \
    --then sh -c '"$CAROUSEL" sample run10/last.h5 --length=3 --prime-file=- < other.txt'
follow "two forms" 64 'give one' "$CAROUSEL" show --json --digest data.h5 --then "$CAROUSEL" show --json data.h5
here=$(CAROUSEL_ISA=bogus "$CAROUSEL" sample $model 2>&1 | sed -n 's/.*this processor has: //p' | tr -d ,)
check "instruction sets are told" test -n "$here"
for isa in $here; do
    expect 0 "an instruction set that is there: $isa" env CAROUSEL_ISA="$isa" "$CAROUSEL" sample $model --length=2
done

# ---- what is typed ----

typed=(train data.h5 -o typed --fresh --layers=1 --steps=1 --threads=1 --quiet)
follow "a word mistaken" 64 "mean '([a-z]+)'" "$CAROUSEL" trian data.h5 --then "$CAROUSEL" @@ data.h5 "${typed[@]:2}" --hidden=4
follow "an option mistaken" 64 'mean (--[a-z]+)' "$CAROUSEL" "${typed[@]}" --hiden=4 --then "$CAROUSEL" "${typed[@]}" @@=4
follow "one dash" 64 'write (-.*)' "$CAROUSEL" "${typed[@]}" -hidden=4 --then "$CAROUSEL" "${typed[@]}" @@
follow "no value" 64 'write (-.*=)N' "$CAROUSEL" "${typed[@]}" --hidden --then "$CAROUSEL" "${typed[@]}" @@4
follow "a value too much" 64 'write (-[a-z-]*) alone' "$CAROUSEL" "${typed[@]}" --fresh=yes --then "$CAROUSEL" "${typed[@]}" @@
follow "cut too short" 64 '--beta[0-9]' "$CAROUSEL" "${typed[@]}" --beta=0.9 --then "$CAROUSEL" "${typed[@]}" @@=0.9
follow "no option" 64 "'carousel (train --help)'" "$CAROUSEL" "${typed[@]}" --frobnicate --then sh -c '"$CAROUSEL" @@'
printf 'hiden = 4\n' > wrong.ini
follow "a name mistaken in a file" 78 'mean ([a-z]+)' "$CAROUSEL" "${typed[@]}" --config=wrong.ini --then sed -i 's/hiden/@@/' wrong.ini
expect 0 "the name corrected" "$CAROUSEL" "${typed[@]}" --config=wrong.ini

# ---- h5repack ----

if have h5repack hdf5-tools; then
    # The newest format that is known here, and a superblock newer than that; its reader is where the first is read.
    h5repack --low=2 --high=2 data.h5 known.h5 || exit 99
    version() { od -An -tu1 -j8 -N1 "$1" | tr -d ' '; }
    cp known.h5 newest.h5
    printf '\377' | dd of=newest.h5 bs=1 seek=8 conv=notrunc 2> /dev/null
    expect 65 "a newer HDF5" "$CAROUSEL" show --digest newest.h5
    command=$(advice 'h5repack [^`]*NEW' | sed 's/FILE/known.h5/; s/NEW/older.h5/')
    check "a newer HDF5: $command" sh -c "${command:-false}"
    equal "in the oldest format" "$(version older.h5)" 0
    differ "which it was not" "$(version known.h5)" 0
    equal "the same data" "$("$CAROUSEL" show --digest older.h5)" "$("$CAROUSEL" show --digest data.h5)"
    # repacked NAME FILE COMMAND...: the command refuses FILE and advises an h5repack, whose result it takes.
    repacked() {
        local name=$1 file=$2 command
        shift 2
        expect 65 "$name" "${@//@@/$file}"
        command=$(advice 'h5repack [^`)]*\.h5' | sed "s/OLD\.h5/$file/; s/NEW\.h5/repacked.h5/")
        rm -f repacked.h5
        check "$name: $command" sh -c "${command:-false}"
        check "$name: it moves nothing but bytes" mv "$file" "$file.away"
        [ ! -e elsewhere ] || mv elsewhere elsewhere.away
        expect 0 "$name: taken" "${@//@@/repacked.h5}"
    }
    other_storage=$(dirname "$CAROUSEL")/other_storage
    cp data.h5 plain.h5
    check "tokens in a file of their own" "$other_storage" external data.h5 external.h5 elsewhere
    repacked "external tokens" external.h5 "$CAROUSEL" show --digest @@
    equal "the same data" "$(cat "$out")" "$("$CAROUSEL" show --digest data.h5)"
    check "tokens in another data set" "$other_storage" virtual data.h5 virtual.h5 plain.h5
    repacked "virtual tokens" virtual.h5 "$CAROUSEL" show --digest @@
    equal "the same data" "$(cat "$out")" "$("$CAROUSEL" show --digest data.h5)"
    check "tokens in a chunk of 270 MB" "$other_storage" chunk data.h5 chunks.h5 -
    repacked "huge chunks" chunks.h5 "$CAROUSEL" show --digest @@
    equal "the same data" "$(cat "$out")" "$("$CAROUSEL" show --digest data.h5)"
    wanted=$(digest $model)
    h5repack -f GZIP=1 $model packed.h5 || exit 99
    repacked "a compressed checkpoint" packed.h5 "$CAROUSEL" show --digest @@
    equal "the same state" "$(digest repacked.h5)" "$wanted"
fi
finish
