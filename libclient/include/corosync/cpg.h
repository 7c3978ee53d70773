/* Closed process groups: processes on all nodes join a group by name, and its members see the same
 * messages and membership changes in the same order. Link with -lcpg.
 *
 * Any function may be called from any thread, also from inside a callback. A child after fork()
 * gets CS_ERR_BAD_HANDLE for the handles of its parent, and may initialize its own. Without a
 * daemon each function that needs it gives CS_ERR_LIBRARY. Out-parameters are written with CS_OK
 * only. */
#ifndef COROSYNC_CPG_H_DEFINED
#define COROSYNC_CPG_H_DEFINED

#include <corosync/corotypes.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CPG_MAX_NAME_LENGTH 128
/* Room in the list of cpg_membership_get. A group may have more members; callbacks and iteration
 * give them all. */
#define CPG_MEMBERS_MAX 128

typedef uint64_t cpg_handle_t;
typedef uint64_t cpg_iteration_handle_t;

/* CPG_TYPE_SAFE waits until all members' nodes hold the message; the others deliver agreed. */
typedef enum {
    CPG_TYPE_UNORDERED = 0,
    CPG_TYPE_FIFO = 1,
    CPG_TYPE_AGREED = 2,
    CPG_TYPE_SAFE = 3
} cpg_guarantee_t;

typedef enum {
    CPG_FLOW_CONTROL_DISABLED = 0,
    CPG_FLOW_CONTROL_ENABLED = 1
} cpg_flow_control_state_t;

typedef enum {
    CPG_REASON_UNDEFINED = 0,
    CPG_REASON_JOIN = 1,     /* cpg_join */
    CPG_REASON_LEAVE = 2,    /* cpg_leave */
    CPG_REASON_NODEDOWN = 3, /* The member's node is no longer with us. */
    CPG_REASON_NODEUP = 4,   /* A node came with members of the group. */
    CPG_REASON_PROCDOWN = 5  /* The process ended or closed its handle without cpg_leave. */
} cpg_reason_t;

typedef enum {
    CPG_ITERATION_NAME_ONLY = 1, /* Each group once, without members. */
    CPG_ITERATION_ONE_GROUP = 2, /* The members of one group. */
    CPG_ITERATION_ALL = 3        /* The members of all groups. */
} cpg_iteration_type_t;

typedef enum { CPG_MODEL_V1 = 1 } cpg_model_t;

struct cpg_address {
    uint32_t nodeid;
    uint32_t pid;
    uint32_t reason; /* cpg_reason_t, in left and joined lists. */
};

/* `length` bytes of any value; a final NUL counts if `length` does. */
struct cpg_name {
    uint32_t length;
    char value[CPG_MAX_NAME_LENGTH];
};

struct cpg_iteration_description_t {
    struct cpg_name group;
    uint32_t nodeid;
    uint32_t pid;
};

struct cpg_ring_id {
    uint32_t nodeid;
    uint64_t seq;
};

/* `msg` is valid and may be written to during the callback; it is aligned for any type. */
typedef void (*cpg_deliver_fn_t)(cpg_handle_t handle, const struct cpg_name* group_name,
                                 uint32_t nodeid, uint32_t pid, void* msg, size_t msg_len);

/* Members ascend by nodeid, then pid. */
typedef void (*cpg_confchg_fn_t)(cpg_handle_t handle, const struct cpg_name* group_name,
                                 const struct cpg_address* member_list, size_t member_list_entries,
                                 const struct cpg_address* left_list, size_t left_list_entries,
                                 const struct cpg_address* joined_list, size_t joined_list_entries);

/* After the configuration changes of all groups that a new ring caused. */
typedef void (*cpg_totem_confchg_fn_t)(cpg_handle_t handle, struct cpg_ring_id ring_id,
                                       uint32_t member_list_entries, const uint32_t* member_list);

typedef struct {
    cpg_deliver_fn_t cpg_deliver_fn;
    cpg_confchg_fn_t cpg_confchg_fn;
} cpg_callbacks_t;

typedef struct {
    cpg_model_t model;
} cpg_model_data_t;

/* One totem_confchg right after the first configuration change of the handle's group. */
#define CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF 0x01

typedef struct {
    cpg_model_t model;
    cpg_deliver_fn_t cpg_deliver_fn;
    cpg_confchg_fn_t cpg_confchg_fn;
    cpg_totem_confchg_fn_t cpg_totem_confchg_fn;
    unsigned int flags;
} cpg_model_v1_data_t;

/* Connects to cpgd. CS_ERR_TRY_AGAIN: it is not synchronised with the other nodes yet;
 * CS_ERR_ACCESS: this user may not. `callbacks` or a function in it may be NULL. */
cs_error_t cpg_initialize(cpg_handle_t* handle, cpg_callbacks_t* callbacks);
cs_error_t cpg_model_initialize(cpg_handle_t* handle, cpg_model_t model,
                                cpg_model_data_t* model_data, void* context);

/* Ends the handle; also inside a callback of it. A joined group sees CPG_REASON_PROCDOWN. */
cs_error_t cpg_finalize(cpg_handle_t handle);

/* A connected UNIX socket, readable exactly while cpg_dispatch has something to do (also when the
 * daemon is gone). Only for polling. */
cs_error_t cpg_fd_get(cpg_handle_t handle, int* fd);

/* The largest message that travels in one piece; larger ones are cut and put together again. */
cs_error_t cpg_max_atomic_msgsize_get(cpg_handle_t handle, uint32_t* size);

/* A pointer of the caller's. */
cs_error_t cpg_context_get(cpg_handle_t handle, void** context);
cs_error_t cpg_context_set(cpg_handle_t handle, void* context);

/* Runs callbacks in the calling thread. */
cs_error_t cpg_dispatch(cpg_handle_t handle, cs_dispatch_flags_t dispatch_types);

/* One group a handle. CS_OK: asked for; the own first configuration change says when it is so.
 * CS_ERR_EXIST: this handle, or another one of this process in the same group, has joined. */
cs_error_t cpg_join(cpg_handle_t handle, const struct cpg_name* group);
cs_error_t cpg_leave(cpg_handle_t handle, const struct cpg_name* group);

/* Sends one message, the pieces of `iovec` in a row, to the group that the handle has joined.
 * CS_OK: it has its place in the stream of this sender and will be delivered, to us also, unless
 * this node is lost. CS_ERR_TRY_AGAIN: nothing was taken, because the network or a receiver is
 * busy. */
cs_error_t cpg_mcast_joined(cpg_handle_t handle, cpg_guarantee_t guarantee,
                            const struct iovec* iovec, unsigned int iov_len);

/* The members now of any group. CS_ERR_TOO_BIG: more than CPG_MEMBERS_MAX; iterate instead. */
cs_error_t cpg_membership_get(cpg_handle_t handle, struct cpg_name* groupName,
                              struct cpg_address* member_list, int* member_list_entries);

cs_error_t cpg_local_get(cpg_handle_t handle, unsigned int* local_nodeid);

/* Always CPG_FLOW_CONTROL_DISABLED: cpg_mcast_joined says CS_ERR_TRY_AGAIN when it must. */
cs_error_t cpg_flow_control_state_get(cpg_handle_t handle,
                                      cpg_flow_control_state_t* flow_control_enabled);

/* Memory for a message to be sent by cpg_zcb_mcast_joined, as often as wanted. */
cs_error_t cpg_zcb_alloc(cpg_handle_t handle, size_t size, void** buffer);
cs_error_t cpg_zcb_free(cpg_handle_t handle, void* buffer);
cs_error_t cpg_zcb_mcast_joined(cpg_handle_t handle, cpg_guarantee_t guarantee, void* msg,
                                size_t msg_len);

/* Walks over groups and members as they were at initialize. `group` is given with
 * CPG_ITERATION_ONE_GROUP and only then. */
cs_error_t cpg_iteration_initialize(cpg_handle_t handle, cpg_iteration_type_t iteration_type,
                                    const struct cpg_name* group,
                                    cpg_iteration_handle_t* cpg_iteration_handle);
cs_error_t cpg_iteration_next(cpg_iteration_handle_t handle,
                              struct cpg_iteration_description_t* description);
cs_error_t cpg_iteration_finalize(cpg_iteration_handle_t handle);

#ifdef __cplusplus
}
#endif

#endif /* COROSYNC_CPG_H_DEFINED */
