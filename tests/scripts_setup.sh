#!/bin/bash
# scripts/setup asks for nothing but what is missing, and says what would do where it cannot.
. "$srcdir/tests/lib.sh"

# A machine of our own making: what is installed stands in $WORK/installed, what apt-get is asked for in $WORK/asked.
mkdir "$WORK/bin" "$WORK/build"
for tool in bash cat dirname mkdir tail sed env nproc rm; do
    ln -s "$(command -v "$tool")" "$WORK/bin/$tool"
done
program() {
    { echo "#!$BASH"; cat; } > "$WORK/bin/$1"
    chmod +x "$WORK/bin/$1"
}
program dpkg-query <<< 'while read -r name; do [ "$name" != "${@: -1}" ] || echo -n installed; done < '"$WORK/installed"
program apt-get <<< 'echo "$*" >> '"$WORK/asked"
program id <<< 'cat '"$WORK/user"
setup() {
    rm -f "$WORK/asked"
    env PATH="$WORK/bin" "$BASH" "$srcdir/scripts/setup" --packages --build="$WORK/build" "$@"
}
asked() {
    cat "$WORK/asked" 2> /dev/null
}

: > "$WORK/installed"
echo 0 > "$WORK/user"
expect 0 "root, nothing installed" setup
says "it fetches the lists first" <(asked | head -n 1) "update"
asked | tail -n 1 | sed 's/.*--no-install-recommends //' | tr -s ' ' '\n' > "$WORK/all"
for package in gcc make autoconf automake pkg-config libopenmpi-dev openmpi-bin libhdf5-openmpi-dev libcunit1-dev \
    libxxhash-dev libjansson-dev libutf8proc-dev libhwloc-dev librandom123-dev libcsv-dev libsmf-dev \
    zlib1g-dev; do
    check "it asks for $package" grep -qx "$package" "$WORK/all"
done
grep -v '^libutf8proc-dev$' "$WORK/all" > "$WORK/installed"
expect 0 "root, one missing" setup
equal "it asks for that one" "$(asked | tail -n 1)" "install -q -y --no-install-recommends libutf8proc-dev"
echo 1000 > "$WORK/user"
expect 1 "neither root nor sudo" setup
equal "one line" "$(wc -l < "$err")" 1
says "it says what would do" "$err" "apt-get install libutf8proc-dev"
equal "nothing is asked for" "$(asked)$?" 1
program sudo <<< '[ "$1" = -n ] && exit 0; [ "$1" = -v ] || "$@"'
expect 0 "with sudo" setup
equal "by sudo" "$(asked | tail -n 1)" "install -q -y --no-install-recommends libutf8proc-dev"

# The tools of some tests: asked for by name alone, each by itself, and missed by nobody but these tests.
cp "$WORK/all" "$WORK/installed"
plain="install -q -y --no-install-recommends"
tools="update -q,$plain strace,$plain hdf5-tools,$plain valgrind,"
asked_for() {
    asked | tr '\n' ,
}
expect 0 "no tools" setup
equal "none is asked for" "$(asked)$?" 1
touch "$WORK/build/options"
expect 0 "the tools of tests" setup --tests
equal "one by one" "$(asked_for)" "$tools"
check "configure looks again" test ! -e "$WORK/build/options"
expect 0 "and those of the night" setup --tests --fuzz
equal "with what clang recommends: libFuzzer" "$(asked_for)" "${tools}install -q -y clang,"
expect 0 "Slurm's daemons, where they are wanted" setup --slurm
says "one by one" <(asked_for) "$plain munge,$plain slurm-wlm,"
program strace <<< ''
expect 0 "one is there" setup --tests
equal "it is not asked for" "$(asked_for)" "${tools/$plain strace,/}"
rm "$WORK/bin/sudo"
expect 0 "neither root nor sudo: it goes on" setup --tests
says "and says what would do" "$err" "apt-get install hdf5-tools valgrind"
equal "nothing is asked for" "$(asked)$?" 1
echo 0 > "$WORK/user"
program apt-get <<< 'echo "$*" >> '"$WORK/asked"'; [ "${@: -1}" != hdf5-tools ]'
touch "$WORK/build/options"
expect 0 "one can't be had" setup --tests
says "it says which" "$err" "hdf5-tools.log"
equal "and has the other" "$(asked | tail -n 1)" "$plain valgrind"
program h5repack <<< ''
program valgrind <<< ''
touch "$WORK/build/options"
expect 0 "all are there" setup --tests
equal "nothing is asked for" "$(asked)$?" 1
check "nor configured again" test -e "$WORK/build/options"
rm "$WORK/bin/strace"

program apt-get <<< 'exit 100'
expect 0 "the tools, without a network" setup --tests
says "it shows where" "$err" "update.log"
expect 0 "all is there: nothing to fetch" setup
: > "$WORK/installed"
expect 1 "apt-get fails" setup
says "it shows where" "$err" "update.log"
rm "$WORK/bin/dpkg-query"
expect 0 "not a Debian system" setup
says "it says who will name what is missing" "$err" "configure"
expect 0 "and tools are named" setup --tests
says "that are missing" "$err" "skip: strace"
expect 1 "a folder that cannot be" "$BASH" "$srcdir/scripts/setup" --packages --build=/dev/null/build
says "it names the folder" "$err" "/dev/null/build"

# What configure refuses.
if [ -x "$srcdir/configure" ]; then
    mkdir "$WORK/configure" && cd "$WORK/configure" || exit 1
    for flag in -ffast-math -Ofast -ffp-contract=fast -march=native; do
        expect 1 "configure refuses $flag" "$srcdir/configure" -q CFLAGS="-O2 $flag"
        says "it names $flag" "$err" "$flag in CFLAGS"
    done
    expect 1 "configure without pkg-config" "$srcdir/configure" -q PKG_CONFIG=false
    says "it names its package" "$err" "apt-get install pkg-config"
    for library in HDF5:libhdf5-openmpi-dev CUNIT:libcunit1-dev; do
        expect 1 "configure without ${library%:*}" "$srcdir/configure" -q "${library%:*}_LIBS=-lno-such-library"
        says "it names the package of ${library%:*}" "$err" "apt-get install ${library#*:}"
    done
    expect 1 "configure without MPI" "$srcdir/configure" -q CC=gcc
    says "it names the package of MPI" "$err" "apt-get install libopenmpi-dev"
fi
finish
