#!/bin/bash
# eval and predict of sequences: one counts what the other writes; the same at any number of ranks and threads; the simplest
# guess; what does not go together.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

# Series of 3 to 25 rows: two inputs, a class by step and one of the whole, a value that follows from them.
awk 'BEGIN {
    print "series,a,b,kind,up,y"
    split("flat,rising,falling", kinds, ",")
    for (n = 1; n <= 70; n++) {
        kind = n * n % 5 % 3 + 1
        slope = kind == 2 ? 0.3 : kind == 3 ? -0.3 : 0
        for (t = 0; t < 3 + n * 7 % 23; t++) {
            a = slope * t + (n * 31 + t * 17) % 11 / 20
            b = (n * 13 + t * 29) % 7 - 3
            printf "%s,%.4f,%d,%s,%s,%.4f\n", "s" n, a, b, kinds[kind], (b > 0 ? "yes" : "no"), 2 * a + b + 100
        }
    }
}' > series.csv
pack=("$CAROUSEL" pack table --quiet --group=series --inputs=a,b --split=0.6,0.2,0.2)
"${pack[@]}" --class=kind --per-sequence -o whole.h5 series.csv || exit 99
"${pack[@]}" --class=up -o steps.h5 series.csv || exit 99
"${pack[@]}" --targets=y,b -o values.h5 series.csv || exit 99
# One series of rows, to be forecast.
awk 'BEGIN { print "x,y"; for (t = 0; t < 400; t++) printf "%.4f,%.4f\n", sin(t / 5) * 3, cos(t / 5) + t / 1000 }' > rows.csv
"$CAROUSEL" pack table --quiet --context=12 --horizon=3 --split=0.6,0.2,0.2 -o waves.h5 rows.csv || exit 99

# Symbols, and keys of a piano that follow each other, of which the next are to be said.
"$CAROUSEL" pack task --quiet --count=60,12,12 -o symbols.h5 reber || exit 99
awk 'function split_of(name, n) { printf "\"%s\": [", name
        for (i = 0; i < n; i++) { printf "%s[", i ? ", " : ""
            for (t = 0; t < 5 + i * 7 % 9; t++) printf "%s[%d, %d]", t ? ", " : "", 60 + (t + i) % 4, 70 + (t * i) % 5
            printf "]" } printf "]" }
    BEGIN { printf "{"; split_of("train", 24); printf ", "; split_of("valid", 6); printf ", "; split_of("test", 7); print "}" }' \
    > keys.json
"$CAROUSEL" pack notes --quiet --low=58 --high=76 -o keys.h5 keys.json || exit 99

train=("$CAROUSEL" train --quiet --layers=1 --hidden=12 --batch=8 --rate=0.02 --threads=1)
"${train[@]}" whole.h5 -o whole --cell=gru --bidirectional --pool=mean --epochs=10 || exit 99
"${train[@]}" steps.h5 -o steps --cell=lstm --layer-norm --epochs=4 || exit 99
"${train[@]}" values.h5 -o values --cell=peephole --loss=gaussian --epochs=6 || exit 99
"${train[@]}" waves.h5 -o waves --cell=rnn --change --epochs=6 || exit 99
"${train[@]}" symbols.h5 -o symbols --cell=lstm --window=7 --epochs=3 || exit 99
"${train[@]}" keys.h5 -o keys --cell=gru --epochs=20 || exit 99

# number KEY: the number of that key in the one-line object in $out.
number() { sed -n 's/.*"'"$1"'": \([-0-9.e]*\).*/\1/p' "$out"; }
# near NAME A B: equal but for the digits that a table has.
near() {
    check "$1: $2, $3" awk -v a="$2" -v b="$3" 'BEGIN { d = a > b ? a - b : b - a; m = b < 0 ? -b : b; exit !(a != "" && b != "" && d <= 1e-6 + 1e-5 * m) }'
}

for what in whole steps values waves symbols keys; do
    expect 0 "$what: eval" "$CAROUSEL" eval --json "$what/last.h5" "$what.h5"
    cp "$out" "$what.said"
    expect 0 "$what: predict" "$CAROUSEL" predict "$what/last.h5" "$what.h5" -o "$what.csv" --quiet
    for n in 2 3; do
        expect 0 "$what: eval, $n ranks" ranks "$n" "$CAROUSEL" eval --json "$what/last.h5" "$what.h5"
        check "$what: the same numbers at $n ranks" cmp "$out" "$what.said"
        expect 0 "$what: predict, $n ranks" ranks "$n" "$CAROUSEL" predict "$what/last.h5" "$what.h5" -o many.csv --quiet
        check "$what: the same table at $n ranks" cmp many.csv "$what.csv"
    done
    expect 0 "$what: eval, 3 threads" "$CAROUSEL" eval --json --threads=3 "$what/last.h5" "$what.h5"
    check "$what: the same numbers by 3 threads" cmp "$out" "$what.said"
    equal "$what: targets" "$(number targets)" "$(($(wc -l < "$what.csv") - 1))"
    # What training notes at its end, of whole sequences and of streams, is what eval says of that split.
    expect 0 "$what: eval of validation" "$CAROUSEL" eval --json --split=validation "$what/last.h5" "$what.h5"
    near "$what: validation_loss" "$(sed -n '$s/.*"validation_loss": \([-0-9.e]*\).*/\1/p' "$what/metrics.jsonl")" "$(number loss)"
done

# ---- what eval counts is what predict says ----

for what in whole steps; do
    cp "$what.said" "$out"
    near "$what: accuracy" "$(awk -F, 'NR > 1 { n++; good += $4 == $6 } END { printf "%.12f", good / n }' "$what.csv")" \
        "$(number accuracy)"
    check "$what: it has learned" awk -v a="$(number accuracy)" 'BEGIN { exit !(a > 0.6) }'
    equal "$what: loss is nats" "$(number loss)" "$(number nats)"
    says "$what: a row a class" "$out" '"confusion": [['
done
equal "whole: sequences" "$(sed -n 's/.*"sequences": \([0-9]*\),.*/\1/p' whole.said)" 14
equal "whole: a line a sequence, by its last step" "$(sed -n '2p' whole.csv | cut -d, -f1-3)" \
    "0,s57,$(($(grep -c '^s57,' series.csv) - 1))"
equal "steps: sequences by name and step" "$(sed -n '2,4p' steps.csv | cut -d, -f1-3 | tr '\n' ' ')" "0,s57,0 0,s57,1 0,s57,2 "
equal "steps: the truth" "$(sed -n '2,$p' steps.csv | cut -d, -f6 | md5sum)" \
    "$(awk -F, 'substr($1, 2) + 0 > 56 { print $5 }' series.csv | md5sum)"

# columns FILE SAID TRUE: mse, mae and r2 of a column of a table.
errors() {
    awk -F, -v s="$2" -v t="$3" 'NR > 1 { n++; d = $s - $t; e += d * d; a += d < 0 ? -d : d; y += $t; q += $t * $t }
        END { printf "%.9f %.9f %.9f\n", e / n, a / n, 1 - e / (q - y * y / n) }' "$1"
}
# column NAME KEY: of that column of the object in $out.
column() { sed -n 's/.*{"name": "'"$1"'", \([^}]*\)}.*/\1/p' "$out" | sed -n 's/.*"'"$2"'": \([-0-9.e]*\).*/\1/p'; }
cp values.said "$out"
equal "values: the columns" "$(head -n 1 values.csv)" \
    "sequence,name,step,says:y,says:b,deviation:y,deviation:b,true:y,true:b"
read -r mse mae r2 < <(errors values.csv 4 8)
near "values: mse in units" "$mse" "$(column y mse)"
near "values: mae in units" "$mae" "$(column y mae)"
near "values: r2" "$r2" "$(column y r2)"
equal "values: loss is nats" "$(number loss)" "$(number nats)"
# Of scaled numbers: less the logarithm of each column's deviation in training.
unit() { awk -F, -v c="$1" 'NR > 1 && substr($1, 2) + 0 <= 42 { n++; s += $c; q += $c * $c }
    END { printf "%.12f", sqrt(q / n - (s / n) ^ 2) }' series.csv; }
near "values: nats, by the deviations" "$(awk -F, -v y="$(unit 6)" -v b="$(unit 3)" '
    function nats(said, deviation, is) { return 0.5 * log(8 * atan2(1, 1)) + log(deviation) + ((is - said) / deviation) ^ 2 / 2 }
    NR > 1 { n += 2; sum += nats($4, $6, $8) - log(y) + nats($5, $7, $9) - log(b) }
    END { printf "%.9f", sum / n }' values.csv)" "$(number nats)"
near "values: the truth" "$(sed -n '2p' values.csv | cut -d, -f8)" "$(grep '^s57,' series.csv | sed -n '1s/.*,//p')"

cp waves.said "$out"
equal "waves: a column a step of the horizon" "$(head -n 1 waves.csv)" \
    "sequence,name,step,says:x+1,says:y+1,says:x+2,says:y+2,says:x+3,says:y+3,true:x+1,true:y+1,true:x+2,true:y+2,true:x+3,true:y+3"
equal "waves: windows one step apart" "$(sed -n '2,4p' waves.csv | cut -d, -f3 | tr '\n' ' ')" "12 13 14 "
for c in 0 1; do
    cut -d, -f$((4 + c)),$((10 + c)) waves.csv > pairs
    sed '1d' waves.csv | cut -d, -f$((6 + c)),$((12 + c)) >> pairs
    sed '1d' waves.csv | cut -d, -f$((8 + c)),$((14 + c)) >> pairs
    read -r mse mae r2 < <(errors pairs 1 2)
    near "waves: mse of column $c" "$mse" "$(column "$([ $c = 0 ] && echo x || echo y)" mse)"
    near "waves: r2 of column $c" "$r2" "$(column "$([ $c = 0 ] && echo x || echo y)" r2)"
done

near "waves: loss is mse, of scaled numbers" "$(number loss)" "$(sed 's/.*"loss": [^,]*, "mse": \([-0-9.e]*\).*/\1/' "$out")"

cp symbols.said "$out"
equal "symbols: tokens are targets" "$(number tokens)" "$(number targets)"
equal "symbols: loss is nats" "$(number loss)" "$(number nats_per_token)"
near "symbols: bits" "$(number bits_per_token)" "$(awk -v n="$(number loss)" 'BEGIN { printf "%.12f", n / log(2) }')"
near "symbols: perplexity" "$(number perplexity)" "$(awk -v n="$(number loss)" 'BEGIN { printf "%.12f", exp(n) }')"

# Of each of the 19 keys its probability, and whether it is down.
cp keys.said "$out"
equal "keys: the columns" "$(head -n 1 keys.csv | cut -d, -f1-5,21-23,41)" "sequence,name,step,says:58,says:59,says:75,says:76,true:58,true:76"
equal "keys: loss is nats" "$(number loss)" "$(number nats_per_step)"
equal "keys: steps are targets" "$(number steps)" "$(number targets)"
read -r nats precision recall f1 < <(awk -F, 'NR > 1 { n++; for (i = 4; i < 23; i++) {
        nats -= log($(i + 19) ? $i : 1 - $i); said += $i > 0.5; is += $(i + 19); hits += $i > 0.5 && $(i + 19) } }
    END { printf "%.12f %.12f %.12f %.12f\n", nats / n, hits / said, hits / is, 2 * hits / (said + is) }' keys.csv)
near "keys: nats" "$nats" "$(number nats_per_step)"
near "keys: precision" "$precision" "$(number precision)"
near "keys: recall" "$recall" "$(number recall)"
near "keys: f1" "$f1" "$(number f1)"
check "keys: they are neither all wrong nor all right" awk -v f="$f1" 'BEGIN { exit !(f > 0.1 && f < 0.99) }'

# ---- the simplest guess ----

# figure NAME N: column N of that line of what eval prints.
figure() { awk -v name="$1" -v n="$2" '$1 == name { print $n; exit }' "$out"; }
expect 0 "whole, for a person" "$CAROUSEL" eval whole/last.h5 whole.h5
equal "whole: the most frequent class" "$(grep -o 'always [a-z]*' "$out")" "always \
$(awk -F, '!($1 in seen) && substr($1, 2) + 0 <= 42 && NR > 1 { seen[$1]; n[$4]++ } END { for (k in n) if (n[k] > n[best]) best = k; print best }' series.csv)"
best=$(grep -o 'always [a-z]*' "$out" | cut -d' ' -f2)
near "whole: how often it is right" "$(figure accuracy 3)" "$(awk -F, -v best="$best" 'NR > 1 { n++; good += $6 == best }
    END { printf "%.6f", good / n }' whole.csv)"
says "whole: the table of classes" "$out" 'true \ said'
expect 0 "waves, for a person" "$CAROUSEL" eval waves/last.h5 waves.h5
# The test split begins at row 320, and 12 rows early, as context; row 308 + s is its step s.
near "waves: the last value" "$(figure x 3)" "$(awk -F, 'NR == FNR { x[NR - 2] = $1; next }
    FNR > 1 { for (i = 10; i <= 14; i += 2) { d = $i - x[308 + $3 - 1]; e += d * d; n++ } }
    END { printf "%.6f", e / n }' rows.csv waves.csv)"

# ---- what does not go together ----

refused 65 "another kind of data" "whole/last.h5 steps.h5 class" "$CAROUSEL" eval whole/last.h5 steps.h5
refused 65 "the same to predict" "values.h5" "$CAROUSEL" predict whole/last.h5 values.h5 -o said.csv
refused 65 "at two ranks" "values.h5" ranks 2 "$CAROUSEL" eval whole/last.h5 values.h5
"${pack[@]}" --targets=y,a -o other.h5 series.csv || exit 99
refused 65 "other targets" "b a values/last.h5 other.h5" "$CAROUSEL" eval values/last.h5 other.h5
refused 78 "streams are of a text" "--streams values.h5" "$CAROUSEL" eval --streams=2 values/last.h5 values.h5
"${pack[@]}" --split=0.8,0.2,0 --targets=y,b -o no-test.h5 series.csv || exit 99
refused 65 "no test split" "no-test.h5 test" "$CAROUSEL" eval values/last.h5 no-test.h5

finish
