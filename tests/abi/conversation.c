/* One process, alone in its group, walks through libcpg and prints what each call gives: one line a
 * call. What Corosync 3.1.7 prints on one node is in conversation.expected, less what
 * docs/compatibility.md names. Compiled from Corosync's headers where they are installed. */
#define _GNU_SOURCE
#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static size_t messages;
static size_t confchgs;
static size_t rings;
static size_t last_size;
static int sum_is_right;

static void deliver(cpg_handle_t handle, const struct cpg_name* group, uint32_t nodeid,
                    uint32_t pid, void* message, size_t size) {
    (void)handle;
    (void)nodeid;
    const unsigned char* bytes = message;
    unsigned sum = 0;
    for (size_t i = 0; i < size; ++i)
        sum += bytes[i];
    sum_is_right = sum == (unsigned)(size * 'x');
    last_size = size;
    ++messages;
    if (pid != (uint32_t)getpid()) printf("deliver: from another pid\n");
    if (group->length != 5) printf("deliver: name of %u bytes\n", group->length);
}

static void confchg(cpg_handle_t handle, const struct cpg_name* group,
                    const struct cpg_address* members, size_t member_count,
                    const struct cpg_address* left, size_t left_count,
                    const struct cpg_address* joined, size_t joined_count) {
    (void)handle;
    (void)members;
    ++confchgs;
    printf("confchg: name of %u bytes, %zu members, %zu left, %zu joined", group->length,
           member_count, left_count, joined_count);
    if (left_count > 0) printf(", left with %u", left[0].reason);
    if (joined_count > 0) printf(", joined with %u", joined[0].reason);
    printf("\n");
}

static void totem(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t count,
                  const uint32_t* members) {
    (void)handle;
    ++rings;
    printf("ring: seq %s, %u members%s\n", ring.seq > 0 ? "above 0" : "0", count,
           count > 0 && members[0] == ring.nodeid ? ", the first is its representative" : "");
}

static int wait_for(cpg_handle_t handle, int fd, const size_t* count, size_t wanted) {
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    while (*count < wanted) {
        if (poll(&watched, 1, 20000) != 1) return 0;
        if (cpg_dispatch(handle, CS_DISPATCH_ONE) != CS_OK) return 0;
    }
    return 1;
}

static cs_error_t send_x(cpg_handle_t handle, char* bytes, size_t size) {
    struct iovec pieces[2] = {{.iov_base = bytes, .iov_len = size / 2},
                              {.iov_base = bytes + size / 2, .iov_len = size - size / 2}};
    cs_error_t sent = CS_ERR_TRY_AGAIN;
    while (sent == CS_ERR_TRY_AGAIN)
        sent = cpg_mcast_joined(handle, CPG_TYPE_AGREED, pieces, 2);
    return sent;
}

#define SAY(call) printf("%s: %d\n", #call, (int)(call))

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    cpg_model_v1_data_t data;
    memset(&data, 0, sizeof(data));
    data.model = CPG_MODEL_V1;
    data.cpg_deliver_fn = deliver;
    data.cpg_confchg_fn = confchg;
    data.cpg_totem_confchg_fn = totem;
    data.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF;
    int context = 0;
    cpg_handle_t handle = 0;
    cpg_handle_t second = 0;
    struct cpg_name group = {.length = 5, .value = "crmd"};
    struct cpg_name other = {.length = 4, .value = "crmd"};
    struct cpg_name too_long = {.length = 129, .value = "x"};
    struct cpg_name nobody = {.length = 6, .value = "nobody"};

    SAY(cpg_model_initialize(&handle, CPG_MODEL_V1, (cpg_model_data_t*)&data, &context));
    SAY(cpg_initialize(&second, NULL));
    SAY(handle != 0 && handle != second);
    int fd = -1;
    SAY(cpg_fd_get(handle, &fd));
    struct ucred peer;
    socklen_t size = sizeof(peer);
    SAY(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    void* got = NULL;
    SAY(cpg_context_get(handle, &got));
    SAY(got == &context);
    SAY(cpg_context_set(handle, NULL));
    SAY(cpg_context_get(handle, &got));
    SAY(got == NULL);
    uint32_t atomic_size = 0;
    SAY(cpg_max_atomic_msgsize_get(handle, &atomic_size));
    SAY(atomic_size);
    cpg_flow_control_state_t flow = CPG_FLOW_CONTROL_ENABLED;
    SAY(cpg_flow_control_state_get(handle, &flow));
    SAY(flow);
    unsigned nodeid = 0;
    SAY(cpg_local_get(handle, &nodeid));
    SAY(nodeid != 0);
    SAY(cpg_dispatch(handle, CS_DISPATCH_ALL));
    SAY(cpg_dispatch(handle, CS_DISPATCH_ONE_NONBLOCKING));

    SAY(send_x(handle, "xx", 2));
    SAY(cpg_leave(handle, &group));
    SAY(cpg_join(handle, &too_long));
    SAY(cpg_join(handle, &group));
    SAY(cpg_join(handle, &group));
    SAY(cpg_join(handle, &other));
    SAY(cpg_join(second, &group));
    SAY(wait_for(handle, fd, &rings, 1));
    SAY(confchgs);

    static const size_t sizes[] = {0, 1, 100, 65536, 1047552, 1047553, 5000000};
    char* bytes = malloc(5000000);
    memset(bytes, 'x', 5000000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        SAY(send_x(handle, bytes, sizes[i]));
        SAY(wait_for(handle, fd, &messages, i + 1));
        SAY(last_size);
        SAY(sum_is_right);
    }
    free(bytes);
    SAY(cpg_dispatch(handle, CS_DISPATCH_ONE_NONBLOCKING));

    void* memory = NULL;
    SAY(cpg_zcb_alloc(handle, 64, &memory));
    memset(memory, 'x', 64);
    SAY(cpg_zcb_mcast_joined(handle, CPG_TYPE_AGREED, memory, 64));
    SAY(wait_for(handle, fd, &messages, 8));
    SAY(last_size);
    SAY(cpg_zcb_free(handle, memory));

    struct cpg_address members[CPG_MEMBERS_MAX];
    int count = -1;
    SAY(cpg_membership_get(handle, &group, members, &count));
    SAY(count);
    SAY(members[0].pid == (uint32_t)getpid() && members[0].nodeid == nodeid);
    SAY(cpg_membership_get(second, &nobody, members, &count));
    SAY(count);
    SAY(cpg_membership_get(handle, &too_long, members, &count));

    cpg_iteration_handle_t walk = 0;
    struct cpg_iteration_description_t entry;
    SAY(cpg_iteration_initialize(handle, CPG_ITERATION_ALL, &group, &walk));
    SAY(cpg_iteration_initialize(handle, CPG_ITERATION_ONE_GROUP, NULL, &walk));
    SAY(cpg_iteration_initialize(handle, CPG_ITERATION_NAME_ONLY, NULL, &walk));
    SAY(cpg_iteration_next(walk, &entry));
    SAY(entry.group.length);
    SAY(entry.nodeid + entry.pid);
    SAY(cpg_iteration_next(walk, &entry));
    SAY(cpg_iteration_finalize(walk));
    SAY(cpg_iteration_finalize(walk));
    SAY(cpg_iteration_initialize(handle, CPG_ITERATION_ONE_GROUP, &group, &walk));
    SAY(cpg_iteration_next(walk, &entry));
    SAY(entry.pid == (uint32_t)getpid());
    SAY(cpg_iteration_next(walk, &entry));
    SAY(cpg_iteration_finalize(walk));

    SAY(cpg_leave(handle, &group));
    SAY(wait_for(handle, fd, &confchgs, 2));
    SAY(cpg_leave(handle, &group));
    SAY(cpg_finalize(handle));
    SAY(cpg_finalize(handle));
    SAY(cpg_dispatch(handle, CS_DISPATCH_ALL));
    SAY(cpg_fd_get(handle, &fd));
    SAY(cpg_finalize(second));
    return 0;
}
