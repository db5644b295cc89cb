#!/bin/bash
# --rate may be another when a run of constant rate goes on: recorded, the same bits at any number of ranks and after a kill;
# refused where it is a part of the schedule.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99
small=(train data.h5 --hidden=11 --layers=2 --batch=9 --window=8 --dropout=0.2 --threads=1)

# rates_of RUN: how many entries its history of rates has, and the least and most of its rates and of its steps.
rates_of() {
    "$CAROUSEL" show --json "$1/last.h5" | grep -oE '"name":"/history/rate(_step)?",[^}]*' |
        sed 's/.*"shape":\[\([0-9]*\)\],"min":\([^,]*\),.*"max":\([^,]*\),.*/\1 \2 \3/' | tr '\n' ';'
}

expect 0 "begun" "$CAROUSEL" "${small[@]}" -o begun --steps=20 --rate=0.01 --quiet
equal "no history of rates so far" "none$(rates_of begun)" none
for name in one three killed again finished; do cp -r begun $name; done

expect 0 "on, at a lower rate" "$CAROUSEL" "${small[@]}" -o one --steps=600 --rate=0.001
says "it is told" "$err" "the rate is 0.001 from here on; it was 0.01"
says "it is recorded" <("$CAROUSEL" show one/last.h5) "rate             0.001"
equal "so is its history" "$(rates_of one)" "2 0.001 0.01;2 0.0 20.0;"
state=$(digest one/last.h5)
equal "the rate of each step" "$(sed 's/.*"rate": \([^,]*\),.*/\1/' one/metrics.jsonl | sort | uniq -c | tr -s ' ' | tr '\n' ';')" \
    " 580 0.001; 20 0.01;"
expect 0 "the same at three ranks" ranks 3 "$CAROUSEL" "${small[@]}" -o three --steps=600 --rate=0.001 --quiet
equal "the same bits" "$(digest three/last.h5)" "$state"

# Killed after the first save, and on without a word of the rate.
run env CAROUSEL_FAULT=checkpoint-kill-pruned "$CAROUSEL_FAULTS" "${small[@]}" -o killed --steps=600 --rate=0.001 \
    --save-every=10 --quiet
equal "killed" "$status" 137
says "on the way" <("$CAROUSEL" show killed/last.h5) "30"
says "the new rate was saved" <("$CAROUSEL" show killed/last.h5) "rate             0.001"
expect 0 "on" "$CAROUSEL" "${small[@]}" -o killed --steps=600 --quiet
equal "the same bits after a kill" "$(digest killed/last.h5)" "$state"
equal "the same history" "$(rates_of killed)" "$(rates_of one)"

# Another change; the same rate is none; of two changes before a step the last counts, as no step was made at the other.
expect 0 "the same rate" "$CAROUSEL" "${small[@]}" -o again --steps=30 --rate=0.01 --quiet
equal "is no change" "none$(rates_of again)" none
expect 0 "once" "$CAROUSEL" "${small[@]}" -o again --steps=40 --rate=0.001 --quiet
expect 0 "and once more" "$CAROUSEL" "${small[@]}" -o again --steps=50 --rate=0.0625 --quiet
equal "both are recorded" "$(rates_of again)" "3 0.001 0.0625;3 0.0 40.0;"
twice=("$CAROUSEL" "${small[@]}" -o twice --steps=9 --validate-every=1 --quiet)
expect 75 "stopped before its first validation" "${twice[@]}" --rate=0.01 --stop-after=0.001s
expect 75 "a change, the validation, and no step" "${twice[@]}" --rate=0.5 --stop-after=0.001s
equal "is recorded" "$(rates_of twice)" "2 0.01 0.5;2 0.0 1.0;"
expect 0 "another change" "${twice[@]}" --rate=0.25
equal "of two before a step the last counts" "$(rates_of twice)" "2 0.01 0.25;2 0.0 1.0;"
before=$(fingerprint finished)
expect 0 "a run that is finished" "$CAROUSEL" "${small[@]}" -o finished --steps=20 --rate=0.5 --quiet
equal "stays as it is" "$(fingerprint finished)" "$before"

# While the rate still grows, it grows to the new one.
expect 0 "a warm-up" "$CAROUSEL" "${small[@]}" -o warm --steps=10 --warmup=8 --rate=0.008 --save-every=4 --keep=9 --quiet
rm -f warm/best.h5 warm/last.h5 warm/step-0000000[1-35-9].h5 warm/step-00000010.h5
expect 0 "goes on from step 4" "$CAROUSEL" "${small[@]}" -o warm --rate=0.016
says "from there" "$err" "resuming warm at step 4"
equal "to the new rate" "$(sed 's/.*"rate": \([^,]*\),.*/\1/' warm/metrics.jsonl | tr '\n' ' ')" \
    "0.001 0.002 0.003 0.004 0.01 0.012 0.014 0.016 0.016 0.016 "

for schedule in step cosine; do
    expect 0 "schedule $schedule" "$CAROUSEL" "${small[@]}" -o $schedule --steps=4 --schedule=$schedule --quiet
    before=$(fingerprint $schedule)
    refused 78 "$schedule: the rate is a part of it" "--rate=0.001 --rate=0.002 $schedule" \
        "$CAROUSEL" "${small[@]}" -o $schedule --steps=8 --rate=0.001
    equal "$schedule: nothing changed" "$(fingerprint $schedule)" "$before"
done

finish
