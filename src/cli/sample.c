/* carousel sample: text or music from a checkpoint. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/sample.h"
#include "cli/show_text.h"

enum {
    OPTION_PRIME,
    OPTION_PRIME_FILE,
    OPTION_LENGTH,
    OPTION_UNTIL,
    OPTION_TEMPERATURE,
    OPTION_TOP_K,
    OPTION_TOP_P,
    OPTION_SEED,
    OPTION_COUNT,
    OPTION_THREADS,
    OPTION_OUTPUT,
    OPTION_PRIME_FROM,
    OPTION_PRIME_STEPS,
    OPTION_STEPS,
    OPTION_GRID,
    OPTION_TEMPO,
    OPTIONS
};

static const crs_cli_option options[OPTIONS] = {
    [OPTION_PRIME] = {0, "prime", "TEXT", "what the text begins with (nothing)"},
    [OPTION_PRIME_FILE] = {0, "prime-file", "FILE", "the same from a file, all its bytes; - for standard input"},
    [OPTION_LENGTH] = {0, "length", "N", "characters (level word: words and line ends) after it (500)"},
    [OPTION_UNTIL] = {0, "until", "TEXT", "end a text early, once it ends with this"},
    [OPTION_TEMPERATURE] = {0, "temperature", "F", "below 1: safer, above 1: wilder; 0: always the likeliest (1)"},
    [OPTION_TOP_K] = {0, "top-k", "N", "choose among the N likeliest (all)"},
    [OPTION_TOP_P] = {0, "top-p", "F", "choose among the likeliest that make this probability (1)"},
    [OPTION_SEED] = {0, "seed", "N", "the same seed gives the same text on every machine (1)"},
    [OPTION_COUNT] = {0, "count", "N", "texts (1)"},
    [OPTION_THREADS] = {0, "threads", "N", "threads (1)"},
    [OPTION_OUTPUT] = {'o', "output", "OUT", "music: OUT.mid (standard MIDI) or OUT.json (a list of steps of notes)"},
    [OPTION_PRIME_FROM] = {0, "prime-from", "DATA.h5:N",
                           "music: go on after piece N, from 0, of the test split of this data set (begin anew)"},
    [OPTION_PRIME_STEPS] = {0, "prime-steps", "N", "music: after so many steps of that piece (all)"},
    [OPTION_STEPS] = {0, "steps", "N", "music: steps to be made (128)"},
    [OPTION_GRID] = {0, "grid", "1/N",
                     "music: a step is this part of a whole note (as the data of --prime-from say; "
                     "else drums 1/16, keys 1/4)"},
    [OPTION_TEMPO] = {0, "tempo", "F", "music: quarter notes a minute (120)"},
};

static const char *const operands[] = {"CHECKPOINT"};

enum { PRIME_MAX = 1 << 20 };

/* All of a file (- is standard input), into *text: the caller's, where it is not NULL. */
static crs_status read_prime(const char *path, char **text, crs_sampling *sampling, crs_error *error) {
    const bool standard = strcmp(path, "-") == 0;
    sampling->prime_name = standard ? "standard input" : path;
    sampling->prime = *text = crs_alloc_or_fail(PRIME_MAX + 1, 1, CRS_MEMORY_OTHER, "the prime", error);
    if (!*text)
        return error->status;
    FILE *file = standard ? stdin : fopen(path, "r");
    if (file)
        sampling->prime_bytes = fread(*text, 1, PRIME_MAX + 1, file);
    if (!file || ferror(file))
        crs_fail(error, CRS_NO_INPUT, "--prime-file=%s: %s; give a file that can be read, or - for standard input",
                 path, strerror(errno));
    else if (sampling->prime_bytes > PRIME_MAX)
        crs_fail(error, CRS_DATA, "--prime-file=%s: it is longer than %d bytes; give the last of them", path,
                 PRIME_MAX);
    if (file && !standard)
        fclose(file);
    return error->status;
}

static crs_status take_music(crs_sample_request *r, int option, const crs_typed *typed, crs_error *error) {
    const crs_range tempo = {.low = 4, .high = 1e4};
    switch (option) {
    case OPTION_OUTPUT:
        r->output = typed->value;
        return crs_score_check(typed->value, error);
    case OPTION_PRIME_FROM:
        r->prime_from = typed->value;
        return CRS_OK;
    case OPTION_PRIME_STEPS:
        return crs_typed_whole(typed, 0, INT32_MAX, &r->prime_steps, error);
    case OPTION_STEPS:
        return crs_typed_whole(typed, 0, 1 << 20, &r->steps, error);
    case OPTION_GRID:
        return crs_take_grid(typed, &r->grid, error);
    default:
        return crs_typed_real(typed, &tempo, &r->tempo, error);
    }
}

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    crs_sample_request *r = context;
    crs_sampling *s = &r->sampling;
    if (option != OPTION_TEMPERATURE && option != OPTION_SEED && option != OPTION_THREADS)
        *(option < OPTION_THREADS ? &r->for_text : &r->for_music) = options[option].name;
    const crs_range temperature = {.low = 0, .high = 1e6}, share = {.low = 0, .high = 1, .above_low = true};
    switch (option) {
    case OPTION_PRIME:
        s->prime = typed->value;
        s->prime_bytes = strlen(typed->value);
        s->prime_name = "--prime";
        return CRS_OK;
    case OPTION_PRIME_FILE:
        r->prime_file = typed->value;
        return CRS_OK;
    case OPTION_LENGTH:
        return crs_typed_whole(typed, 0, INT64_C(1000000000000), &s->length, error);
    case OPTION_UNTIL:
        if (!*typed->value)
            return crs_typed_refuse(typed, error, "a text, which is not empty");
        s->until = typed->value;
        s->until_bytes = strlen(typed->value);
        return CRS_OK;
    case OPTION_TEMPERATURE:
        return crs_typed_real(typed, &temperature, &s->temperature, error);
    case OPTION_TOP_K:
        return crs_typed_whole(typed, 1, INT32_MAX, &s->top_k, error);
    case OPTION_TOP_P:
        return crs_typed_real(typed, &share, &s->top_p, error);
    case OPTION_SEED:
        return crs_typed_seed(typed, &s->seed, error);
    case OPTION_COUNT:
        return crs_typed_whole(typed, 1, INT32_MAX, &s->count, error);
    case OPTION_THREADS:
        return crs_typed_whole(typed, 1, 1024, &r->threads, error);
    default:
        return take_music(r, option, typed, error);
    }
}

static const crs_cli sample_cli = {
    .name = "sample",
    .usage = "[OPTION]... CHECKPOINT",
    .about = "Write text with a trained network, token by token; or music, step by step.",
    .more = "Examples:\n"
            "  carousel sample run/best.h5 --prime='KING' --length=2000 --temperature=0.8\n"
            "  carousel sample run/best.h5 --count=3 --seed=7\n"
            "  carousel sample run/best.h5 --prime-from=music.h5:3 --steps=64 -o more.mid\n",
    .operands = operands,
    .operands_least = 1,
    .operands_most = 1,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

/* A person sees each character or word as it is made. */
static crs_status print(void *context, const char *bytes, size_t count, crs_error *error) {
    const bool *at_once = context;
    if (crs_output_write(bytes, count, error))
        return error->status;
    return *at_once ? crs_output_flush(error) : CRS_OK;
}

/* A text, as its model makes it. */
static crs_status write_text(crs_sample_request *r, crs_model *model, const crs_vocabulary *vocabulary,
                             crs_error *error) {
    char *text = NULL;
    bool at_once = isatty(STDOUT_FILENO) == 1;
    if ((!r->prime_file || read_prime(r->prime_file, &text, &r->sampling, error) == CRS_OK) &&
        crs_sample(model, vocabulary, &r->sampling, print, &at_once, error) == CRS_OK)
        crs_output_flush(error);
    crs_free(&text);
    return error->status;
}

/* What the checkpoint can be asked for, by what it says. */
static crs_status write_any(crs_sample_request *r, const char *checkpoint, crs_model *model,
                            const crs_vocabulary *vocabulary, const crs_schema *schema, crs_error *error) {
    const bool music = schema->inputs == CRS_INPUT_BITS;
    char says[96];
    crs_show_targets(schema, says, sizeof says);
    if (schema->targets != CRS_TARGET_NEXT)
        return crs_fail(error, CRS_USAGE,
                        "%s does not go on with a text or a piece, but says %s: "
                        "`carousel predict %s DATA.h5 -o OUT.csv` writes that",
                        checkpoint, says, checkpoint);
    if (music && r->for_text)
        return crs_fail(error, CRS_USAGE, "--%s is for text, and %s makes music; leave it out", r->for_text,
                        checkpoint);
    if (!music && r->for_music)
        return crs_fail(error, CRS_USAGE, "--%s is for music, and %s makes text; leave it out", r->for_music,
                        checkpoint);
    return music ? crs_sample_music(r, checkpoint, model, schema, error) : write_text(r, model, vocabulary, error);
}

crs_status crs_command_sample(int argc, char **argv, crs_error *error) {
    crs_sample_request r = {
        .sampling = {.prime = "", .length = 500, .temperature = 1, .top_p = 1, .seed = 1, .count = 1},
        .threads = 1,
        .prime_steps = -1,
        .steps = 128,
        .tempo = 120};
    crs_cli_arguments arguments;
    const crs_kernels *kernels;
    crs_model *model = NULL;
    crs_vocabulary vocabulary = {0};
    crs_schema schema = {0};
    if (crs_cli_parse(&sample_cli, argc, argv, &r, &arguments, error) || arguments.help)
        return error->status;
    if (r.prime_file && r.sampling.prime_name)
        return crs_fail(error, CRS_USAGE, "--prime and --prime-file both say what the text begins with; give one");
    if (crs_choose_kernels(NULL, &kernels, error))
        return error->status;
    if (crs_model_load(NULL, arguments.operand[0], kernels, (int)r.threads, &model, &vocabulary, &schema, error) ==
        CRS_OK)
        write_any(&r, arguments.operand[0], model, &vocabulary, &schema, error);
    crs_vocabulary_free(&vocabulary);
    crs_schema_free(&schema);
    crs_model_free(&model);
    return error->status;
}
