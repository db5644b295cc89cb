#!/bin/bash
# Files of strangers: what a file says opens no other file, loads no code, is no format and no command; and what it claims
# is not believed.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99
other_storage=$(dirname "$CAROUSEL")/other_storage
export OMPI_MCA_ess_singleton_isolated=1

text 3000 > text.txt
"$CAROUSEL" pack text -q -o data.h5 text.txt || exit 99
small=(--hidden=4 --layers=1 --threads=1 --quiet)
"$CAROUSEL" train data.h5 -o run "${small[@]}" --steps=2 || exit 99

# ---- other files, and plug-ins ----

printf 'abcdefghijklmnopqrstuvwxyz' > secret
cp data.h5 there.h5
mkdir plugins
if command -v strace > /dev/null && strace -qq -f -e trace=openat,open -o log true && [ -x "$other_storage" ]; then
    watched=(strace -qq -f -e trace=openat,open -o log)
    for kind in external virtual link vocabulary filter; do
        case $kind in
            external) other=raw.bytes words="$kind.h5 /train in_other_files" ;;
            virtual | link) other=there.h5 words="$kind.h5 /train in_other_files" ;;
            vocabulary) other=secret words="$kind.h5 /vocabulary in_other_files" ;;
            filter) other=plugins words="$kind.h5 /train filter_305 not_loaded" ;;
        esac
        check "$kind: a file" "$other_storage" $kind data.h5 $kind.h5 $other
        for command in "show" "show --verify" "train -o bad --quiet" "eval run/last.h5" "pack text text.txt -o new.h5 --vocabulary"; do
            [[ $command != pack* ]] || [ $kind = vocabulary ] || continue
            # shellcheck disable=SC2086
            [[ $command == pack* ]] && line=($command=$kind.h5) || line=($command $kind.h5)
            HDF5_PLUGIN_PATH=$WORK/plugins run "${watched[@]}" "$CAROUSEL" "${line[@]}"
            equal "$kind, ${command%% *}: refused" "$status" 65
            for word in $words; do
                says "$kind, ${command%% *}: tells $word" "$err" "${word//_/ }"
            done
            equal "$kind, ${command%% *}: $other is not opened" "$(grep -c "\"[^\"]*$other[^\"]*\"" log)" 0
        done
    done
    equal "nothing was made" "$(ls -d bad new.h5 2> /dev/null)none" none
else
    skip "other files and plug-ins: strace is missing (on Debian: apt-get install strace), or may not trace"
fi

# ---- texts in files are no formats, no commands, and drive no terminal ----

evil='%n%s%1$n$(touch pwned)`touch pwned`;touch pwned;'
cp text.txt "$evil"
cp text.txt $'\e[31mred'
expect 0 "pack what has such a name" "$CAROUSEL" pack text -o evil.h5 "$evil" $'\e[31mred'
expect 0 "show it" "$CAROUSEL" show evil.h5
says "as it is" "$out" "$evil"
equal "without control characters" "$(tr -d '\n[:print:]' < "$out" | wc -c)" 0
expect 0 "train on it" "$CAROUSEL" train evil.h5 -o "run$evil" --hidden=4 --layers=1 --threads=1 --steps=2
expect 0 "show that" "$CAROUSEL" show "run$evil/last.h5"
expect 0 "sample from it" "$CAROUSEL" sample "run$evil/last.h5" --length=5
{
    echo "who,x,$evil"
    for i in $(seq 0 99); do printf '%s,%d,%d\n' "$evil$((i / 10))" "$i" $((i % 7)); done
} > table.csv
expect 0 "columns and groups of such names" "$CAROUSEL" pack table -q --group=who --inputs=x "--targets=$evil" -o table.h5 table.csv
expect 0 "train on them" "$CAROUSEL" train table.h5 -o table "${small[@]}" --steps=2
expect 0 "predict them" "$CAROUSEL" predict -q table/last.h5 table.h5 -o said.csv
check "the names are there" grep -qF "$evil" said.csv
expect 0 "eval them" "$CAROUSEL" eval table/last.h5 table.h5
equal "no command was run" "$(find . -name pwned | wc -l)" 0

finish
