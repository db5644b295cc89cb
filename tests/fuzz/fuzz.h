/* What the fuzz programs share. Each, tests/fuzz/fuzz_NAME.c, gives one parser one hostile input, and aborts where the
 * parser breaks a promise of its header. It is linked twice: with libFuzzer (`make fuzz`, where configure finds a clang
 * that has it), and with replay.c, which goes through the kept corpus (`make check`). */
#ifndef CAROUSEL_TESTS_FUZZ_H
#define CAROUSEL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "carousel/base.h"

/* One input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a file in memory, the same path each time. */
const char *fuzz_file(const uint8_t *data, size_t size);

/* What a parser leaves behind: an error of one line exactly where it failed, and (blocks: those before it began) no
 * memory where it did. */
void fuzz_check_outcome(crs_status status, const crs_error *error);
void fuzz_check_memory(int64_t blocks);

/* Inputs that were valid: a parser that refuses everything would pass all else. */
extern long long fuzz_accepted;

#endif
