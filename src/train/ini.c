/* Options in INI files (without sections), and in the text that checkpoints carry. */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <string.h>
#include <sys/stat.h>

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
    int seen[64]; /* by option: the line that gave it, or 0 */
    crs_error *error;
} ini_source;

static int next_byte(ini_source *s) {
    if (s->file)
        return getc(s->file);
    return *s->text ? (unsigned char)*s->text++ : EOF;
}

static void refuse_line(ini_source *s, const char *what) {
    crs_fail(s->error, s->status, "%s:%d: %s", s->path, s->line, what);
}

/* A whole line without its end; false at the end of the source, and where the line can't be one of options. */
static bool read_line(ini_source *s, char *line, size_t size) {
    static const char mark[] = "\xef\xbb\xbf"; /* some editors begin UTF-8 with it */
    size_t length = 0;
    int byte = next_byte(s);
    if (byte == EOF)
        return false;
    s->line++;
    for (; byte != EOF && byte != '\n' && byte != 0 && length < size - 1; byte = next_byte(s))
        line[length++] = (char)byte;
    line[length] = 0;
    if (byte == 0)
        refuse_line(s, "a zero byte; give a text file");
    else if (byte != EOF && byte != '\n')
        crs_fail(s->error, s->status, "%s:%d: the line is too long; at most %zu bytes", s->path, s->line, size - 2);
    line[strcspn(line, "\r")] = 0;
    if (s->line == 1 && strncmp(line, mark, 3) == 0)
        memmove(line, line + 3, strlen(line + 3) + 1);
    return s->error->status == CRS_OK;
}

/* Behind a blank, `#` begins a remark, as `;` does for inih. */
static void cut_remark(char *line) {
    for (char *at = line; *at; at++)
        if (*at == '#' && at > line && (at[-1] == ' ' || at[-1] == '\t')) {
            *at = 0;
            return;
        }
}

/* The next line, for inih, which has its own ideas of sections and of indented lines. */
static char *next_line(char *line, int size, void *context) {
    ini_source *s = context;
    if (s->error->status || !read_line(s, line, (size_t)size))
        return NULL;
    const char *first = line + strspn(line, " \t");
    memmove(line, first, strlen(first) + 1);
    cut_remark(line);
    if (*line == '[')
        refuse_line(s, "sections have no meaning here; write `name = value` lines alone");
    else if (*line && *line != ';' && *line != '#' && !strpbrk(line, "=:"))
        crs_fail(s->error, s->status, "%s:%d: '%.40s' is no `name = value`", s->path, s->line, line);
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
    } else if (s->seen[option]) {
        crs_fail(s->error, s->status, "%s: given in line %d already; leave one of them out", where, s->seen[option]);
    } else if (!s->fixed[option]) {
        crs_settings_set(s->settings, option, value, where, s->status, s->error);
    }
    if (option >= 0)
        s->seen[option] = s->line;
    return s->error->status == CRS_OK;
}

static crs_status read_all(ini_source *s) {
    const int bad = ini_parse_stream(next_line, s, take_pair, s);
    if (s->error->status == CRS_OK && bad)
        return crs_fail(s->error, s->status, "%s:%d: no `name = value`", s->path, bad);
    return s->error->status;
}

crs_status crs_settings_read_file(crs_settings *settings, const char *path, crs_error *error) {
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISFIFO(about.st_mode))
        return crs_fail(error, CRS_NO_INPUT, "--config=%s: not a file; give an INI file of `name = value` lines", path);
    FILE *file = fopen(path, "r");
    if (!file)
        return crs_fail(error, CRS_NO_INPUT, "--config=%s: %s; give an INI file that can be read", path,
                        strerror(errno));
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
