# fish completion for gldump

set -l commands list bt groups waits
complete -c gldump -f
complete -c gldump -n "not __fish_seen_subcommand_from $commands" -a list -d "List all greenlets, one a line"
complete -c gldump -n "not __fish_seen_subcommand_from $commands" -a bt -d "Show backtraces"
complete -c gldump -n "not __fish_seen_subcommand_from $commands" -a groups -d "Show equal backtraces once"
complete -c gldump -n "not __fish_seen_subcommand_from $commands" -a waits -d "Show who waits for what"
complete -c gldump -n "not __fish_seen_subcommand_from $commands" -l version -d "Tell the version"
complete -c gldump -l help -d "Tell about the program or command"

set -l chosen "__fish_seen_subcommand_from $commands"
complete -c gldump -n "$chosen" -s p -l pid -x -a "(__fish_complete_pids)" -d "The process to look at"
complete -c gldump -n "$chosen" -l subprocesses -d "The process and all it started"
complete -c gldump -n "$chosen" -l core -r -F -d "The core file to look at"
complete -c gldump -n "$chosen" -l exe -r -F -d "The program that dumped the core"
complete -c gldump -n "$chosen" -l lib-search-path -x -a "(__fish_complete_directories)" -d "Look here for libraries"
complete -c gldump -n "$chosen" -l sysroot -x -a "(__fish_complete_directories)" -d "The target's root directory"
complete -c gldump -n "$chosen" -l json -d "Print one JSON document"
complete -c gldump -n "$chosen" -l no-color -d "Never use colours"
complete -c gldump -n "$chosen" -l nonblocking -d "Never stop a thread"
complete -c gldump -n "__fish_seen_subcommand_from bt groups" -l no-symbols -d "Do not name functions and lines"
complete -c gldump -n "__fish_seen_subcommand_from bt groups" -l native -d "Python: every C frame"
complete -c gldump -n "__fish_seen_subcommand_from bt groups" -l python -d "Python: Python frames only"
complete -c gldump -n "__fish_seen_subcommand_from bt" -l locals -d "Python: local variables"
