#include "common/config/load.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <tuple>

#include "common/config/local_node.hpp"
#include "common/config/reader.hpp"
#include "common/config/rules.hpp"
#include "common/config/schema.hpp"
#include "common/os/unique_fd.hpp"

namespace config {
namespace {

os::Result<std::string> read_text(const std::string& path) {
    const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.is_open()) return os::last_error("open");
    std::string text;
    std::array<char, 65536> part{};
    // One byte more than allowed, so that the parser sees that it is too much.
    while (text.size() <= kFileBytesMax) {
        const ssize_t got = ::read(fd.get(), part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return os::last_error("read");
        if (got == 0) break;
        text.append(part.data(), static_cast<std::size_t>(got));
    }
    return text;
}

void read_uidgid_folder(const std::string& path, Section& document, Problems& problems) {
    const auto folder = std::filesystem::path(path).parent_path() / "uidgid.d";
    std::error_code failure;
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
        // Editors and package managers leave files that start with a dot or end with '~'.
        const std::string name = entry.path().filename().string();
        if (!name.starts_with('.') && !name.ends_with('~')) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
        const auto text = read_text(file);
        if (!text) {
            problems.error({file, 0}, text.error().text());
            continue;
        }
        Section extra;
        parse_document(*text, file, extra, problems);
        check_uidgid_document(extra, problems);
        std::move(extra.sections.begin(), extra.sections.end(),
                  std::back_inserter(document.sections));
    }
}

std::vector<Problem> in_file_order(std::vector<Problem> problems) {
    std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.at.file, a.at.line) < std::tie(b.at.file, b.at.line);
    });
    return problems;
}

std::optional<base::NodeId> node_id_of(const Section& document, const LoadOptions& options) {
    if (options.node_id) return options.node_id;
    const auto written = Values(document.all("totem")).number("nodeid");
    if (!written) return std::nullopt;
    return base::NodeId{static_cast<std::uint32_t>(*written)};
}

base::Expected<Loaded, std::vector<Problem>> finish(Section document, const std::string& file,
                                                    const LoadOptions& options, Problems problems) {
    Loaded loaded;
    // Values are read only from what is well-formed: else one slip is told many times over.
    if (!problems.has_errors()) {
        loaded.cluster = read_cluster(document, file, options, problems);
        check_rules(loaded.cluster, document, !problems.has_errors(), problems);
        // Who this host is shows in a list without mistakes only.
        if (options.host && !problems.has_errors())
            loaded.cluster.self = find_local_node(loaded.cluster, *options.host,
                                                  node_id_of(document, options), problems);
    }
    auto all = in_file_order(problems.all());
    if (problems.has_errors()) return base::fail(std::move(all));
    loaded.document = std::move(document);
    loaded.warnings = std::move(all);
    return loaded;
}

}  // namespace

std::string find_file(const std::string& chosen) {
    if (!chosen.empty()) return chosen;
    const std::string halo(kHaloFile);
    // Whatever else is wrong with it is told when it is opened.
    const bool is_there = ::access(halo.c_str(), F_OK) == 0;
    return is_there ? halo : std::string(kCorosyncFile);
}

base::Expected<Loaded, std::vector<Problem>> load(const std::string& path,
                                                  const LoadOptions& options) {
    Problems problems;
    Section document;
    const auto text = read_text(path);
    if (!text) {
        problems.error({path, 0}, "cannot " + text.error().text());
        return base::fail(problems.all());
    }
    parse_document(*text, path, document, problems);
    check_document(document, problems);
    read_uidgid_folder(path, document, problems);
    auto loaded = finish(std::move(document), path, options, std::move(problems));
    if (loaded) loaded->text = *text;
    return loaded;
}

base::Expected<Loaded, std::vector<Problem>> load_text(std::string_view text,
                                                       const std::string& file,
                                                       const LoadOptions& options) {
    Problems problems;
    Section document;
    parse_document(text, file, document, problems);
    check_document(document, problems);
    auto loaded = finish(std::move(document), file, options, std::move(problems));
    if (loaded) loaded->text = text;
    return loaded;
}

std::string problems_text(const std::vector<Problem>& problems) {
    std::string text;
    for (const Problem& problem : problems) {
        text += problem.line() + "\n";
    }
    return text;
}

}  // namespace config
