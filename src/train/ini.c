/* Options in INI files (without sections), and in the text that checkpoints carry. */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

#include "carousel/train.h"

typedef struct ini_source {
    crs_settings *settings;
    const bool *fixed; /* options that are not to be changed: the command line's */
    const char *path;
    crs_status status; /* of what is wrong in it */
    bool recorded;     /* local options don't belong in it */
    FILE *file;        /* or: */
    const char *text;
    int line;
    crs_error *error;
} ini_source;

/* The next line, for inih; a line that does not fit ends the reading with an error. */
static char *next_line(char *line, int size, void *context) {
    ini_source *s = context;
    if (s->error->status)
        return NULL;
    if (s->file) {
        if (!fgets(line, size, s->file))
            return NULL;
    } else {
        const size_t all = strcspn(s->text, "\n"), length = all + (s->text[all] == '\n');
        if (length == 0)
            return NULL;
        const size_t fits = length < (size_t)size - 1 ? length : (size_t)size - 1;
        memcpy(line, s->text, fits);
        line[fits] = 0;
        s->text += fits;
    }
    s->line++;
    const size_t length = strlen(line);
    if (length == (size_t)size - 1 && line[length - 1] != '\n') {
        crs_fail(s->error, s->status, "%s:%d: the line is too long; at most %d bytes", s->path, s->line, size - 2);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = 0;
    const char *first = line + strspn(line, " \t\r\n");
    if (*first == '[')
        crs_fail(s->error, s->status, "%s:%d: sections have no meaning here; write `name = value` lines alone", s->path,
                 s->line);
    else if (*first && *first != ';' && *first != '#' && !strpbrk(first, "=:"))
        crs_fail(s->error, s->status, "%s:%d: '%.40s' is no `name = value`", s->path, s->line, line);
    memmove(line, first, strlen(first) + 1); /* indented lines would go on with the value before */
    return s->error->status ? NULL : line;
}

static int take_pair(void *context, const char *section, const char *name, const char *value) {
    ini_source *s = context;
    char where[512];
    (void)section;
    if (s->error->status)
        return 0;
    snprintf(where, sizeof where, "%.400s:%d: %.60s", s->path, s->line, name);
    const int option = crs_option_find(name);
    const bool local = option >= 0 && crs_options[option].class == CRS_OPTION_LOCAL;
    if (option < 0) {
        const char *close = crs_option_suggest(name);
        crs_fail(s->error, s->status, "%s: no such option%s%s%s", where, close ? "; did you mean " : "",
                 close ? close : "", close ? "?" : "");
    } else if ((local && s->recorded) || strcmp(name, "config") == 0) {
        crs_fail(s->error, s->status, "%s: this option has no place here; leave it out", where);
    } else if (!s->fixed[option]) {
        crs_settings_set(s->settings, option, value, where, s->status, s->error);
    }
    return s->error->status == CRS_OK;
}

static crs_status read_all(ini_source *s) {
    const int bad = ini_parse_stream(next_line, s, take_pair, s);
    if (s->error->status == CRS_OK && bad)
        return crs_fail(s->error, s->status, "%s:%d: no `name = value`", s->path, bad);
    return s->error->status;
}

crs_status crs_settings_read_file(crs_settings *settings, const char *path, crs_error *error) {
    FILE *file = fopen(path, "r");
    if (!file)
        return crs_fail(error, CRS_NO_INPUT, "--config=%s: %s", path, strerror(errno));
    bool fixed[sizeof settings->given / sizeof *settings->given];
    memcpy(fixed, settings->given, sizeof fixed);
    /* Either end on the command line wins over both in the file. */
    const int epochs = crs_option_find("epochs"), steps = crs_option_find("steps");
    fixed[epochs] = fixed[steps] = settings->given[epochs] || settings->given[steps];
    crs_error ours = {0};
    ini_source source = {
        .settings = settings, .fixed = fixed, .path = path, .status = CRS_CONFIG, .file = file, .error = &ours};
    if (read_all(&source) == CRS_OK && ferror(file))
        crs_fail(&ours, CRS_NO_INPUT, "--config=%s: it can't be read", path);
    fclose(file);
    if (ours.status)
        *error = ours;
    return ours.status;
}

crs_status crs_config_parse(crs_config *config, const char *text, const char *path, crs_error *error) {
    static const bool none[sizeof((crs_settings *)0)->given];
    crs_settings settings;
    crs_settings_default(&settings);
    crs_error ours = {0};
    char name[4200];
    snprintf(name, sizeof name, "%s, /config", path);
    ini_source source = {.settings = &settings,
                         .fixed = none,
                         .path = name,
                         .status = CRS_DATA,
                         .recorded = true,
                         .text = text,
                         .error = &ours};
    if (read_all(&source)) {
        *error = ours;
        return ours.status;
    }
    *config = settings.config;
    return CRS_OK;
}
