/* Limits and service numbers, with the values of Corosync 3.1. */
#ifndef CORODEFS_H_DEFINED
#define CORODEFS_H_DEFINED

#include <netinet/in.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROCESSOR_COUNT_MAX 384
#define TOTEMIP_ADDRLEN (sizeof(struct in6_addr))

enum corosync_service_types {
    CMAP_SERVICE = 0,
    CFG_SERVICE = 1,
    CPG_SERVICE = 2,
    QUORUM_SERVICE = 3,
    PLOAD_SERVICE = 4,
    VOTEQUORUM_SERVICE = 5,
    MON_SERVICE = 6,
    WD_SERVICE = 7
};

#ifdef __cplusplus
}
#endif

#endif /* CORODEFS_H_DEFINED */
