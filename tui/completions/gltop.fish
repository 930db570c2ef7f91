# fish completion for gltop
complete -c gltop -f
complete -c gltop -s p -l pid -x -a '(__fish_complete_pids)' -d 'The process to show'
complete -c gltop -s d -l delay -x -d 'Seconds between two refreshes'
complete -c gltop -l once -d 'Print everything once as text and exit'
complete -c gltop -s s -l sort-key -x -a 'id name state thread waiting slice rate switches idle top' -d 'Sort by a column'
complete -c gltop -s F -l filter -x -d 'List only what matches'
complete -c gltop -l native -d 'Also the C frames of the interpreter'
complete -c gltop -l python -d 'Python frames alone'
complete -c gltop -l nonblocking -d 'Never stop a thread'
complete -c gltop -l no-color -d 'No colours'
complete -c gltop -l lib-search-path -r -a '(__fish_complete_directories)' -d 'Where to look for modules'
complete -c gltop -s h -l help -d 'Print help and exit'
complete -c gltop -l version -d 'Print the version and exit'
