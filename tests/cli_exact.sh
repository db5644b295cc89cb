#!/bin/bash
# The same bits at any number of ranks and threads, on every instruction set, for every cell: and faults that would break
# this are noticed. Golden digests show a change of machine, compiler or library.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.9,0.1,0 -o data.h5 text.txt 2> /dev/null || exit 99

# Odd sizes, lanes of one and two rows, dropout, an epoch's end on the way.
options=(--hidden=19 --embed=9 --layers=2 --batch=23 --window=9 --dropout=0.3 --steps=20 --clip=0.5 --seed=5 --quiet)

# digest_of NAME COMMAND...: trains into a new folder and prints the digest of the state.
digest_of() {
    local name=$1
    shift
    if "$@" -o "$name" > /dev/null 2> "$name.err"; then
        digest "$name/last.h5"
    else
        echo "failed: $(tail -n 1 "$name.err")"
    fi
    rm -rf "$name"
}

# The instruction sets of this machine: what CAROUSEL_ISA takes.
isas=()
for isa in v4 v3 baseline; do
    CAROUSEL_ISA=$isa "$CAROUSEL" train data.h5 -o "isa-$isa" --hidden=2 --layers=1 --steps=1 --threads=1 --quiet 2> isa.err
    case $? in
        0) isas+=("$isa") ;;
        64) check "$isa is not had here, and what is had is listed" grep -q baseline isa.err ;;
        *) fail "CAROUSEL_ISA=$isa" "$(cat isa.err)" ;;
    esac
done
check "the baseline runs everywhere" test "${isas[-1]}" = baseline

for cell in lstm peephole gru rnn; do
    train=("$CAROUSEL" train data.h5 "${options[@]}" "--cell=$cell")
    wanted=$(digest_of one "${train[@]}" --threads=1)
    check "$cell: a digest" test "${#wanted}" -eq 32
    for n in 2 3 4 5 7; do
        equal "$cell: $n ranks" "$(digest_of more ranks "$n" "${train[@]}" --threads=1)" "$wanted"
    done
    for threads in 2 4; do
        equal "$cell: $threads threads" "$(digest_of more "${train[@]}" --threads="$threads")" "$wanted"
    done
    for isa in "${isas[@]}"; do
        equal "$cell: $isa" "$(CAROUSEL_ISA=$isa digest_of more "${train[@]}" --threads=1)" "$wanted"
    done
    equal "$cell: 3 ranks of 2 threads, baseline" \
        "$(CAROUSEL_ISA=baseline digest_of more ranks 3 "${train[@]}" --threads=2)" "$wanted"
done

# Ranks on unlike machines agree on what all have.
lowest=$(CAROUSEL_ISA=baseline digest_of one "$CAROUSEL" train data.h5 "${options[@]}" --threads=1)
loud=("$CAROUSEL" train data.h5 -o mixed --threads=1 "${options[@]}" --verbose)
"$MPIRUN" "${launcher_flags[@]}" -n 1 env "CAROUSEL_ISA=${isas[0]}" "${loud[@]}" : \
    -n 1 env CAROUSEL_ISA=baseline "${loud[@]}" 2> mixed.err
equal "unlike ranks: the bits" "$(digest mixed/last.h5)" "$lowest"
says "unlike ranks: the lowest" mixed.err "instruction set baseline (slow"

# One-hot input, one layer, larger vocabulary than embedding, lanes of several rows, no dropout; another optimizer.
for extra in "--embed=0 --layers=1" "--embed=40 --lane=3" "--batch=7 --window=33" "--dropout=0 --optimizer=rmsprop"; do
    read -ra more <<< "$extra"
    train=("$CAROUSEL" train data.h5 "${options[@]}" "${more[@]}")
    wanted=$(digest_of one "${train[@]}" --threads=1)
    equal "$extra: 3 ranks" "$(digest_of more ranks 3 "${train[@]}" --threads=1)" "$wanted"
    equal "$extra: 2 ranks of 2 threads, baseline" \
        "$(CAROUSEL_ISA=baseline digest_of more ranks 2 "${train[@]}" --threads=2)" "$wanted"
done

# ---- a digest says something: another seed, another step, another text are others ----

train=("$CAROUSEL" train data.h5 "${options[@]}" --threads=1)
wanted=$(digest_of one "${train[@]}")
differ "another seed" "$(digest_of more "${train[@]}" --seed=6)" "$wanted"
differ "another lane size" "$(digest_of more "${train[@]}" --lane=1)" "$wanted"
differ "one step more" "$(digest_of more "${train[@]}" --steps=21)" "$wanted"
differ "no dropout" "$(digest_of more "${train[@]}" --dropout=0)" "$wanted"

# ---- what must be noticed is noticed ----

faulty=("$CAROUSEL_FAULTS" train data.h5 "${options[@]}" --threads=1)
equal "the program with faults, none on" "$(digest_of more ranks 2 "${faulty[@]}")" "$wanted"
for fault in mask sum-float lane; do
    found=$(CAROUSEL_FAULT=$fault digest_of more ranks 2 "${faulty[@]}")
    check "fault $fault: the run itself ends well" test "${#found}" -eq 32
    differ "fault $fault changes the digest" "$found" "$wanted"
done

# ---- golden digests: parameters of small runs ----

# golden NAME DIGEST OPTION...
golden() {
    local name=$1 wanted=$2
    shift 2
    "$CAROUSEL" train data.h5 "${options[@]}" --threads=1 -o golden "$@" 2> golden.err || cat golden.err
    equal "golden: $name" "$(digest golden/last.h5 parameters)" "$wanted"
    rm -rf golden
}

golden lstm 3ebaf8c289181dc582a2cb0e99e03866 --cell=lstm
golden peephole b855717a8f1bd32155f2313f642bc965 --cell=peephole
golden gru 9259b5fefb0725464417036b6f0342b1 --cell=gru
golden rnn 60bcc537bee86780211f1b5f42ee4314 --cell=rnn
golden sgd 80cb4150de0c60d7ed2f7361a1752fe0 --optimizer=sgd --rate=0.5
golden momentum e3f512cbdcb657f2e45ba1155dd72811 --optimizer=sgd --momentum=0.9 --rate=0.1
golden rmsprop aae7ca671e337a3272d349fdbbb05e2d --optimizer=rmsprop
golden adagrad 603260e4aff213822aac9f33a4a2dccc --optimizer=adagrad --rate=0.05
golden adamw 56c69765456a4e5758424cca723ccebd --weight-decay=0.01
golden cosine d99b45581fd9657f061b8734cf8485db --schedule=cosine --warmup=5 --embed=0
# Runs begun when lanes had ceil(batch / lane) for a number by default go on to the same bits: 9 lanes of nominally 6 rows.
golden "nine lanes, as 6 rows each" 0a716789806d57a8b58df8e09f94b661 --batch=50 --window=50 --lane=6
golden "nine lanes, as a number" 0a716789806d57a8b58df8e09f94b661 --batch=50 --window=50 --lanes=9
golden "eight lanes, the default" f374ce0a7bcc974e2e947f762bd4443a --batch=50 --window=50

# ---- lanes: what a refusal advises is followed ----

lanes=("$CAROUSEL" train data.h5 --hidden=8 --layers=1 --batch=9 --window=30 --threads=1 --steps=1)
refused 78 "more ranks than --lanes" "--lanes=2 --lanes=3" ranks 3 "${lanes[@]}" -o lanes --lanes=2
expect 0 "--lanes=3 does" ranks 3 "${lanes[@]}" -o lanes --lanes=3
says "three lanes" "$err" "; 3 lanes"
refused 78 "it is fixed" "--lanes=4 --lanes=3 lanes" "${lanes[@]}" -o lanes --lanes=4
expect 0 "not given, it is taken from the run" "${lanes[@]}" -o lanes --steps=2
says "both numbers are recorded" <("$CAROUSEL" show lanes/last.h5) "lanes            3"
says "both numbers are recorded: rows" <("$CAROUSEL" show lanes/last.h5) "lane             3"
refused 78 "more lanes than rows" "--lanes=10 --batch=9 --lanes=9" "${lanes[@]}" -o more --lanes=10
expect 0 "--lanes=9 does" "${lanes[@]}" -o more --lanes=9

finish
