/* carousel pack table: CSV tables into a data set. */
#include "config.h"

#include <limits.h>
#include <string.h>

#include "cli/pack.h"

enum {
    OPTION_OUTPUT,
    OPTION_DELIMITER,
    OPTION_TIME,
    OPTION_GROUP,
    OPTION_INPUTS,
    OPTION_TARGETS,
    OPTION_CLASS,
    OPTION_PER_SEQUENCE,
    OPTION_CONTEXT,
    OPTION_HORIZON,
    OPTION_SPLIT,
    OPTION_SPLIT_ROWS,
    OPTION_SPLIT_COLUMN,
    OPTION_MISSING,
    OPTIONS
};

static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "DATA.h5", "the data set to write"},
    [OPTION_DELIMITER] = {0, "delimiter", "C", "what stands between fields: a character, or tab (,)"},
    [OPTION_TIME] = {0, "time", "COLUMN", "numbers or dates that must grow within a series; not an input"},
    [OPTION_GROUP] = {0, "group", "COLUMN", "the rows of a group are a series; without it, all rows are one"},
    [OPTION_INPUTS] = {0, "inputs", "A,B", "columns of numbers that are read (all that are nothing else)"},
    [OPTION_TARGETS] = {0, "targets", "A,B",
                        "columns of numbers that are to be said of each step; with --horizon, to be forecast (all "
                        "inputs)"},
    [OPTION_CLASS] = {0, "class", "COLUMN", "a class that is to be said of each step"},
    [OPTION_PER_SEQUENCE] = {0, "per-sequence", NULL,
                             "the class or the targets are of a whole series, and the same in all its rows"},
    [OPTION_CONTEXT] = {0, "context", "N", "forecast: from so many rows"},
    [OPTION_HORIZON] = {0, "horizon", "N", "forecast: the next so many rows"},
    [OPTION_SPLIT] = {0, "split", "A,B,C",
                      "shares for training, validation and test: of the rows of one series, or of the groups, in their "
                      "order (0.7,0.15,0.15)"},
    [OPTION_SPLIT_ROWS] = {0, "split-rows", "A,B,C", "as --split, but so many rows of one series; more are not used"},
    [OPTION_SPLIT_COLUMN] = {0, "split-column", "COLUMN", "a column that says train, validation or test"},
    [OPTION_MISSING] = {0, "missing", "WHAT",
                        "where a value is missing (empty, NA, nan): error, forward (take the last one), zero, or drop "
                        "(leave the row out) (error)"},
};

static const char *const operands[] = {"FILE.csv"};

/* What is taken, and how the splits were given. */
typedef struct taking {
    crs_table_pack pack;
    const char *cut_by; /* the option; NULL: none */
} taking;

static crs_status take_names(const crs_typed *typed, crs_names *names, crs_error *error) {
    crs_names_free(names);
    for (const char *at = typed->value; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char *name = crs_format_text("%.*s", (int)strcspn(at, ","), at);
        const bool empty = name && !*name, good = name && crs_names_add(names, name);
        crs_free(&name);
        if (empty)
            return crs_typed_refuse(typed, error, "names of columns, as --inputs=load,temperature");
        if (!good)
            return crs_fail(error, CRS_INTERNAL, "out of memory for the names of columns");
    }
    return CRS_OK;
}

static crs_status take_delimiter(const crs_typed *typed, char *delimiter, crs_error *error) {
    const char *value = typed->value;
    if (strcmp(value, "tab") == 0 || strcmp(value, "\\t") == 0)
        value = "\t";
    if (strlen(value) != 1 || strchr("\"\r\n .+-", *value) || (*value >= '0' && *value <= '9'))
        return crs_typed_refuse(typed, error, "one character, as ',' or ';', or tab");
    *delimiter = *value;
    return CRS_OK;
}

/* One of the three ways to cut; the same one again is fine. */
static crs_status choose_cut(taking *t, const crs_typed *typed, crs_cut cut, crs_error *error) {
    if (t->cut_by && t->pack.cut != cut)
        return crs_fail(error, typed->status, "%s: it contradicts %s, which says how to cut too; leave out one of them",
                        typed->where, t->cut_by);
    t->cut_by = cut == CRS_CUT_ROWS ? "--split-rows" : cut == CRS_CUT_COLUMN ? "--split-column" : "--split";
    t->pack.cut = cut;
    return CRS_OK;
}

static crs_status take_cut(taking *t, int option, const crs_typed *typed, crs_error *error) {
    switch (option) {
    case OPTION_SPLIT:
        return choose_cut(t, typed, CRS_CUT_SHARES, error)
                   ? error->status
                   : crs_pack_take_shares(typed, "0.7,0.15,0.15", t->pack.split, error);
    case OPTION_SPLIT_ROWS:
        return choose_cut(t, typed, CRS_CUT_ROWS, error)
                   ? error->status
                   : crs_pack_take_three(typed, 0, INT64_MAX / 4, false, "three numbers of rows, as 8640,2880,2880",
                                         t->pack.rows, error);
    default:
        t->pack.split_column = typed->value;
        return choose_cut(t, typed, CRS_CUT_COLUMN, error);
    }
}

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    taking *t = context;
    crs_table_pack *pack = &t->pack;
    switch (option) {
    case OPTION_OUTPUT:
        pack->output = typed->value;
        return CRS_OK;
    case OPTION_DELIMITER:
        return take_delimiter(typed, &pack->delimiter, error);
    case OPTION_TIME:
        pack->time = typed->value;
        return CRS_OK;
    case OPTION_GROUP:
        pack->group = typed->value;
        return CRS_OK;
    case OPTION_INPUTS:
        return take_names(typed, &pack->inputs, error);
    case OPTION_TARGETS:
        return take_names(typed, &pack->targets, error);
    case OPTION_CLASS:
        pack->class = typed->value;
        return CRS_OK;
    case OPTION_PER_SEQUENCE:
        pack->per_sequence = true;
        return CRS_OK;
    case OPTION_CONTEXT:
        return crs_typed_whole(typed, 1, INT_MAX, &pack->context, error);
    case OPTION_HORIZON:
        return crs_typed_whole(typed, 1, INT_MAX, &pack->horizon, error);
    case OPTION_MISSING:
        return crs_pack_take_missing(typed, &pack->missing, error);
    default:
        return take_cut(t, option, typed, error);
    }
}

static const crs_cli table_cli = {
    .name = "pack table",
    .usage = "[OPTION]... -o DATA.h5 FILE.csv...",
    .about = "Turn tables (CSV, with a header line of names) into a data set of sequences.\n"
             "Several files, with the same header, are taken as one; - is standard input.",
    .more = "Examples:\n"
            "  carousel pack table -o load.h5 --time=date --context=96 --horizon=24 load.csv\n"
            "  carousel pack table -o gait.h5 --group=walk --class=person --per-sequence \\\n"
            "      gait.csv\n",
    .operands = operands,
    .operands_least = 1,
    .operands_most = INT_MAX,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

crs_status crs_pack_table_command(int argc, char **argv, crs_error *error) {
    taking t = {.pack = {.delimiter = ',', .split = {0.7, 0.15, 0.15}}};
    crs_cli_arguments arguments;
    crs_packed_sequences packed;
    if (crs_cli_parse(&table_cli, argc, argv, &t, &arguments, error) == CRS_OK && !arguments.help &&
        crs_pack_check_output(t.pack.output, &table_cli, error) == CRS_OK) {
        t.pack.files = arguments.count;
        t.pack.file = (const char *const *)arguments.operand;
        if (crs_pack_table(&t.pack, &packed, error) == CRS_OK)
            crs_pack_tell_sequences(t.pack.output, &packed, t.pack.missing);
    }
    crs_names_free(&t.pack.inputs);
    crs_names_free(&t.pack.targets);
    return error->status;
}
