#!/bin/bash
# Words: `pack text --level=word`, and what trains on them, measures them and writes them.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

# vocabulary FILE: in the order of the tokens, as JSON has it; no word has a bracket.
vocabulary() {
    "$CAROUSEL" show --json "$1" | sed 's/.*"vocabulary":\[\([^]]*\)\].*/\1/'
}
# number NAME FILE: the first of that name.
number() {
    "$CAROUSEL" show --json "$2" | grep -o "\"$1\":[0-9]*" | head -n 1 | sed 's/.*://'
}

# ---- how a text is cut ----

printf 'The king, the KING:\tdon\342\200\231t  go\302\240to caf\303\251 2nd\r\nThe king\n' > text.txt
expect 0 "words" "$CAROUSEL" pack text --level=word -o data.h5 text.txt
equal "runs and signs, the frequent first" "$(vocabulary data.h5)" \
    '"\n","The","king",",","2nd",":","KING","café","don","go","t","the","to","’"'
equal "so many" "$(number tokens data.h5)" 17
says "it says how many" "$err" "17 tokens of 14 kinds"
says "show says what a token is" <("$CAROUSEL" show data.h5) "word: a token is a word"
expect 0 "small letters" "$CAROUSEL" pack text --level=word --lower -o lower.h5 text.txt
equal "no capital is left" "$(vocabulary lower.h5)" '"king","the","\n",",","2nd",":","café","don","go","t","to","’"'
expect 0 "between blanks" "$CAROUSEL" pack text --level=word --words=blank -o blank.h5 text.txt
equal "what stands between" "$(vocabulary blank.h5)" '"\n","The","2nd","KING:","café","don’t","go","king","king,","the","to"'
expect 0 "rare words" "$CAROUSEL" pack text --level=word --min-count=2 -o rare.h5 text.txt
equal "are one word" "$(vocabulary rare.h5)" '"<unk>","\n","The","king"'
says "it says how many there were" "$err" "unknown: 11 words"
equal "none is lost" "$(number tokens rare.h5)" 17
printf 'a <unk> b a\n' > unknown.txt
expect 0 "a text that has <unk>" "$CAROUSEL" pack text --level=word --words=blank -o unknown.h5 unknown.txt
equal "it is the first" "$(vocabulary unknown.h5)" '"<unk>","a","\n","b"'

# One text in several files, read in pieces: a word may go on.
printf 'The king, the K' > one.txt
printf 'ING:\tdon\342\200\231t  go\302\240to caf\303\251 2nd\r\nThe king\n' > two.txt
expect 0 "two files" "$CAROUSEL" pack text --level=word -o two.h5 one.txt two.txt
equal "the same words" "$(digest two.h5 data)" "$(digest data.h5 data)"
expect 0 "a pipe" bash -c 'cat text.txt | "$CAROUSEL" pack text --level=word -o pipe.h5 -'
equal "the same words" "$(digest pipe.h5 data)" "$(digest data.h5 data)"
printf 'no line end' > open.txt
expect 0 "a last word that nothing ends" "$CAROUSEL" pack text --level=word -o open.h5 open.txt
equal "it is there" "$(vocabulary open.h5)" '"end","line","no"'
awk 'BEGIN { for (i = 0; i < 600; i++) printf "x"; print "" }' > long.txt
expect 0 "a very long word" "$CAROUSEL" pack text --level=word -o long.h5 long.txt
equal "is cut in three" "$(number tokens long.h5)" 4

# ---- another's vocabulary ----

printf 'the king\nwent café\n' > other.txt
expect 0 "a given vocabulary says the level" "$CAROUSEL" pack text --vocabulary=rare.h5 -o given.h5 other.txt
equal "it is the same" "$(vocabulary given.h5)" "$(vocabulary rare.h5)"
says "what it lacks is <unk>" "$err" "unknown: 3 words"
equal "and stays" "$(number tokens given.h5)" 6
refused 65 "a word it lacks" "other.txt 'went' 9 data.h5 --unknown=drop" \
    "$CAROUSEL" pack text --vocabulary=data.h5 -o given.h5 other.txt
expect 0 "dropped" "$CAROUSEL" pack text --vocabulary=data.h5 --unknown=drop -o given.h5 other.txt
says "and told" "$err" "dropped: 1 words"
equal "the rest stays" "$(number tokens given.h5)" 5
expect 0 "one of small letters" "$CAROUSEL" pack text --vocabulary=lower.h5 --unknown=drop -o given.h5 text.txt
equal "cuts likewise" "$(number tokens given.h5)" 17
refused 64 "another level" "--level=char data.h5 words" "$CAROUSEL" pack text --level=char --vocabulary=data.h5 -o x.h5 text.txt
refused 64 "another cut" "--words=blank data.h5 unicode" \
    "$CAROUSEL" pack text --words=blank --vocabulary=data.h5 -o x.h5 text.txt
refused 64 "capitals" "--lower data.h5" "$CAROUSEL" pack text --lower --vocabulary=data.h5 -o x.h5 text.txt
refused 64 "counting again" "--min-count" "$CAROUSEL" pack text --min-count=2 --vocabulary=data.h5 -o x.h5 text.txt
refused 64 "words of characters" "--lower --level=word" "$CAROUSEL" pack text --lower -o x.h5 text.txt
refused 64 "a count of nothing" "--min-count" "$CAROUSEL" pack text --level=word --min-count=0 -o x.h5 text.txt
printf 'ab\377' > bad.txt
refused 65 "a byte that is not UTF-8" "bad.txt 2 0xff" "$CAROUSEL" pack text --level=word -o x.h5 bad.txt
printf ' \t ' > empty.txt
refused 65 "blanks alone" "empty.txt nothing to pack" "$CAROUSEL" pack text --level=word -o x.h5 empty.txt
equal "nothing was written" "none$(ls x.h5 2> /dev/null)" none

# ---- training, measuring, writing ----

for i in $(seq 60); do
    echo "The king said: \"No, I don't know (the $i.5 kings) a well-known man's house.\""
done > long.txt
expect 0 "a longer text" "$CAROUSEL" pack text --level=word --min-count=2 --split=0.8,0.1,0.1 -o long.h5 long.txt
model=(--hidden=12 --layers=1 --batch=6 --window=10 --lane=2 --steps=30 --rate=0.05 --save-every=10 --quiet)
expect 0 "training" "$CAROUSEL" train long.h5 -o run "${model[@]}"
equal "the vocabulary goes along" "$(vocabulary run/last.h5)" "$(vocabulary long.h5)"
expect 0 "at three ranks" ranks 3 "$CAROUSEL" train long.h5 -o run3 "${model[@]}"
equal "the same bits" "$(digest run3/last.h5)" "$(digest run/last.h5)"
rm run3/step-00000030.h5 run3/last.h5 run3/best.h5
expect 0 "resumed" "$CAROUSEL" train long.h5 -o run3 "${model[@]}"
equal "the same bits" "$(digest run3/last.h5)" "$(digest run/last.h5)"
expect 0 "measured" "$CAROUSEL" eval run/last.h5 long.h5
says "by the word" "$out" "a word"
"$CAROUSEL" eval --json run/last.h5 long.h5 > one.json
expect 0 "measured at two ranks" ranks 2 "$CAROUSEL" eval --json run/last.h5 long.h5
equal "the same" "$(cat "$out")" "$(cat one.json)"
refused 65 "data of other words" "data.h5 vocabulary" "$CAROUSEL" eval run/last.h5 data.h5
expect 0 "its vocabulary for another text" "$CAROUSEL" pack text --vocabulary=run/last.h5 -o given.h5 text.txt
equal "taken" "$(vocabulary given.h5)" "$(vocabulary long.h5)"

expect 0 "written" "$CAROUSEL" sample run/last.h5 --temperature=0 --length=60 --prime='The king said'
says "as one writes" "$out" "The king said: \"No, I don't know (the"
says "brackets and hyphens" "$out" "kings) a well-known man's house.\""
expect 0 "a blank behind the prime" "$CAROUSEL" sample run/last.h5 --temperature=0 --length=1 --prime='a well-known '
equal "is not doubled" "$(cat "$out")" "a well-known man"
expect 0 "an unknown word of the prime" "$CAROUSEL" sample run/last.h5 --length=2 --prime='Zebra'
says "stands as it is" "$out" "Zebra"
expect 0 "until a text" "$CAROUSEL" sample run/last.h5 --temperature=0 --length=60 --prime='The king' --until='know ('
equal "it ends with it" "$(cat "$out")" "The king said: \"No, I don't know ("
expect 0 "what the prime has" "$CAROUSEL" sample run/last.h5 --temperature=0 --length=3 --prime='The king' --until='king'
equal "does not count" "$(cat "$out")" 'The king said: "'
refused 64 "an empty text to end with" "--until" "$CAROUSEL" sample run/last.h5 --until=
expect 0 "seeds" "$CAROUSEL" sample run/last.h5 --seed=5 --length=40
first=$(cat "$out")
expect 0 "again" "$CAROUSEL" sample run/last.h5 --seed=5 --length=40 --threads=2
equal "give the same text" "$(cat "$out")" "$first"

# Characters end early, too.
expect 0 "characters" "$CAROUSEL" pack text --split=1,0,0 -o chars.h5 long.txt
expect 0 "trained" "$CAROUSEL" train chars.h5 -o chars --hidden=4 --layers=1 --batch=4 --window=10 --steps=2 --quiet
expect 0 "until one" "$CAROUSEL" sample chars/last.h5 --until=e --length=100000
equal "at the first" "$(tr -dc 'e' < "$out")" e
equal "and last" "$(tail -c 2 "$out")" e

finish
