#!/bin/bash
# scripts/check-tunes counts the tunes that abc2midi accepts: with one made up here, and with the true one, where it is.
. "$srcdir/tests/lib.sh"
cd "$WORK" || exit 99

# A network whose tunes are whole for even seeds; it notes how it was called.
cat > network << 'EOF'
#!/bin/bash
echo "$*" >> "$(dirname "$0")/calls"
for word in "$@"; do
    case $word in --seed=*) seed=${word#--seed=} ;; esac
done
[ "$seed" != 13 ] || exit 70
printf 'X: 1\nT: number %s\nM: 4/4\nL: 1/4\n' "$seed"
[ $((seed % 2)) -eq 1 ] || printf 'K: C\nC D E F | G A B c |]\n'
EOF
# Of every six tunes two are refused with a word, one is left without a file, one has an empty one.
mkdir bin
cat > bin/abc2midi << 'EOF'
#!/bin/bash
number=$(sed -n 's/^T: number //p' "$1")
case $((number % 6)) in
    0) echo "Error in line-char 3-1 : no key" && echo MThd > "$3" ;;
    1) echo "Error in line-char 4-1 : no notes" && echo MThd > "$3" ;;
    2) echo "nothing to do" ;;
    3) : > "$3" ;;
    *) echo "Warning in line-char 2-0 : no Error" && echo MThd > "$3" ;;
esac
EOF
chmod +x network bin/abc2midi
tunes=(bash "$srcdir/scripts/check-tunes" --program="$WORK/network")
made_up=(env PATH="$WORK/bin:$PATH")

expect 0 "twelve tunes" "${made_up[@]}" "${tunes[@]}" --tunes=12 --temperature=0.5 --length=99 model.h5
equal "those without errors, with a file, are counted" "$(cat "$out")" "4 of 12 tunes accepted by abc2midi"
equal "a call a tune" "$(grep -c -e '--seed=' calls)" 12
says "seeds count from 1" calls "sample -q model.h5"
equal "each its own" "$(grep -o 'seed=[0-9]*' calls | sort -u | wc -l)" 12
equal "the options go along" "$(grep -c -e '--temperature=0.5 --length=99' calls)" 12
expect 0 "three tunes" "${made_up[@]}" "${tunes[@]}" --tunes=3 --output=kept model.h5
equal "none" "$(cat "$out")" "0 of 3 tunes accepted by abc2midi"
says "they are kept" kept/3.abc "T: number 3"
expect 0 "once more in the same folder" "${made_up[@]}" "${tunes[@]}" --tunes=3 --output=kept model.h5
equal "a file of before does not count" "$(cat "$out")" "0 of 3 tunes accepted by abc2midi"
expect 70 "a network that fails ends it" "${made_up[@]}" "${tunes[@]}" --tunes=13 model.h5
expect 1 "no checkpoint" "${made_up[@]}" "${tunes[@]}"
says "says what to give" "$err" "one checkpoint"
expect 1 "no tunes" "${made_up[@]}" "${tunes[@]}" --tunes=0 model.h5
expect 1 "no program" "${made_up[@]}" bash "$srcdir/scripts/check-tunes" --program=none model.h5
says "says how to get it" "$err" "scripts/setup"
expect 0 "--help" "${tunes[@]}" --help
says "tells the options" "$out" "--tunes=N"

if command -v abc2midi > /dev/null; then
    expect 0 "with the true abc2midi" "${tunes[@]}" --tunes=6 model.h5
    equal "tunes without a key are refused" "$(cat "$out")" "3 of 6 tunes accepted by abc2midi"
else
    expect 77 "without abc2midi" "${tunes[@]}" model.h5
    says "it says what to install" "$err" "apt-get install abcmidi"
fi
finish
