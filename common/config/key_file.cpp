#include "common/config/key_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "common/base/invariant.hpp"
#include "common/os/unique_fd.hpp"

namespace config {
namespace {

auto refuse(std::string what) {
    return base::fail(os::Error{.what = std::move(what), .code = 0});
}

// The service manager hands secrets to a service in a folder of its own, which only that service
// can enter; their mode shows the mask of an access list and says nothing.
bool is_credential(const std::string& path) {
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    return folder != nullptr && *folder == '/' && path.starts_with(std::string(folder) + "/");
}

// The file that stands for the one at `path`. A unit that names a credential whose file is missing
// gives one of a single byte, because it may not give an empty one.
std::string place_of(const std::string& path) {
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (folder == nullptr || *folder != '/' || is_credential(path)) return path;
    const std::string credential = std::string(folder) + "/" + credential_name(path);
    struct stat status {};
    const bool is_given = ::stat(credential.c_str(), &status) == 0 && status.st_size > 1;
    return is_given ? credential : path;
}

os::Result<void> check_owner(const std::string& path, const struct stat& status) {
    if (!S_ISREG(status.st_mode)) return refuse("key file " + path + " is no regular file");
    if (is_credential(path)) return {};
    if ((status.st_mode & 077u) != 0)
        return refuse(
            fmt::format("key file {} may be accessed by others (mode {:04o}); make it "
                        "0400: chmod 0400 {}",
                        path, status.st_mode & 07777u, path));
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        return refuse(fmt::format("key file {} belongs to uid {}, which is neither root nor us",
                                  path, status.st_uid));
    return {};
}

}  // namespace

Key::Key(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {
    INVARIANT(is_key_size(bytes_.size()));
}

Key::Key(Key&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Key& Key::operator=(Key&& other) noexcept {
    if (this != &other) {
        wipe();
        bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
}

Key::~Key() {
    wipe();
}

void Key::wipe() {
    if (!bytes_.empty()) ::explicit_bzero(bytes_.data(), bytes_.size());
}

std::string Key::fingerprint() const {
    constexpr std::string_view kDomain = "halo key";
    std::vector<unsigned char> input(kDomain.begin(), kDomain.end());
    input.resize(kDomain.size() + bytes_.size());
    std::memcpy(input.data() + kDomain.size(), bytes_.data(), bytes_.size());
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    // SHA256 of memory has no failure.
    (void)::SHA256(input.data(), input.size(), digest.data());
    ::explicit_bzero(input.data(), input.size());
    std::string text;
    for (std::size_t i = 0; i < 8; ++i) {
        text += fmt::format("{:02x}", digest.at(i));
    }
    return text;
}

std::string credential_name(const std::string& path) {
    std::string name =
        path.substr(path.find_first_not_of('/') == std::string::npos ? path.size()
                                                                     : path.find_first_not_of('/'));
    std::ranges::replace(name, '/', '-');
    return name;
}

os::Result<Key> read_key(const std::string& file) {
    const std::string path = place_of(file);
    // Without O_NONBLOCK a pipe in place of the file would keep us here for ever.
    const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.is_open()) return os::last_error("open key file " + path);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return os::last_error("stat key file " + path);
    if (auto checked = check_owner(path, status); !checked) return base::fail(checked.error());

    std::vector<std::byte> bytes(kKeyBytesMax + 1);
    std::size_t length = 0;
    while (length < bytes.size()) {
        const ssize_t got = ::read(fd.get(), bytes.data() + length, bytes.size() - length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return os::last_error("read key file " + path);
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
    }
    if (!is_key_size(length)) {
        ::explicit_bzero(bytes.data(), bytes.size());
        return refuse(fmt::format("key file {} has {} bytes; a key has {} to {}", path,
                                  length > kKeyBytesMax ? "too many" : std::to_string(length),
                                  kKeyBytesMin, kKeyBytesMax));
    }
    Key key(std::vector<std::byte>(bytes.begin(), bytes.begin() + static_cast<long>(length)));
    ::explicit_bzero(bytes.data(), bytes.size());
    return key;
}

os::Result<Key> generate_key(const std::string& path, os::Existing existing) {
    std::vector<std::byte> bytes(kKeyBytesGenerated);
    // Up to 256 bytes getrandom never gives less than asked for (getrandom(2)).
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return os::last_error("getrandom");
    Key key(std::move(bytes));
    if (auto written = os::write_durably(path, key.bytes(), 0400, existing); !written)
        return base::fail(written.error());
    return key;
}

}  // namespace config
