// haloctl cmap: the keys of the node and of the cluster, by libhalo's public interface only.
#include <cstdio>
#include <fstream>
#include <halo/keys.hpp>
#include <iostream>
#include <memory>

#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"
#include "libclient/tools/halo_client.hpp"
#include "libclient/tools/key_text.hpp"

namespace haloctl {
namespace {

using nlohmann::json;

struct Options {
    std::string key;
    std::string type;
    std::string value;
    std::string if_value;
    bool has_if_value = false;
    bool if_absent = false;
    bool is_prefix = false;
    bool is_json = false;
    bool are_statistics = false;
    bool is_own = false;
    std::string file = "-";
    std::size_t count = 0;  // Changes to watch before it ends; 0: until it is interrupted.
};

int fail(const std::string& what, halo::Error error) {
    std::fprintf(stderr, "haloctl cmap: %s: %s\n", what.c_str(), halo::text(error));
    return exit_code_of(error);
}
int fail(const std::string& what, const halo::KeyRefusal& refusal) {
    const char* why = refusal.reason.empty() ? halo::text(refusal.error) : refusal.reason.c_str();
    std::fprintf(stderr, "haloctl cmap: %s: %s\n", what.c_str(), why);
    return exit_code_of(refusal.error);
}
int fail_usage(const std::string& problem) {
    std::fprintf(stderr, "haloctl cmap: %s\n", problem.c_str());
    return kUsage;
}

void say(const json& object, bool is_pretty = false) {
    using Handler = json::error_handler_t;
    std::printf("%s\n", object.dump(is_pretty ? 2 : -1, ' ', false, Handler::replace).c_str());
}

halo::Keys::Read read_of(const Options& options) {
    return options.is_own ? halo::Keys::Read::Own : halo::Keys::Read::Cluster;
}

// A key of the cluster without quorum: there is a way to see what this node has.
int fail_read(const std::string& what, halo::Error error) {
    if (error != halo::Error::TryAgain) return fail(what, error);
    std::fprintf(stderr,
                 "haloctl cmap: %s: the cluster can't be asked now; --own reads what this node "
                 "has\n",
                 what.c_str());
    return exit_code_of(error);
}

int get(halo::Keys& keys, const Options& options) {
    const auto value = keys.get(options.key, read_of(options));
    if (!value) return fail_read("cannot get " + options.key, value.error());
    if (!*value) {
        std::fprintf(stderr, "haloctl cmap: no key %s\n", options.key.c_str());
        return kFailed;
    }
    const halo::Key key{.name = options.key, .value = **value};
    if (options.is_json) {
        say(key_json(key));
    } else {
        std::printf("%s\n", value_text(key.value).c_str());
    }
    return kOk;
}

// Only if the key has the value that was said, or is not there: --if, --if-absent.
int set_if(halo::Keys& keys, const Options& options, const halo::KeyValue& value) {
    halo::KeyTransaction transaction;
    transaction.writes.emplace(options.key, value);
    auto& condition = transaction.conditions[options.key];
    if (options.has_if_value) {
        condition = parse_value(options.type, options.if_value);
        if (!condition) return fail_usage("'" + options.if_value + "' is no " + options.type);
    }
    const auto done = keys.apply(transaction);
    if (!done) return fail("cannot set " + options.key, done.error());
    if (*done) return kOk;
    std::fprintf(stderr, "haloctl cmap: %s is not as you said, nothing was done\n",
                 options.key.c_str());
    return kFailed;
}

int set(halo::Keys& keys, const Options& options) {
    const auto value = parse_value(options.type, options.value);
    if (!value) {
        return fail_usage("'" + options.value + "' is no " + options.type +
                          " (types: " + kTypeNames + ")");
    }
    if (options.has_if_value || options.if_absent) return set_if(keys, options, *value);
    const auto done = keys.set(options.key, *value);
    return done ? kOk : fail("cannot set " + options.key, done.error());
}

int erase(halo::Keys& keys, const Options& options) {
    std::vector<std::string> names{options.key};
    if (options.is_prefix) {
        const auto found = keys.list(options.key);
        if (!found) return fail("cannot list " + options.key, found.error());
        names.clear();
        for (const halo::Key& key : *found) {
            names.push_back(key.name);
        }
    }
    for (const std::string& name : names) {
        const auto done = keys.erase(name);
        if (!done) return fail("cannot delete " + name, done.error());
        if (!*done && !options.is_prefix) {
            std::fprintf(stderr, "haloctl cmap: no key %s\n", name.c_str());
            return kFailed;
        }
    }
    return kOk;
}

int list(halo::Keys& keys, const Options& options) {
    const auto found = keys.list(options.key, read_of(options));
    if (!found) return fail_read("cannot list the keys", found.error());
    if (options.is_json) {
        json all = json::array();
        for (const halo::Key& key : *found) {
            all.push_back(key_json(key));
        }
        say(all, true);
        return kOk;
    }
    for (const halo::Key& key : *found) {
        std::printf("%s\n", key_text(key).c_str());
    }
    return kOk;
}

int watch(halo::Keys& keys, const Options& options) {
    if (const auto watching = keys.watch(options.key); !watching) {
        return fail("cannot watch " + options.key, watching.error());
    }
    for (std::size_t seen = 0; options.count == 0 || seen < options.count;) {
        const auto change = keys.next(halo::Wait::ForEvent);
        if (!change) return fail("the connection ended", change.error());
        if (!*change) continue;
        ++seen;
        if (options.is_json) {
            say(change_json(**change));
        } else {
            std::printf("%s\n", change_text(**change).c_str());
        }
        // Whoever reads a pipe wants each line when it happens.
        if (std::fflush(stdout) != 0) return kFailed;
    }
    return kOk;
}

// Keys of one object a line, as --json lists them in an array: what `load` reads.
int export_keys(halo::Keys& keys, const Options& options) {
    const auto found = keys.list(options.key, read_of(options));
    if (!found) return fail_read("cannot list the keys", found.error());
    for (const halo::Key& key : *found) {
        say(key_json(key));
    }
    return kOk;
}

int load(halo::Keys& keys, const Options& options) {
    std::ifstream file;
    if (options.file != "-") file.open(options.file);
    std::istream& lines = options.file == "-" ? std::cin : file;
    if (!lines) return fail_usage("cannot read " + options.file);
    // All of it is understood before anything is done.
    std::vector<halo::Key> all;
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        if (line.empty()) continue;
        std::string problem = "no JSON";
        const json object = json::parse(line, nullptr, false);
        auto key = object.is_discarded() ? std::nullopt : key_in(object, problem);
        if (!key) {
            return fail_usage(options.file + ":" + std::to_string(number) + ": " + problem);
        }
        all.push_back(*std::move(key));
    }
    int code = kOk;
    for (const halo::Key& key : all) {
        // A read-only key stays as it is, and is told; the others are set.
        if (const auto done = keys.set(key.name, key.value); !done) {
            code = fail("cannot set " + key.name, done.error());
        }
    }
    return code;
}

// libhalo finds its daemon in this folder; a command line's --run wins over the environment.
int run_with_keys(const Context& context, const Options& options,
                  int (*run)(halo::Keys&, const Options&)) {
    (void)::setenv("HALO_RUN_DIR", context.run_folder.c_str(), 1);  // Fails without memory only.
    auto keys =
        halo::Keys::connect({.map = options.are_statistics ? halo::Keys::Map::Statistics
                                                           : halo::Keys::Map::Configuration});
    if (!keys) return fail("cannot reach cmapd", keys.error());
    return run(*keys, options);
}

}  // namespace

void add_cmap(CLI::App& app, Context& context) {
    CLI::App* command =
        app.add_subcommand("cmap", "keys: get, set, delete, list, watch, load, export");
    command->require_subcommand(1);
    const auto options = std::make_shared<Options>();
    const auto add = [&](const char* name, const char* help,
                         int (*run)(halo::Keys&, const Options&)) {
        CLI::App* sub = command->add_subcommand(name, help);
        add_run_option(*sub, context);
        sub->callback([options, run, &context] {
            context.exit_code = run_with_keys(context, *options, run);
        });
        return sub;
    };
    const auto add_key = [&](CLI::App* sub) { sub->add_option("KEY", options->key)->required(); };
    const auto add_prefix = [&](CLI::App* sub) {
        sub->add_option("PREFIX", options->key, "what the keys begin with (default: all keys)");
    };
    const auto add_json = [&](CLI::App* sub, const char* help) {
        sub->add_flag("--json", options->is_json, help);
    };
    const auto add_statistics = [&](CLI::App* sub) {
        sub->add_flag("--stats", options->are_statistics, "of the statistics");
    };

    const auto add_own = [&](CLI::App* sub) {
        sub->add_flag("--own", options->is_own,
                      "keys below cluster. as this node has them, without asking the cluster");
    };

    CLI::App* getter = add("get", "the value of a key", get);
    add_key(getter);
    add_own(getter);
    add_json(getter, "with its name and type, for programs");
    add_statistics(getter);

    CLI::App* setter = add("set", "create or replace a key", set);
    add_key(setter);
    setter->add_option("TYPE", options->type, kTypeNames)->required();
    setter->add_option("VALUE", options->value, "bin: hex digits")->required();
    CLI::Option* if_value =
        setter->add_option("--if", options->if_value, "only if it has this value now");
    if_value->each([options](const std::string&) { options->has_if_value = true; });
    setter->add_flag("--if-absent", options->if_absent, "only if it is not there")
        ->excludes(if_value);

    CLI::App* eraser = add("delete", "delete a key", erase);
    add_key(eraser);
    eraser->add_flag("--prefix", options->is_prefix, "all keys that begin so");

    CLI::App* lister = add("list", "keys with their values, in order", list);
    add_prefix(lister);
    add_json(lister, "for programs");
    add_statistics(lister);
    add_own(lister);

    CLI::App* watcher = add("watch", "print each change", watch);
    add_prefix(watcher);
    add_json(watcher, "one JSON object a line");
    add_statistics(watcher);
    watcher->add_option("--count", options->count, "end after so many changes");

    CLI::App* loader = add("load", "set the keys of a file, one JSON object a line", load);
    loader->add_option("FILE", options->file, "what export wrote; -: standard input")
        ->capture_default_str();

    CLI::App* exporter = add("export", "keys as load reads them", export_keys);
    add_prefix(exporter);
    add_own(exporter);
}

}  // namespace haloctl
