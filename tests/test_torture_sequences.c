/* Memory runs out at every allocation of a whole command in turn: tables, series, music, tasks, and words; packed,
 * trained on, measured, predicted and written. See torture.h. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "harness.h"
#include "torture.h"

/* ---- what is packed ---- */

static FILE *new_file(const char *name) {
    FILE *file = harness_rank() == 0 ? fopen(harness_path(name), "wb") : NULL;
    CRS_ASSERT(file || harness_rank() != 0);
    return file;
}

static void put_bytes(const char *name, const char *bytes, size_t count) {
    FILE *file = new_file(name);
    if (file) {
        CU_ASSERT_EQUAL(fwrite(bytes, 1, count, file), count);
        fclose(file);
    }
}

/* Eight groups of two to four rows: two numbers, a class of each row and one of the group. mixed: not one after the
 * other. */
static void put_groups(const char *name, bool mixed) {
    FILE *file = new_file(name);
    if (!file)
        return;
    fputs("who,x,y,up,kind\n", file);
    for (int i = 0; i < 32; i++) {
        const int who = mixed ? i % 8 : i / 4, row = mixed ? i / 8 : i % 4;
        if (row < 2 + who % 3)
            fprintf(file, "g%d,%d,%d.5,%s,%s\n", who, i * 7 % 5, row * who, row % 2 ? "yes" : "no",
                    who % 2 ? "odd" : "even");
    }
    fclose(file);
}

static void put_rows(const char *name) {
    FILE *file = new_file(name);
    if (!file)
        return;
    fputs("time,load,heat\n", file);
    for (int i = 0; i < 24; i++)
        fprintf(file, "2024-02-%02d,%d,%d\n", i + 1, i * i % 17, i);
    fclose(file);
}

static void put_words(const char *name) {
    FILE *file = new_file(name);
    for (int i = 0; file && i < 20; i++)
        fputs(i % 3 ? "ring of ranks\n" : "the sum, the \xc3\xa4\xe2\x82\xac\n", file);
    if (file)
        fclose(file);
}

static void put_inputs(void) {
    static const char rolls[] = "{\"train\": [[[60], [62, 64], [], [60]], [[62], [64], [60]]],"
                                " \"valid\": [[[60], [62]]], \"test\": [[[64], [62, 64], [60]]]}";
    static const char series[] =
        "@problemName x\n@classLabel true a b\n@data\n1,2:3,4:a\n1,?,3:2,2,2:b\n4:5:a\n5:6:b\n";
    static const char midi[] =
        "MThd\0\0\0\6\0\0\0\1\0\4MTrk\0\0\0\24\0\x90\x3c\x40\4\x80\x3c\0\0\x90\x40\x40\x08\x80\x40\0"
        "\0\xff\x2f";
    put_groups("groups.csv", false);
    put_groups("mixed.csv", true);
    put_rows("rows.csv");
    put_words("words");
    put_bytes("rolls.json", rolls, sizeof rolls - 1);
    put_bytes("series.ts", series, sizeof series - 1);
    put_bytes("song.mid", midi, sizeof midi); /* with the zero at its end */
    harness_barrier();
}

/* ---- pack ---- */

#define OUT " -q -o DIR/made/old.h5 "
#define PACK(name, words)                                                                                   \
    {                                                                                                       \
        name, {crs_command_pack, NULL, words}, torture_put_output, torture_check_output, torture_hash_file, \
            "made/old.h5"                                                                                   \
    }

static void test_pack_sequences(void) {
    static const torture all[] = {
        PACK("pack table, a class a group",
             "pack table --group=who --inputs=x,y --class=kind --per-sequence" OUT "DIR/groups.csv"),
        PACK("pack table, mixed",
             "pack table --group=who --inputs=x --targets=y --missing=forward" OUT "DIR/mixed.csv"),
        PACK("pack table, a forecast", "pack table --time=time --context=3 --horizon=2" OUT "DIR/rows.csv"),
        PACK("pack series", "pack series --validation=0 --missing=zero" OUT "DIR/series.ts DIR/series.ts"),
        PACK("pack notes, JSON", "pack notes" OUT "DIR/rolls.json"),
        PACK("pack notes, MIDI", "pack notes --grid=1/4" OUT "DIR/song.mid DIR/song.mid"),
        PACK("pack task", "pack task --count=3,1,1" OUT "reber"),
    };
    torture_comm = crs_comm_open(NULL, NULL);
    put_inputs();
    torture_fail_all(all, sizeof all / sizeof *all);
}

/* ---- what is trained ---- */

#define MODEL " --hidden=3 --layers=1 --batch=2 --threads=1 --steps=1 --quiet "
typedef struct kind {
    command pack, train;
} kind;

enum { WHOLE, BITS, FORECAST, WORDS, KINDS, KINDS_OF_RANKS = FORECAST };
static const kind kinds[KINDS] = {
    [WHOLE] =
        {{crs_command_pack, NULL,
          "pack table --group=who --inputs=x,y --class=kind --per-sequence --split=0.5,0.25,0.25 -q -o DIR/whole.h5 "
          "DIR/groups.csv"},
         {NULL, crs_command_train,
          "train DIR/whole.h5 -o DIR/whole --bidirectional --layer-norm --pool=mean --dropout=0.2" MODEL}},
    [BITS] = {{crs_command_pack, NULL, "pack notes -q --low=60 --high=64 -o DIR/bits.h5 DIR/rolls.json"},
              {NULL, crs_command_train, "train DIR/bits.h5 -o DIR/bits --window=2" MODEL}},
    [FORECAST] =
        {{crs_command_pack, NULL,
          "pack table --time=time --context=3 --horizon=2 --split=0.6,0.2,0.2 -q -o DIR/forecast.h5 "
          "DIR/rows.csv"},
         {NULL, crs_command_train,
          "train DIR/forecast.h5 -o DIR/forecast --change --loss=gaussian --input-noise=0.1 --cell=gru" MODEL}},
    [WORDS] = {{crs_command_pack, NULL, "pack text --level=word --split=0.6,0.2,0.2 -q -o DIR/words.h5 DIR/words"},
               {NULL, crs_command_train, "train DIR/words.h5 -o DIR/words.run --window=4 --tie --embed=3" MODEL}},
};

static void begin(void) {
    torture_comm = crs_comm_open(NULL, NULL);
    put_inputs();
    for (int i = 0; i < KINDS; i++)
        torture_must_run(&kinds[i].pack);
    harness_barrier();
}

static void begin_trained(void) {
    begin();
    for (int i = 0; i < KINDS; i++)
        torture_must_run(&kinds[i].train);
    harness_barrier();
}

/* The state that a checkpoint holds; "" where there is none. Local. */
static void state_of(const char *name, char state[CRS_HASH_HEX]) {
    crs_checkpoint checkpoint;
    crs_error error = {0};
    char parameters[CRS_HASH_HEX];
    state[0] = '\0';
    if (crs_checkpoint_read(harness_path(name), &checkpoint, &error) != CRS_OK)
        return;
    crs_checkpoint_digests(&checkpoint, parameters, state);
    crs_checkpoint_free(&checkpoint);
}

static const char *const runs[KINDS] = {"whole", "bits", "forecast", "words.run"};
static int trained; /* the kind */

static void no_run(void) {
    torture_remove_all(runs[trained]);
}

/* What a failed run leaves is a checkpoint that can be read, or none; the same command goes on (now and then). */
static void check_run(void) {
    static int turn;
    char name[64], state[CRS_HASH_HEX];
    snprintf(name, sizeof name, "%s/last.h5", runs[trained]);
    if (harness_rank() == 0 && access(harness_path(name), F_OK) == 0) {
        state_of(name, state);
        CU_ASSERT(state[0] != '\0');
    }
    if (turn++ % 32 == 0)
        torture_must_run(&kinds[trained].train);
}

/* Several ranks take long: they train on whole sequences and on streams alone. */
static void test_train_sequences(void) {
    static const char *const results[KINDS] = {"whole/last.h5", "bits/last.h5", "forecast/last.h5",
                                               "words.run/last.h5"};
    begin();
    torture all[KINDS];
    const int count = harness_size() > 1 ? KINDS_OF_RANKS : KINDS;
    for (trained = 0; trained < count; trained++) {
        all[0] = (torture){runs[trained], kinds[trained].train, no_run, check_run, state_of, results[trained]};
        torture_fail_all(all, 1);
        torture_comm = crs_comm_open(NULL, NULL);
    }
    crs_comm_close(&torture_comm);
}

/* ---- what only reads ---- */

#define READ(name, command, words, result) \
    { name, {NULL, command, words}, torture_nothing, torture_nothing, torture_hash_file, result }

static void test_eval_sequences(void) {
    static const torture all[] = {
        READ("eval, a class", crs_command_eval, "eval --threads=1 -q DIR/whole/last.h5 DIR/whole.h5", "said-0-1"),
        READ("eval, bits", crs_command_eval, "eval --threads=1 --json -q DIR/bits/last.h5 DIR/bits.h5", "said-0-1"),
        READ("eval, a forecast", crs_command_eval, "eval --threads=1 -q DIR/forecast/last.h5 DIR/forecast.h5",
             "said-0-1"),
    };
    begin_trained();
    torture_fail_all(all, sizeof all / sizeof *all);
}

static void test_predict_sequences(void) {
    static const torture all[] = {
        READ("predict, a class, as text", crs_command_predict,
             "predict --threads=1 -q -o DIR/said.csv DIR/whole/last.h5 DIR/whole.h5", "said.csv"),
        READ("predict, bits, as HDF5", crs_command_predict,
             "predict --threads=1 -q -o DIR/said.h5 DIR/bits/last.h5 DIR/bits.h5", "said.h5"),
        READ("predict, a forecast, as HDF5", crs_command_predict,
             "predict --threads=1 -q -o DIR/said.h5 DIR/forecast/last.h5 DIR/forecast.h5", "said.h5"),
    };
    begin_trained();
    torture_fail_all(all, sizeof all / sizeof *all);
}

static void test_sample_sequences(void) {
    static const torture all[] = {
        {"sample music",
         {crs_command_sample, NULL,
          "sample -q --prime-from=DIR/bits.h5:0 --steps=4 -o DIR/made/old.h5.mid DIR/bits/last.h5"},
         torture_put_output,
         torture_check_output,
         torture_hash_file,
         "made/old.h5.mid"},
        {"sample music, as JSON",
         {crs_command_sample, NULL, "sample -q --steps=4 -o DIR/made/new.json DIR/bits/last.h5"},
         torture_put_output,
         torture_check_output,
         torture_hash_file,
         "made/new.json"},
        {"sample words",
         {crs_command_sample, NULL, "sample -q --prime=ring --until=of --length=9 DIR/words.run/last.h5"},
         torture_nothing,
         torture_nothing,
         torture_hash_file,
         "said-0-1"},
    };
    begin_trained();
    torture_fail_all(all, sizeof all / sizeof *all);
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_pack_sequences),   HARNESS_TEST(test_train_sequences),
                                         HARNESS_TEST(test_eval_sequences),   HARNESS_TEST(test_predict_sequences),
                                         HARNESS_TEST(test_sample_sequences), HARNESS_END};
    harness_add("torture of sequences", tests);
    return harness_run(argc, argv);
}
