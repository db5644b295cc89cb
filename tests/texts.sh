# Texts for tests, the same on every machine; sourced. Bash and POSIX awk.

# text LENGTH [SEED]: so many characters of words in a drawn order, on standard output.
text() {
    awk -v length_wanted="$1" -v seed="${2:-1}" 'BEGIN {
        count = split("the a ring of ranks turns and sums their gradients while one lane carries its state", words, " ")
        line = ""
        for (written = 0; written < length_wanted;) {
            seed = (seed * 16807 + 11) % 2147483647
            word = words[1 + int(seed / 65536) % count] (seed % 9 == 0 ? ".\n" : " ")
            word = substr(word, 1, length_wanted - written)
            printf "%s", word
            written += length(word)
        }
    }'
}
