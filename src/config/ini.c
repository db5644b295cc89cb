/* Options in INI files (without sections), and in the text that checkpoints carry. By hand: how long a line may be is
 * fixed when inih is built (200 bytes in Debian; a path may have 4,096), and it takes a CR for a blank. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "carousel/config.h"

enum { FILE_MOST = 1 << 20 };
static const char blanks[] = " \t";

/* ---- lines ---- */

/* Behind a blank, `#` and `;` begin a remark; then the blanks at the end go. */
static void cut_remark(char *line) {
    for (char *at = line; *at; at++)
        if ((*at == '#' || *at == ';') && (at == line || strchr(blanks, at[-1])))
            *at = 0;
    for (size_t length = strlen(line); length > 0 && strchr(blanks, line[length - 1]); length--)
        line[length - 1] = 0;
}

/* The next line that says something: *text moves behind it, *line counts. In a pair, name and value are cut out of the
 * line; otherwise *name is NULL, and *value the line. False at the end. */
static bool next_pair(char **text, int *line, char **name, char **value) {
    while (**text) {
        char *at = *text, *end = at + strcspn(at, "\r\n");
        *text = end + (end[0] == '\r' && end[1] == '\n' ? 2 : *end != 0);
        *end = 0;
        if (++*line == 1) /* some editors begin UTF-8 with a mark */
            at += crs_utf8_mark(at, strlen(at));
        at += strspn(at, blanks);
        cut_remark(at);
        if (!*at)
            continue;
        char *sign = *at == '[' ? NULL : strpbrk(at, "=:");
        *name = sign ? at : NULL;
        *value = sign ? sign + 1 + strspn(sign + 1, blanks) : at;
        if (sign) {
            *sign = 0;
            cut_remark(at);
        }
        return true;
    }
    return false;
}

bool crs_ini_pairs(const char *text, crs_ini_take *take, void *context) {
    char *copy = crs_copy_text(text), *rest = copy, *name, *value;
    int line = 0;
    while (copy && next_pair(&rest, &line, &name, &value))
        if (name)
            take(context, name, value);
    const bool done = copy != NULL;
    crs_free(&copy);
    return done;
}

/* ---- options ---- */

typedef struct ini_source {
    crs_settings *settings;
    const bool *fixed; /* options that are not to be changed: the command line's */
    const char *path;
    crs_status status;          /* of what is wrong in it */
    bool recorded;              /* local options don't belong in it */
    int seen[CRS_OPTIONS_MOST]; /* by option: the line that gave it, or 0 */
} ini_source;

static crs_status take_pair(ini_source *s, int line, const char *name, const char *value, crs_error *error) {
    char where[512];
    snprintf(where, sizeof where, "%.400s:%d: %.60s", s->path, line, name);
    const int option = crs_option_find(name);
    const bool local = option >= 0 && crs_options[option].class == CRS_OPTION_LOCAL;
    if (option < 0) {
        const char *close = crs_option_suggest(name);
        return crs_fail(error, s->status, "%s: no such option%s%s%s", where, close ? "; did you mean " : "",
                        close ? close : "", close ? "?" : "");
    }
    if ((local && s->recorded) || strcmp(name, "config") == 0)
        return crs_fail(error, s->status, "%s: this option has no place here; leave it out", where);
    if (s->seen[option])
        return crs_fail(error, s->status, "%s: given in line %d already; leave one of them out", where,
                        s->seen[option]);
    s->seen[option] = line;
    return s->fixed[option] ? CRS_OK : crs_settings_set(s->settings, option, value, where, s->status, error);
}

static crs_status take_all(ini_source *s, char *text, crs_error *error) {
    char *name, *value;
    int line = 0;
    while (error->status == CRS_OK && next_pair(&text, &line, &name, &value))
        if (name)
            take_pair(s, line, name, value, error);
        else if (*value == '[')
            crs_fail(error, s->status, "%s:%d: sections have no meaning here; write `name = value` lines alone",
                     s->path, line);
        else
            crs_fail(error, s->status, "%s:%d: '%.40s' is no `name = value`", s->path, line, value);
    return error->status;
}

/* All of a file, ended by a zero; owned by the caller. What can't be text is refused. */
static char *read_text(FILE *file, const char *path, crs_error *error) {
    char *text = crs_alloc_or_fail(FILE_MOST + 2, 1, CRS_MEMORY_OTHER, "a configuration", error);
    if (!text)
        return NULL;
    const size_t length = fread(text, 1, FILE_MOST + 1, file);
    int line = 1;
    for (const char *at = text; *at; at++)
        line += *at == '\n' || (*at == '\r' && at[1] != '\n');
    if (ferror(file))
        crs_fail(error, CRS_NO_INPUT, "--config=%s: it can't be read", path);
    else if (strlen(text) < length)
        crs_fail(error, CRS_CONFIG, "%s:%d: a zero byte; give a text file", path, line);
    else if (length > FILE_MOST)
        crs_fail(error, CRS_CONFIG, "%s:%d: more than %d bytes; give a file of `name = value` lines", path, line,
                 FILE_MOST);
    if (error->status)
        crs_free(&text);
    return text;
}

crs_status crs_settings_read_file(crs_settings *settings, const char *path, crs_error *error) {
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISFIFO(about.st_mode))
        return crs_fail(error, CRS_NO_INPUT, "--config=%s: not a file; give an INI file of `name = value` lines", path);
    FILE *file = fopen(path, "r");
    if (!file)
        return crs_fail(error, CRS_NO_INPUT, "--config=%s: %s; give an INI file that can be read", path,
                        strerror(errno));
    bool fixed[CRS_OPTIONS_MOST];
    memcpy(fixed, settings->given, sizeof fixed);
    /* Either end on the command line wins over both in the file. */
    const int epochs = crs_option_find("epochs"), steps = crs_option_find("steps");
    fixed[epochs] = fixed[steps] = settings->given[epochs] || settings->given[steps];
    crs_error ours = {0};
    ini_source source = {.settings = settings, .fixed = fixed, .path = path, .status = CRS_CONFIG};
    char *text = read_text(file, path, &ours);
    fclose(file);
    if (text)
        take_all(&source, text, &ours);
    crs_free(&text);
    if (ours.status)
        *error = ours;
    return ours.status;
}

crs_status crs_config_parse(crs_config *config, const char *text, const char *path, crs_error *error) {
    static const bool none[CRS_OPTIONS_MOST];
    crs_settings settings;
    crs_settings_default(&settings);
    crs_error ours = {0};
    char *copy = crs_copy_text(text), *name = crs_format_text("%s, /config", path);
    if (copy && name) {
        ini_source source = {.settings = &settings, .fixed = none, .path = name, .status = CRS_DATA, .recorded = true};
        take_all(&source, copy, &ours);
    } else {
        crs_fail(&ours, CRS_INTERNAL, "%s: out of memory for its configuration", path);
    }
    crs_free(&copy);
    crs_free(&name);
    if (ours.status)
        *error = ours;
    else
        *config = settings.config;
    return ours.status;
}
