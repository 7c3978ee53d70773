/* What a program sees of libsam: the result of each call in each state, and what becomes of a
 * process of each policy for each way to end. The expected output is what Corosync's library gave.
 *
 * usage: sam_conversation states | END POLICY INTERVAL_MS [WARN_SIGNAL] */
#include <corosync/sam.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_well(void) {
    return 0;
}

static int is_ill(void) {
    return -1;
}

static int times_asked;
static int is_ill_later(void) {
    return ++times_asked > 3 ? -1 : 0;
}

static void on_warning(int number) {
    static const char text[] = "warned\n";
    (void)number;
    if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0) _exit(99);
}

static void say(const char* call, cs_error_t result) {
    printf("%s %d\n", call, result);
    fflush(stdout);
}

static void say_size(void) {
    size_t size = 77;
    say("getsize", sam_data_getsize(&size));
    printf("size %zu\n", size);
}

static void try_all(const char* state) {
    printf("-- %s\n", state);
    say("start", sam_start());
    say("stop", sam_stop());
    say("hc_send", sam_hc_send());
    say("mark_failed", sam_mark_failed());
    say("callback", sam_hc_callback_register(is_well));
    say("no callback", sam_hc_callback_register(NULL));
    say("warn_signal", sam_warn_signal_set(SIGUSR1));
}

static void try_data(void) {
    char buffer[10] = "";
    say("getsize null", sam_data_getsize(NULL));
    say_size();
    say("store", sam_data_store("hello", 6));
    say_size();
    say("restore too small", sam_data_restore(buffer, 3));
    say("restore null", sam_data_restore(NULL, 10));
    say("restore", sam_data_restore(buffer, 10));
    printf("data '%s'\n", buffer);
    say("store too much", sam_data_store("x", (size_t)-1));
    say("store null", sam_data_store(NULL, 5));
    say_size();
    say("restore nothing", sam_data_restore(buffer, 10));
}

static int states(void) {
    unsigned int instance = 99;
    try_all("none");
    try_data();
    say("register", sam_register(&instance));
    say("finalize", sam_finalize());
    say("initialize 0", sam_initialize(0, (sam_recovery_policy_t)0));
    say("initialize 3", sam_initialize(0, (sam_recovery_policy_t)3));
    say("initialize 4", sam_initialize(0, (sam_recovery_policy_t)4));
    say("initialize", sam_initialize(60000, SAM_RECOVERY_POLICY_RESTART));
    say("initialize again", sam_initialize(0, SAM_RECOVERY_POLICY_QUIT));
    try_all("initialized");
    try_data();
    say("register", sam_register(NULL));
    say("register again", sam_register(&instance));
    printf("-- registered\n");
    say("stop", sam_stop());
    say("hc_send", sam_hc_send());
    say("mark_failed", sam_mark_failed());
    say("callback", sam_hc_callback_register(is_well));
    say("no callback", sam_hc_callback_register(NULL));
    say("warn_signal", sam_warn_signal_set(SIGUSR1));
    try_data();
    try_all("registered");
    say("start", sam_start());
    printf("-- started\n");
    say("start", sam_start());
    say("hc_send", sam_hc_send());
    say("callback", sam_hc_callback_register(is_well));
    say("warn_signal", sam_warn_signal_set(SIGUSR1));
    try_data();
    say("finalize", sam_finalize());
    say("finalize again", sam_finalize());
    try_all("finalized");
    try_data();
    say("register", sam_register(&instance));
    say("initialize", sam_initialize(0, SAM_RECOVERY_POLICY_QUIT));
    return 5;
}

/* Each life adds its number to the data. */
static void go_on_with_data(unsigned int instance) {
    char data[32] = "";
    char longer[48];
    size_t size = 0;
    say("getsize", sam_data_getsize(&size));
    if (size > 0) say("restore", sam_data_restore(data, sizeof(data)));
    printf("size %zu data '%s'\n", size, data);
    snprintf(longer, sizeof(longer), "%s%u", data, instance);
    say("store", sam_data_store(longer, strlen(longer) + 1));
}

static int is(const char* word, const char* other) {
    return strcmp(word, other) == 0;
}

static int live(const char* end, int policy, int interval_ms, int warn_signal) {
    unsigned int instance = 99;
    int i;
    say("initialize", sam_initialize(interval_ms, (sam_recovery_policy_t)policy));
    if (warn_signal != 0) say("warn_signal", sam_warn_signal_set(warn_signal));
    say("register", sam_register(&instance));
    printf("life %u\n", instance);
    go_on_with_data(instance);
    if (instance == 3) {
        say("start", sam_start());
        say("finalize", sam_finalize());
        return 6;
    }
    if (is(end, "exit-before")) return 7;
    if (is(end, "well")) say("callback", sam_hc_callback_register(is_well));
    if (is(end, "ill")) say("callback", sam_hc_callback_register(is_ill));
    if (is(end, "ill-later")) say("callback", sam_hc_callback_register(is_ill_later));
    if (is(end, "deaf")) signal(SIGTERM, on_warning);
    say("start", sam_start());
    if (is(end, "exit")) return 7;
    if (is(end, "exit-0")) return 0;
    if (is(end, "abort")) abort();
    if (is(end, "well")) {
        for (i = 0; i < 30; ++i)
            (void)poll(NULL, 0, 100);
    } else if (is(end, "says-so")) {
        for (i = 0; i < 30; ++i) {
            (void)poll(NULL, 0, 100);
            if (sam_hc_send() != CS_OK) return 9;
        }
    } else if (is(end, "exit-stopped") || is(end, "abort-stopped")) {
        say("stop", sam_stop());
        if (is(end, "abort-stopped")) abort();
        return 7;
    } else if (is(end, "silent-stopped")) {
        say("stop", sam_stop());
        (void)poll(NULL, 0, 500);
    } else if (!is(end, "exit-finalized") && !is(end, "abort-finalized")) {
        for (;;)
            pause();
    }
    say("finalize", sam_finalize());
    if (is(end, "abort-finalized")) abort();
    return 8;
}

int main(int argc, char** argv) {
    if (argc == 2 && is(argv[1], "states")) return states();
    if (argc < 4) return 2;
    return live(argv[1], atoi(argv[2]), atoi(argv[3]), argc > 4 ? atoi(argv[4]) : 0);
}
