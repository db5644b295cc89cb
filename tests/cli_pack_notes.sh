#!/bin/bash
# Music: `carousel pack notes`, and `sample` on what it trains.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

# hex DIGITS: bytes.
hex() {
    printf '%b' "$(printf '%s' "$*" | tr -d ' ' | sed 's/../\\x&/g')"
}
# midi FORMAT EVENTS: a file of one track, 4 pulses a quarter note; the end of the track is added.
midi() {
    local events="$2 00ff2f00" length
    length=$(printf '%s' "$events" | tr -d ' ' | wc -c)
    hex "4d546864 00000006 000$1 0001 0004  4d54726b $(printf '%08x' $((length / 2))) $events"
}
# nothing NAME: what was refused has left no file, and data.h5 as it was.
nothing() {
    equal "$1" "none$(ls x.h5 .*.tmp* 2> /dev/null)$(fingerprint data.h5)" "none$before"
}

# ---- packed ----

mkdir -p songs/b
midi 0 '00903c40 04803c00 00904040 08804000' > songs/a.mid
midi 1 '00904340 04804300' > songs/b/b.mid
midi 0 '00992440 01892400 03992640 01892600' | gzip > songs/drums.mid.gz
echo 'nothing to play' > songs/readme.txt
printf '{"train": [[[60, 64], [60, 64], [], [72]]], "valid": [[[60], [62]]], "test": [[[64], [65], [67]], [[67]]]}' > rolls.json
expect 0 "JSON" "$CAROUSEL" pack notes -o data.h5 rolls.json
says "it says what it made" "$err" "4 pieces, 10 steps of 88 keys"
says "and how it is split" "$err" "train 1, validation 1, test 2"
equal "nothing on standard output" "$(wc -c < "$out")" 0
before=$(fingerprint data.h5)
gzip -k rolls.json
expect 0 "JSON, packed" "$CAROUSEL" pack notes -o zipped.h5 rolls.json.gz
mkdir zipped
mv rolls.json.gz zipped/rolls.json
zipped() { (cd zipped && "$CAROUSEL" pack notes -o ../zipped.h5 rolls.json); }
expect 0 "under the name of before" zipped
equal "the same data" "$(digest zipped.h5 data)" "$(digest data.h5 data)"
mkdir marked
sed '1s/^/\xef\xbb\xbf /' rolls.json > marked/rolls.json
marked() { (cd marked && "$CAROUSEL" pack notes -o ../marked.h5 rolls.json); }
expect 0 "JSON behind a byte order mark" marked
equal "the same data" "$(digest marked.h5 data)" "$(digest data.h5 data)"
expect 0 "files" "$CAROUSEL" pack notes --grid=1/4 --low=60 --high=72 -o files.h5 songs/a.mid songs/b/b.mid
says "few are all for training" "$err" "too few files"
says "keys from the lowest to the highest" "$err" "2 pieces, 4 steps of 13 keys"
cat > info.csv << 'EOF'
style,midi_filename,split
funk,b/b.mid,test
funk,a.mid,train
rock,elsewhere.mid,train
EOF
mv songs/drums.mid.gz .
expect 0 "a folder and a table" "$CAROUSEL" pack notes --split-table=info.csv -o table.h5 songs
says "split by it" "$err" "train 1, validation 0, test 1"
says "what is not there is told" "$err" "1 of its rows"
expect 0 "drums" "$CAROUSEL" pack notes --drums --grid=1/4 -o drums.h5 drums.mid.gz
says "nine" "$err" "1 piece, 2 steps of 9 drums"
for i in $(seq 12); do cp songs/a.mid "song$i.mid"; done
expect 0 "shares" "$CAROUSEL" pack notes -o shares.h5 song*.mid
says "of the files" "$err" "train 9, validation 1, test 2"

# ---- refused ----

midi 2 '00903c40 04803c00' > format2.mid
midi 0 '00903c40 04904000 0490433f' > never.mid
head -c 30 songs/a.mid > cut.mid
head -c 10 songs/a.mid > head.mid
gzip -c songs/a.mid | head -c 25 > cut.mid.gz
midi 0 '0092 3c40 0482 3c00' > keys.mid
: > empty.mid
refused 65 "format 2" "format2.mid format 2 byte 8" "$CAROUSEL" pack notes -o x.h5 songs/a.mid format2.mid
refused 65 "a note that never ends" "never.mid note 60 channel 1 0.00 never ends" "$CAROUSEL" pack notes -o x.h5 never.mid
refused 65 "cut off" "cut.mid cut off byte 30" "$CAROUSEL" pack notes -o x.h5 songs/a.mid cut.mid
refused 65 "cut off in its header" "head.mid cut off byte 10" "$CAROUSEL" pack notes -o x.h5 head.mid
refused 65 "gzip that is cut off" "cut.mid.gz gzip cut off" "$CAROUSEL" pack notes -o x.h5 cut.mid.gz
refused 65 "an empty file" "empty.mid MThd" "$CAROUSEL" pack notes -o x.h5 empty.mid
refused 65 "no music" "songs/readme.txt MThd" "$CAROUSEL" pack notes -o x.h5 songs/readme.txt
refused 65 "no notes in range" "keys.mid 21 40 --low" "$CAROUSEL" pack notes --high=40 -o x.h5 keys.mid
refused 65 "no drums" "keys.mid drum channel 10" "$CAROUSEL" pack notes --drums -o x.h5 keys.mid
refused 65 "no keys" "drums.mid.gz 21 108" "$CAROUSEL" pack notes -o x.h5 drums.mid.gz
refused 65 "nothing to train on" "--split=0.5,0.5,0 1 file" "$CAROUSEL" pack notes --split=0.5,0.5,0 -o x.h5 songs/a.mid
refused 65 "two kinds" "rolls.json JSON songs/a.mid" "$CAROUSEL" pack notes -o x.h5 songs/a.mid rolls.json
echo '{"train": [[[60, 130]]]}' > bad.json
refused 65 "a note that there is not" "bad.json train piece 0 step 0" "$CAROUSEL" pack notes -o x.h5 bad.json
echo '{"train": [], "test": [[[60]]]}' > bad.json
refused 65 "nothing to train on" "bad.json 'train' empty" "$CAROUSEL" pack notes -o x.h5 bad.json
echo '{"train": [[[60]' > bad.json
refused 65 "JSON that is cut off" "bad.json:2:" "$CAROUSEL" pack notes -o x.h5 bad.json
refused 64 "JSON says its splits" "--split-table rolls.json" "$CAROUSEL" pack notes --split-table=info.csv -o x.h5 rolls.json
refused 64 "a range upside down" "--low=60 --high=50" "$CAROUSEL" pack notes --low=60 --high=50 -o x.h5 rolls.json
refused 64 "a note above all" "--high 128 127" "$CAROUSEL" pack notes --high=128 -o x.h5 rolls.json
for grid in 16 1/0 1/961 1/x 2/4 ''; do
    refused 64 "--grid=$grid" "--grid '$grid' 1/16" "$CAROUSEL" pack notes --grid="$grid" -o x.h5 songs
done
refused 66 "a missing file" "nowhere.mid" "$CAROUSEL" pack notes -o x.h5 songs/a.mid nowhere.mid
mkdir none
refused 66 "a folder without music" "none MIDI" "$CAROUSEL" pack notes -o x.h5 none
printf 'midi_filename,split\na.mid,train\n' > few.csv
refused 65 "a file that the table lacks" "songs/b/b.mid few.csv" "$CAROUSEL" pack notes --split-table=few.csv -o x.h5 songs
printf 'midi_filename,split\na.mid,train\nb/b.mid,dev\n' > dev.csv
refused 65 "a split that there is not" "dev.csv:3 'dev' validation" "$CAROUSEL" pack notes --split-table=dev.csv -o x.h5 songs
printf 'midi_filename,split\na.mid,train\nb/b.mid,test\na.mid,test\n' > twice.csv
refused 65 "a file in two splits" "twice.csv:4 a.mid train test" \
    "$CAROUSEL" pack notes --split-table=twice.csv -o x.h5 songs
printf 'midi_filename,split\na.mid,test\nb/b.mid,test\n' > test.csv
refused 65 "none for training" "test.csv training" "$CAROUSEL" pack notes --split-table=test.csv -o x.h5 songs
printf 'file,split\na.mid,test\n' > header.csv
refused 65 "a table of something else" "header.csv:1 midi_filename" \
    "$CAROUSEL" pack notes --split-table=header.csv -o x.h5 songs
refused 64 "both ways to split" "--split --split-table" \
    "$CAROUSEL" pack notes --split=1,0,0 --split-table=info.csv -o x.h5 songs
nothing "nothing was written"

# ---- trained, and played ----

model=(--hidden=16 --layers=1 --batch=1 --window=0 --rate=0.05 --steps=60 --quiet)
expect 0 "training" "$CAROUSEL" train data.h5 -o run "${model[@]}"
expect 0 "a piece goes on" "$CAROUSEL" sample run/last.h5 --prime-from=data.h5:0 --steps=6 -o on.json
says "it says so" "$err" "9 steps of 1/4, 3 of them given"
equal "nothing on standard output" "$(wc -c < "$out")" 0
equal "it begins as that does" "$(cut -c 1-20 on.json)" "[[64], [65], [67], ["
"$CAROUSEL" sample run/last.h5 --prime-from=data.h5:0 --steps=6 -q -o again.json --threads=2
equal "the same seed, the same piece" "$(cat again.json)" "$(cat on.json)"
expect 0 "another instruction set" env CAROUSEL_ISA=baseline \
    "$CAROUSEL" sample run/last.h5 --prime-from=data.h5:0 --steps=6 -o baseline.json
equal "the same piece" "$(cat baseline.json)" "$(cat on.json)"
expect 0 "a part of a piece" "$CAROUSEL" sample run/last.h5 --prime-from=data.h5:0 --prime-steps=1 --steps=1 -o part.json
says "its first step" "$err" "2 steps of 1/4, 1 of them given"
expect 0 "from nothing" "$CAROUSEL" sample run/last.h5 --steps=40 --seed=9 -o new.json
"$CAROUSEL" sample run/last.h5 --steps=40 --seed=10 -q -o other.json
differ "another seed, another piece" "$(cat new.json)" "$(cat other.json)"
# Read back, MIDI and JSON are the same roll (JSON wrapped in a split, MIDI without the silence at its end).
expect 0 "as MIDI" "$CAROUSEL" sample run/last.h5 --steps=40 --seed=9 --grid=1/8 -o new.mid
equal "that begins as such" "$(head -c 4 new.mid)" MThd
printf '{"train": [%s]}' "$(sed 's/\(, \[\]\)*\]$/]/' new.json)" > wrapped.json
expect 0 "packed as MIDI" "$CAROUSEL" pack notes --grid=1/8 -o midi.h5 new.mid
expect 0 "packed as JSON" "$CAROUSEL" pack notes -o json.h5 wrapped.json
"$CAROUSEL" predict run/last.h5 midi.h5 --split=train -q -o midi.csv
"$CAROUSEL" predict run/last.h5 json.h5 --split=train -q -o json.csv
equal "the same steps" "$(sed 's/new.mid//' midi.csv | md5sum)" "$(sed 's/wrapped.json//' json.csv | md5sum)"
check "there are some" test "$(wc -l < midi.csv)" -gt 10

# Readers that are not ours: midicsv, or else Python. Both print "track, time, event, channel, note, velocity".
cat > events.py << 'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
kind, tracks, quarter = struct.unpack(">4xIHHH", data[:14])[1:]
print("0, 0, Header, %d, %d, %d" % (kind, tracks, quarter))
at = 14
for track in range(1, tracks + 1):
    assert data[at:at + 4] == b"MTrk"
    end, at, time, status = at + 8 + struct.unpack(">I", data[at + 4:at + 8])[0], at + 8, 0, 0
    def number():
        global at
        value = 0
        while True:
            at += 1
            value = value << 7 | data[at - 1] & 127
            if data[at - 1] < 128:
                return value
    while at < end:
        time += number()
        if data[at] >= 128:
            status, at = data[at], at + 1
        if status >= 0xf0:
            at += status == 0xff
            length = number()
            at += length
        elif status >> 4 in (8, 9):
            name = "Note_on_c" if status >> 4 == 9 else "Note_off_c"
            print("%d, %d, %s, %d, %d, %d" % (track, time, name, status & 15, data[at], data[at + 1]))
            at += 2
        else:
            at += 1 if status >> 4 in (12, 13) else 2
    assert at == end
assert at == len(data)
END
readers=()
command -v midicsv > /dev/null && readers+=(midicsv)
command -v python3 > /dev/null && readers+=("python3 events.py")
# roll TICKS: the notes of events as rows of steps that last so long, as JSON.
roll() {
    awk -F', *' -v step="$1" '$3 == "Note_on_c" && $6 > 0 { on[$5] = $2; next }
        $3 ~ /^Note_o/ { for (t = on[$5]; t < $2; t += step) { bit[t / step, $5] = 1; steps = t / step + 1 > steps ? t / step + 1 : steps } }
        END { printf "["
            for (t = 0; t < steps; t++) { printf t ? ", [" : "["; n = 0
                for (note = 0; note < 128; note++) if ((t, note) in bit) printf n++ ? ", %d" : "%d", note
                printf "]" }
            print "]" }'
}
silent_end() { sed 's/\(, \[\]\)*\]$/]/'; }
expect 0 "a given piece goes on, as JSON" "$CAROUSEL" sample run/last.h5 --prime-from=data.h5:0 --steps=40 --seed=4 -o on.json
expect 0 "as MIDI" "$CAROUSEL" sample run/last.h5 --prime-from=data.h5:0 --steps=40 --seed=4 -o on.mid
equal "it begins as that does" "$(cut -c 1-18 on.json)" "[[64], [65], [67],"
for reader in "${readers[@]}"; do
    equal "${reader%% *}: what is given and what is new" "$($reader on.mid | roll 480)" "$(silent_end < on.json)"
    equal "${reader%% *}: eighths from nothing" "$($reader new.mid | roll 240)" "$(silent_end < new.json)"
done
[ "${#readers[@]}" -gt 0 ] || echo "skipped: neither midicsv nor python3 is here to read MIDI"
expect 0 "drums" "$CAROUSEL" train drums.h5 -o beat --hidden=4 --layers=1 --batch=1 --steps=3 --quiet
expect 0 "are played" "$CAROUSEL" sample beat/last.h5 --steps=16 -o beat.mid
says "in steps as they were packed" "$err" "16 steps of 1/4"
expect 0 "in others" "$CAROUSEL" sample beat/last.h5 --steps=64 --grid=1/16 -o beat.mid
says "that are told" "$err" "64 steps of 1/16"
expect 0 "as JSON" "$CAROUSEL" sample beat/last.h5 --steps=64 -o beat.json
for reader in "${readers[@]}"; do
    equal "${reader%% *}: channel 10 alone" "$($reader beat.mid | awk -F', *' '/Note_o/ { print $4 }' | sort -u)" 9
    equal "${reader%% *}: as many hits" "$($reader beat.mid | awk -F', *' '/Note_on_c/ && $6 > 0' | wc -l)" \
        "$(grep -o '[0-9][0-9]*' beat.json | wc -l)"
done
expect 0 "a grid of one's own" "$CAROUSEL" pack notes --grid=1/24 -o fine.h5 new.mid
says "show tells it" <("$CAROUSEL" show fine.h5) "a step is 1/24 of a whole note"
says "as JSON" <("$CAROUSEL" show --json fine.h5) '"grid":"1/24"'
expect 0 "a model of it" "$CAROUSEL" train fine.h5 -o fine --hidden=4 --layers=1 --batch=1 --steps=3 --quiet
expect 0 "knows it without the data" "$CAROUSEL" sample fine/last.h5 --steps=16 -o fine.mid
says "and says so" "$err" "16 steps of 1/24"
expect 0 "another one, if asked" "$CAROUSEL" sample fine/last.h5 --steps=16 --grid=1/8 -o fine.mid
says "it is that" "$err" "16 steps of 1/8"
expect 0 "JSON, of which one is told" "$CAROUSEL" pack notes --grid=1/8 -o told.h5 wrapped.json
says "is kept" <("$CAROUSEL" show told.h5) "a step is 1/8 of a whole note"
check "JSON, of which nobody says" test "$("$CAROUSEL" show json.h5 | grep -c grid)" -eq 0

refused 64 "no output" "-o OUT.mid" "$CAROUSEL" sample run/last.h5
refused 64 "no music" "out.wav .mid .json" "$CAROUSEL" sample run/last.h5 -o out.wav
refused 64 "options of text" "--length run/last.h5 music" "$CAROUSEL" sample run/last.h5 --length=5 -o out.mid
refused 64 "no number" "--prime-from=data.h5 DATA.h5:0" "$CAROUSEL" sample run/last.h5 --prime-from=data.h5 -o out.mid
refused 64 "no such piece" "data.h5 2 pieces" "$CAROUSEL" sample run/last.h5 --prime-from=data.h5:2 -o out.mid
refused 64 "a part of nothing" "--prime-steps --prime-from" "$CAROUSEL" sample run/last.h5 --prime-steps=3 -o out.mid
refused 65 "a piece of something else" "run/last.h5 drums.h5" \
    "$CAROUSEL" sample run/last.h5 --prime-from=drums.h5:0 -o out.mid
refused 66 "a piece of nowhere" "nowhere.h5" "$CAROUSEL" sample run/last.h5 --prime-from=nowhere.h5:0 -o out.mid
for form in mid json; do
    refused 73 "nowhere to write" "none/none/out.$form: written mkdir" "$CAROUSEL" sample run/last.h5 -o "none/none/out.$form"
done
printf 'hello hello hello hello hello hello' > hello.txt
"$CAROUSEL" pack text -q -o hello.h5 hello.txt
"$CAROUSEL" train hello.h5 -o hello --hidden=4 --layers=1 --steps=1 --quiet
refused 64 "music from text" "--output hello/last.h5 text" "$CAROUSEL" sample hello/last.h5 -o out.mid
equal "nothing was written" "none$(ls out.* 2> /dev/null)" none

finish
