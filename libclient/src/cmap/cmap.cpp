// libcmap: the C interface. Arguments are checked here; what they mean is in instance.cpp and
// client.cpp.
#include "corosync/cmap.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "libclient/src/base/api_boundary.hpp"
#include "libclient/src/base/fork_guard.hpp"
#include "libclient/src/base/handle_table.hpp"
#include "libclient/src/cmap/instance.hpp"
#include "libclient/src/service/resume_time.hpp"

namespace {

namespace api = protocol::cmap;
using client::api_boundary;
using client::CmapClient;
using client::CmapInstance;

static_assert(CMAP_KEYNAME_MAXLEN == api::kKeyBytesMax);
static_assert(CMAP_TRACK_ADD == api::kAdd && CMAP_TRACK_MODIFY == api::kModify &&
              CMAP_TRACK_DELETE == api::kDelete);

struct Iteration {
    cmap_handle_t owner = 0;
    std::string prefix;
    std::mutex mutex;
    std::string after;  // The key that was given last.
};

struct Handles {
    client::HandleTable<CmapInstance> instances;
    client::HandleTable<Iteration> iterations;
};
const client::PerProcess<Handles> handles;

// Runs `body` on what the handle stands for.
template <class Body>
cs_error_t with_instance(cmap_handle_t handle, Body&& body) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->instances.find(handle);
        return instance == nullptr ? CS_ERR_BAD_HANDLE : body(*instance);
    });
}

// As above, with a key that can be sent.
template <class Body>
cs_error_t with_key(cmap_handle_t handle, const char* key, Body&& body) {
    return with_instance(handle, [&](CmapInstance& instance) {
        if (key == nullptr) return CS_ERR_INVALID_PARAM;
        const std::string name = key;
        if (name.size() > CMAP_KEYNAME_MAXLEN) return CS_ERR_NAME_TOO_LONG;
        return body(instance.client(), name);
    });
}

template <class Number>
cs_error_t set_number(cmap_handle_t handle, const char* key, Number number, api::Type type) {
    return with_key(handle, key, [&](CmapClient& cmap, const std::string& name) {
        return cmap.set(name, api::number(type, number));
    });
}

template <class Number>
cs_error_t get_number(cmap_handle_t handle, const char* key, Number* number, api::Type type) {
    return with_key(handle, key, [&](CmapClient& cmap, const std::string& name) {
        const auto value = cmap.get(name, CmapClient::Read::Compatible);
        if (!value) return value.error();
        const auto read = api::as<Number>(*value);
        if (value->type != type || !read) return CS_ERR_INVALID_PARAM;
        if (number != nullptr) *number = *read;
        return CS_OK;
    });
}

}  // namespace

// ---------------------------------------------------------------------------------------- handles

cs_error_t cmap_initialize(cmap_handle_t* handle) {
    return cmap_initialize_map(handle, CMAP_MAP_DEFAULT);
}

cs_error_t cmap_initialize_map(cmap_handle_t* handle, cmap_map_t map) {
    if (handle == nullptr) return CS_ERR_INVALID_PARAM;
    if (map != CMAP_MAP_ICMAP && map != CMAP_MAP_STATS) return CS_ERR_NOT_EXIST;
    auto* const all = handles.make();
    if (all == nullptr) return CS_ERR_NO_RESOURCES;
    return api_boundary([&] {
        auto opened =
            CmapClient::open({.map = map == CMAP_MAP_STATS ? api::Map::Stats : api::Map::Icmap,
                              .resume = client::resume_time("HALO_CMAP_RESUME_MS")});
        if (!opened) return opened.error();
        const auto instance = std::make_shared<CmapInstance>(*std::move(opened));
        const cmap_handle_t added = all->instances.add(instance);
        instance->set_handle(added);
        *handle = added;
        return CS_OK;
    });
}

cs_error_t cmap_finalize(cmap_handle_t handle) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->instances.remove(handle);
        if (instance == nullptr) return CS_ERR_BAD_HANDLE;
        all->iterations.remove_if(
            [&](const Iteration& iteration) { return iteration.owner == handle; });
        instance->finalize();
        return CS_OK;
    });
}

cs_error_t cmap_fd_get(cmap_handle_t handle, int* fd) {
    return with_instance(handle, [&](CmapInstance& instance) {
        if (fd == nullptr) return CS_ERR_INVALID_PARAM;
        return client::hand_out(instance.client().session().event_fd(), *fd);
    });
}

cs_error_t cmap_dispatch(cmap_handle_t handle, cs_dispatch_flags_t dispatch_types) {
    return with_instance(handle,
                         [&](CmapInstance& instance) { return instance.dispatch(dispatch_types); });
}

cs_error_t cmap_context_get(cmap_handle_t handle, const void** context) {
    return with_instance(handle, [&](CmapInstance& instance) {
        if (context == nullptr) return CS_ERR_INVALID_PARAM;
        *context = instance.context();
        return CS_OK;
    });
}

cs_error_t cmap_context_set(cmap_handle_t handle, const void* context) {
    return with_instance(handle, [&](CmapInstance& instance) {
        instance.set_context(context);
        return CS_OK;
    });
}

// ------------------------------------------------------------------------------------------- keys

cs_error_t cmap_set(cmap_handle_t handle, const char* key_name, const void* value, size_t value_len,
                    cmap_value_types_t type) {
    return with_key(handle, key_name, [&](CmapClient& cmap, const std::string& name) {
        if (value == nullptr || type < CMAP_VALUETYPE_INT8 || type > CMAP_VALUETYPE_BINARY) {
            return CS_ERR_INVALID_PARAM;
        }
        auto made = api::value_of(static_cast<api::Type>(type),
                                  std::string_view(static_cast<const char*>(value), value_len));
        return made ? cmap.set(name, *std::move(made)) : CS_ERR_INVALID_PARAM;
    });
}

cs_error_t cmap_set_int8(cmap_handle_t handle, const char* key_name, int8_t value) {
    return set_number(handle, key_name, value, api::Type::Int8);
}
cs_error_t cmap_set_uint8(cmap_handle_t handle, const char* key_name, uint8_t value) {
    return set_number(handle, key_name, value, api::Type::Uint8);
}
cs_error_t cmap_set_int16(cmap_handle_t handle, const char* key_name, int16_t value) {
    return set_number(handle, key_name, value, api::Type::Int16);
}
cs_error_t cmap_set_uint16(cmap_handle_t handle, const char* key_name, uint16_t value) {
    return set_number(handle, key_name, value, api::Type::Uint16);
}
cs_error_t cmap_set_int32(cmap_handle_t handle, const char* key_name, int32_t value) {
    return set_number(handle, key_name, value, api::Type::Int32);
}
cs_error_t cmap_set_uint32(cmap_handle_t handle, const char* key_name, uint32_t value) {
    return set_number(handle, key_name, value, api::Type::Uint32);
}
cs_error_t cmap_set_int64(cmap_handle_t handle, const char* key_name, int64_t value) {
    return set_number(handle, key_name, value, api::Type::Int64);
}
cs_error_t cmap_set_uint64(cmap_handle_t handle, const char* key_name, uint64_t value) {
    return set_number(handle, key_name, value, api::Type::Uint64);
}
cs_error_t cmap_set_float(cmap_handle_t handle, const char* key_name, float value) {
    return set_number(handle, key_name, value, api::Type::Float);
}
cs_error_t cmap_set_double(cmap_handle_t handle, const char* key_name, double value) {
    return set_number(handle, key_name, value, api::Type::Double);
}
cs_error_t cmap_set_string(cmap_handle_t handle, const char* key_name, const char* value) {
    const size_t length = value == nullptr ? 0 : std::strlen(value);
    return cmap_set(handle, key_name, value, length, CMAP_VALUETYPE_STRING);
}

cs_error_t cmap_delete(cmap_handle_t handle, const char* key_name) {
    return with_key(handle, key_name,
                    [](CmapClient& cmap, const std::string& name) { return cmap.erase(name); });
}

cs_error_t cmap_get(cmap_handle_t handle, const char* key_name, void* value, size_t* value_len,
                    cmap_value_types_t* type) {
    return with_key(handle, key_name, [&](CmapClient& cmap, const std::string& name) {
        if (value != nullptr && value_len == nullptr) return CS_ERR_INVALID_PARAM;
        const auto found = cmap.get(name, CmapClient::Read::Compatible);
        if (!found) return found.error();
        if (value != nullptr) {
            if (found->bytes.size() > *value_len) return CS_ERR_INVALID_PARAM;
            std::memcpy(value, found->bytes.data(), found->bytes.size());
        }
        if (value_len != nullptr) *value_len = found->bytes.size();
        if (type != nullptr) *type = static_cast<cmap_value_types_t>(found->type);
        return CS_OK;
    });
}

cs_error_t cmap_get_int8(cmap_handle_t handle, const char* key_name, int8_t* i8) {
    return get_number(handle, key_name, i8, api::Type::Int8);
}
cs_error_t cmap_get_uint8(cmap_handle_t handle, const char* key_name, uint8_t* u8) {
    return get_number(handle, key_name, u8, api::Type::Uint8);
}
cs_error_t cmap_get_int16(cmap_handle_t handle, const char* key_name, int16_t* i16) {
    return get_number(handle, key_name, i16, api::Type::Int16);
}
cs_error_t cmap_get_uint16(cmap_handle_t handle, const char* key_name, uint16_t* u16) {
    return get_number(handle, key_name, u16, api::Type::Uint16);
}
cs_error_t cmap_get_int32(cmap_handle_t handle, const char* key_name, int32_t* i32) {
    return get_number(handle, key_name, i32, api::Type::Int32);
}
cs_error_t cmap_get_uint32(cmap_handle_t handle, const char* key_name, uint32_t* u32) {
    return get_number(handle, key_name, u32, api::Type::Uint32);
}
cs_error_t cmap_get_int64(cmap_handle_t handle, const char* key_name, int64_t* i64) {
    return get_number(handle, key_name, i64, api::Type::Int64);
}
cs_error_t cmap_get_uint64(cmap_handle_t handle, const char* key_name, uint64_t* u64) {
    return get_number(handle, key_name, u64, api::Type::Uint64);
}
cs_error_t cmap_get_float(cmap_handle_t handle, const char* key_name, float* flt) {
    return get_number(handle, key_name, flt, api::Type::Float);
}
cs_error_t cmap_get_double(cmap_handle_t handle, const char* key_name, double* dbl) {
    return get_number(handle, key_name, dbl, api::Type::Double);
}

cs_error_t cmap_get_string(cmap_handle_t handle, const char* key_name, char** str) {
    return with_key(handle, key_name, [&](CmapClient& cmap, const std::string& name) {
        if (str == nullptr) return CS_ERR_INVALID_PARAM;
        const auto value = cmap.get(name, CmapClient::Read::Compatible);
        if (!value) return value.error();
        if (value->type != api::Type::String) return CS_ERR_INVALID_PARAM;
        char* const copy = static_cast<char*>(std::malloc(value->bytes.size()));
        if (copy == nullptr) return CS_ERR_NO_MEMORY;
        std::memcpy(copy, value->bytes.data(), value->bytes.size());
        *str = copy;
        return CS_OK;
    });
}

cs_error_t cmap_inc(cmap_handle_t handle, const char* key_name) {
    return with_key(handle, key_name,
                    [](CmapClient& cmap, const std::string& name) { return cmap.step(name, 1); });
}

cs_error_t cmap_dec(cmap_handle_t handle, const char* key_name) {
    return with_key(handle, key_name,
                    [](CmapClient& cmap, const std::string& name) { return cmap.step(name, -1); });
}

// -------------------------------------------------------------------------------------- iteration

cs_error_t cmap_iter_init(cmap_handle_t handle, const char* prefix,
                          cmap_iter_handle_t* cmap_iter_handle) {
    return with_instance(handle, [&](CmapInstance& instance) {
        if (cmap_iter_handle == nullptr) return CS_ERR_INVALID_PARAM;
        auto iteration = std::make_shared<Iteration>();
        iteration->owner = handle;
        if (prefix != nullptr) iteration->prefix = prefix;
        if (iteration->prefix.size() > CMAP_KEYNAME_MAXLEN) return CS_ERR_NAME_TOO_LONG;
        if (!instance.client().session().is_alive()) return CS_ERR_LIBRARY;
        *cmap_iter_handle = handles.get()->iterations.add(std::move(iteration));
        return CS_OK;
    });
}

cs_error_t cmap_iter_next(cmap_handle_t handle, cmap_iter_handle_t iter_handle, char key_name[],
                          size_t* value_len, cmap_value_types_t* type) {
    return with_instance(handle, [&](CmapInstance& instance) {
        const auto iteration = handles.get()->iterations.find(iter_handle);
        if (iteration == nullptr || iteration->owner != handle) return CS_ERR_BAD_HANDLE;
        if (key_name == nullptr) return CS_ERR_INVALID_PARAM;
        const std::lock_guard lock(iteration->mutex);
        const auto next = instance.client().next(iteration->prefix, iteration->after);
        if (!next) return next.error();
        iteration->after = next->key;
        std::memcpy(key_name, next->key.c_str(), next->key.size() + 1);
        if (value_len != nullptr) *value_len = next->bytes;
        if (type != nullptr) *type = static_cast<cmap_value_types_t>(next->type);
        return CS_OK;
    });
}

cs_error_t cmap_iter_finalize(cmap_handle_t handle, cmap_iter_handle_t iter_handle) {
    return with_instance(handle, [&](CmapInstance&) {
        const auto iteration = handles.get()->iterations.find(iter_handle);
        if (iteration == nullptr || iteration->owner != handle) return CS_ERR_BAD_HANDLE;
        (void)handles.get()->iterations.remove(iter_handle);  // Another thread may have been first.
        return CS_OK;
    });
}

// --------------------------------------------------------------------------------------- tracking

cs_error_t cmap_track_add(cmap_handle_t handle, const char* key_name, int32_t track_type,
                          cmap_notify_fn_t notify_fn, void* user_data,
                          cmap_track_handle_t* cmap_track_handle) {
    return with_instance(handle, [&](CmapInstance& instance) {
        constexpr int32_t kKnown =
            CMAP_TRACK_ADD | CMAP_TRACK_DELETE | CMAP_TRACK_MODIFY | CMAP_TRACK_PREFIX;
        const bool is_prefix = (track_type & CMAP_TRACK_PREFIX) != 0;
        if (cmap_track_handle == nullptr || notify_fn == nullptr || (track_type & ~kKnown) != 0) {
            return CS_ERR_INVALID_PARAM;
        }
        if (key_name == nullptr && !is_prefix) return CS_ERR_INVALID_PARAM;
        const std::string key = key_name == nullptr ? "" : key_name;
        if (key.size() > CMAP_KEYNAME_MAXLEN) return CS_ERR_NAME_TOO_LONG;
        return instance.track(key, track_type, notify_fn, user_data, *cmap_track_handle);
    });
}

cs_error_t cmap_track_delete(cmap_handle_t handle, cmap_track_handle_t track_handle) {
    return with_instance(handle,
                         [&](CmapInstance& instance) { return instance.untrack(track_handle); });
}
