// Loaded into ringd (LD_PRELOAD) by story_queue_errors.py, and linked into the device tests:
// between these and the real libraries, it does to the device what no command can do from outside.
//
//   HALO_RDMA_FAULTS      a file: when its first byte is not zero, ringd's queue pair is set to its
//                         error state, and the byte to zero
//   HALO_RDMA_QUEUE_MAX   the longest queue that the device claims to have
//   HALO_RDMA_LEAK        what is not given back: "queue_pair" or "memory_region"
#include <dlfcn.h>
#include <fcntl.h>
#include <rdma/rdma_cma.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace {

volatile char* order = nullptr;
ibv_qp* pair = nullptr;

template <class Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool leaks(std::string_view what) {
    const char* leaked = std::getenv("HALO_RDMA_LEAK");
    return leaked != nullptr && what == leaked;
}

// Before ringd gives up its privileges and its view of the files.
__attribute__((constructor)) void open_order() {
    const char* file = std::getenv("HALO_RDMA_FAULTS");
    const int fd = file == nullptr ? -1 : ::open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void* memory = ::mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED) order = static_cast<char*>(memory);
    ::close(fd);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

int rdma_create_qp(rdma_cm_id* id, ibv_pd* domain, ibv_qp_init_attr* wanted) {
    const int result = next<decltype(rdma_create_qp)>("rdma_create_qp")(id, domain, wanted);
    if (result == 0) pair = id->qp;
    return result;
}

void rdma_destroy_qp(rdma_cm_id* id) {
    if (id->qp == pair) pair = nullptr;
    if (leaks("queue_pair")) return;
    next<decltype(rdma_destroy_qp)>("rdma_destroy_qp")(id);
}

int ibv_dereg_mr(ibv_mr* region) {
    if (leaks("memory_region")) return 0;
    return next<decltype(ibv_dereg_mr)>("ibv_dereg_mr")(region);
}

int ibv_query_device(ibv_context* context, ibv_device_attr* device) {
    const int result = next<decltype(ibv_query_device)>("ibv_query_device")(context, device);
    if (const char* most = std::getenv("HALO_RDMA_QUEUE_MAX"); result == 0 && most != nullptr) {
        device->max_qp_wr = std::min(device->max_qp_wr, std::atoi(most));
    }
    return result;
}

// Where ringd waits, hence where it can be caught between two turns.
int epoll_pwait2(int fd, epoll_event* events, int count, const timespec* limit,
                 const sigset_t* mask) {
    if (order != nullptr && *order != 0 && pair != nullptr) {
        ibv_qp_attr attributes{};
        attributes.qp_state = IBV_QPS_ERR;
        (void)::ibv_modify_qp(pair, &attributes, IBV_QP_STATE);
        *order = 0;
    }
    return next<decltype(epoll_pwait2)>("epoll_pwait2")(fd, events, count, limit, mask);
}
}
#pragma GCC visibility pop
