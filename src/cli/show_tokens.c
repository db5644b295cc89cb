/* A data set of tokens, for a person or a program. */
#include "config.h"

#include <string.h>

#include "carousel/data.h"
#include "cli/show.h"
#include "cli/show_text.h"

static int64_t tokens_of(const crs_dataset *d) {
    int64_t sum = 0;
    for (int s = 0; s < CRS_SPLITS; s++)
        sum += d->length[s];
    return sum;
}

static double share_of(const crs_dataset *d, int split) {
    int64_t all = tokens_of(d);
    return all > 0 ? (double)d->length[split] / (double)all : 0;
}

/* What the hashes say, where there are any. */
static void print_first(const crs_dataset *d) {
    char without[64] = "";
    size_t used = 0;
    for (int s = 0; s < CRS_SPLITS; s++)
        if (!*d->hash[s])
            used += (size_t)snprintf(without + used, sizeof without - used, "%s/%s", used ? ", " : "",
                                     crs_split_name((crs_split)s));
    if (!used)
        printf("%s: a data set of tokens, whole: every hash in it agrees\n", d->path);
    else
        printf("%s: a data set of tokens, as far as can be told: %s carr%s no hash\n", d->path, without,
               strchr(without, ',') ? "y" : "ies");
}

static void print_level(const crs_vocabulary *v) {
    static const char *const units[CRS_LEVELS] = {"character (a Unicode code point)", "byte", "word"};
    if (v->level == CRS_LEVEL_WORD)
        crs_show_line("level", "word: a token is a word, a line end is one too (--words=%s%s)",
                      crs_words_names()[v->words], v->lower ? " --lower" : "");
    else
        crs_show_line("level", "%s: a token is a %s", crs_level_name(v->level), units[v->level]);
}

static void print_all(const crs_dataset *d, int64_t bytes) {
    char number[32], words[48], size[32];
    print_first(d);
    crs_show_line("source", "%s", d->source && *d->source ? d->source : "not said");
    print_level(&d->vocabulary);
    crs_format_count(tokens_of(d), number);
    crs_show_words(tokens_of(d), words);
    crs_show_line("tokens", *words ? "%s, %s" : "%s", number, words);
    crs_show_vocabulary(&d->vocabulary);
    crs_show_line("digest", "%s", d->digest);
    crs_show_bytes(bytes, size);
    crs_show_line("size", "%s, %d byte%s a token", size, d->token_bytes, crs_plural(d->token_bytes, "", "s"));
    printf("\n%-12s  %16s  %8s\n", "Splits", "tokens", "share");
    for (int s = 0; s < CRS_SPLITS; s++) {
        crs_format_count(d->length[s], number);
        printf("  %-10s  %16s  %6.2f %%\n", crs_split_name((crs_split)s), number, 100 * share_of(d, s));
    }
}

static json_t *splits_object(const crs_dataset *d) {
    json_t *splits = json_object();
    for (int s = 0; s < CRS_SPLITS; s++)
        json_object_set_new(splits, crs_split_name((crs_split)s),
                            json_pack("{s:I, s:f, s:s}", "tokens", (json_int_t)d->length[s], "share", share_of(d, s),
                                      "xxh3_128", d->hash[s]));
    return splits;
}

static json_t *whole_object(const crs_dataset *d, int64_t bytes) {
    return json_pack("{s:o, s:s, s:o, s:s, s:i, s:I, s:i, s:s, s:I, s:o, s:o}", "file", crs_show_json_text(d->path),
                     "format", "carousel/tokens", "source", crs_show_json_text(d->source ? d->source : ""), "level",
                     crs_level_name(d->vocabulary.level), "vocabulary_size", (int)d->vocabulary.count, "tokens",
                     (json_int_t)tokens_of(d), "token_bytes", d->token_bytes, "data_digest", d->digest, "bytes",
                     (json_int_t)bytes, "splits", splits_object(d), "vocabulary",
                     crs_show_json_vocabulary(&d->vocabulary));
}

crs_status crs_show_verify(const crs_dataset *d, crs_error *error) {
    for (int s = 0; s < CRS_SPLITS && error->status == CRS_OK; s++) {
        char line[64];
        snprintf(line, sizeof line, "checking %s ...", crs_split_name((crs_split)s));
        crs_live(line); /* long only where the file is */
        crs_dataset_verify(d, (crs_split)s, error);
        crs_live("");
    }
    return error->status;
}

crs_status crs_show_tokens(const char *path, int64_t bytes, crs_show_form form, crs_error *error) {
    crs_dataset d;
    if (crs_dataset_open(&d, path, error))
        return error->status;
    if (crs_show_verify(&d, error)) {
        /* nothing is told of it */
    } else if (form == CRS_SHOW_DIGEST) {
        printf("data %s\n", d.digest);
    } else if (form == CRS_SHOW_VERIFY) {
        print_first(&d);
    } else if (form == CRS_SHOW_JSON) {
        crs_show_json_print(whole_object(&d, bytes), JSON_COMPACT, error);
    } else {
        print_all(&d, bytes);
    }
    crs_dataset_close(&d);
    return error->status;
}
