#include "inspect/gldump/options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>

namespace coppice::gldump {
namespace {

constexpr int wrong_usage = 2;

constexpr const char* about =
    "Shows what every greenlet of a program is doing, down to its C frames: of a running process, which is "
    "not\n"
    "disturbed, or of a core. For programs built on libcoppice, and for Python with the greenlet extension "
    "(gevent,\n"
    "eventlet, SQLAlchemy asyncio).";

constexpr const char* main_footer = R"(
Examples:
  gldump list -p 4242              one line a greenlet
  gldump bt -p 4242                every backtrace, the greenlet that switched last at the end
  gldump bt -p 4242 17 worker-3    two of them: by id and by name
  gldump groups -p $(pidof server) equal backtraces merged, most frequent first
  gldump waits -p 4242             what they wait for, and who waits for whom
  gldump list -p 4242 --subprocesses   a gunicorn master's workers, each under a heading
  gldump bt --core core.4242       what was going on when it crashed
  gldump groups -p 4242 --json | jq '.groups[] | {count, top: .frames[1].function}'

Exit status:
  0  done (also when the process has no greenlets)
  1  could not; nothing on standard output, the reason on standard error
  2  wrong usage
  3  done, but a stack that was asked for is incomplete, or the process ended meanwhile

`gldump COMMAND --help` tells more about each command.)";

constexpr const char* list_footer = R"(
SAVED and ON STACK are the parts of its stack, in bytes, that lie in the heap copy and still on the thread's stack.

Examples:
  gldump list -p 4242
  gldump list --core core.4242 --json | jq '.greenlets[] | select(.state == "suspended") | .id')";

constexpr const char* bt_footer = R"(
Each stack ends with "base" when it is whole, and otherwise with where and why it ends. A frame marked (inlined) was
inlined into the one below it. The local variables of --locals are short texts made from what lies in memory; nothing
of the program runs for them. In a process that runs they are read a moment after the stack.

Examples:
  gldump bt -p 4242                        all of them
  gldump bt -p 4242 17                     by id, as `gldump list` shows it
  gldump bt -p 4242 0x7f3a40001080 pool    by address and by name
  gldump bt -p 4242 --nonblocking          never stop a thread, not even for its registers
  gldump bt -p 4242 --native               a Python program: with the C frames of the interpreter
  gldump bt -p 4242 --locals 0x7f3a40001080
                                           a Python program: with the local variables of one greenlet
  gldump bt --core core --exe ./server --lib-search-path ./libs)";

constexpr const char* groups_footer = R"(
Greenlets whose frames and state are equal stand together, the largest group first. With --json every id is listed.

Examples:
  gldump groups -p 4242
  gldump groups --core core.4242 --json | jq '.groups[0]')";

constexpr const char* waits_footer = R"(
Greenlets that wait for the same thing stand together, most first; circles of greenlets that wait for each other come
before all. Known are the waits of gevent's and eventlet's greenlets, what SQLAlchemy's asyncio awaits, the parents of
plain greenlets, and what programs on libcoppice say with waiting_on().

Examples:
  gldump waits -p 4242
  gldump waits -p 4242 --json | jq '.waits[] | {count: (.ids | length), detail}')";

void add_options(CLI::App& command, Options& options) {
  auto* target = command.add_option_group("Target (one of)");
  auto* pid = target->add_option("-p,--pid", options.pid, "The process to look at")->type_name("PID");
  pid->check(CLI::PositiveNumber);
  target->add_option("--core", options.core, "The core file to look at: the kernel's, or gcore's")
      ->type_name("FILE");
  target->require_option(1);
  auto* exe = command
                  .add_option("--exe", options.search.executable,
                              "The program that dumped the core, if it is not "
                              "where it was")
                  ->type_name("FILE");
  command.final_callback([exe, &options] {
    if (exe->count() > 0 && options.core.empty()) throw CLI::RequiresError("--exe", "--core");
  });
  command
      .add_option("--lib-search-path", options.search.directories,
                  "Look here for libraries and debug files, by build-id and by name; can be given repeatedly")
      ->type_name("DIR")
      ->expected(1)
      ->take_all();
  command.add_option("--sysroot", options.search.sysroot, "The target's / as seen from here")
      ->type_name("DIR");
  auto* subprocesses = command.add_flag(
      "--subprocesses", options.subprocesses,
      "Look at the process and at all it started (the workers of gunicorn, uWSGI, ...), where they have "
      "greenlets");
  subprocesses->needs(pid);
  if (auto* ids = command.get_option_no_throw("ID")) subprocesses->excludes(ids);
  command.add_flag("--json", options.json,
                   "Print one JSON document (schema coppice.snapshot); with --subprocesses an array of them");
  command.add_flag_callback(
      "--no-color", [&options] { options.color = false; },
      "Never use colours (NO_COLOR in the environment says the same)");
  command.add_flag("--nonblocking", options.nonblocking,
                   "Never stop a thread; greenlets that are running on a CPU are then not walked");
}

}  // namespace

std::variant<Options, Exit> parse(int argc, const char* const* argv) {
  Options options;
  CLI::App app(about, "gldump");
  app.footer(main_footer);
  app.set_version_flag("--version", "gldump " COPPICE_VERSION);
  app.require_subcommand(1);

  CLI::App* list = app.add_subcommand("list", "List all greenlets, one a line");
  list->footer(list_footer);
  list->parse_complete_callback([&options] { options.command = Command::list; });
  CLI::App* bt = app.add_subcommand("bt", "Show backtraces of all greenlets, or of those named");
  bt->footer(bt_footer);
  bt->parse_complete_callback([&options] { options.command = Command::backtraces; });
  bt->add_option("ID", options.ids, "Ids, addresses (0x...) or unique names; none: all greenlets");
  bt->add_flag("--locals", options.locals,
               "Python programs: show the local variables of each function, as short texts");
  CLI::App* groups =
      app.add_subcommand("groups", "Show equal backtraces once, with the greenlets that have them");
  groups->footer(groups_footer);
  groups->parse_complete_callback([&options] { options.command = Command::groups; });
  CLI::App* waits = app.add_subcommand("waits", "Show what greenlets wait for, and who waits for whom");
  waits->footer(waits_footer);
  waits->parse_complete_callback([&options] { options.command = Command::waits; });
  for (CLI::App* command : {list, bt, groups, waits}) add_options(*command, options);
  for (CLI::App* command : {bt, groups}) {
    command->add_flag_callback(
        "--no-symbols", [&options] { options.symbols = false; },
        "Do not name functions and lines: modules and offsets only");
    CLI::Option* native = command->add_flag_callback(
        "--native", [&options] { options.frames = inspect::FrameChoice::native; },
        "Python programs: show every C frame, the interpreter's own too");
    command
        ->add_flag_callback(
            "--python", [&options] { options.frames = inspect::FrameChoice::python; },
            "Python programs: show Python frames only")
        ->excludes(native);
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return Exit{app.exit(error)};
    const auto given = app.get_subcommands();
    const std::string with =
        given.empty() ? "gldump --help" : "gldump " + given.front()->get_name() + " --help";
    std::cerr << "gldump: " << error.what() << "; `" << with << "` shows the usage\n";
    return Exit{wrong_usage};
  }
  return options;
}

}  // namespace coppice::gldump
