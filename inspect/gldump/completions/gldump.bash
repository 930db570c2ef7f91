# bash completion for gldump

_gldump() {
    local cur prev words cword
    _init_completion || return

    local command="" word
    for word in "${words[@]:1:cword-1}"; do
        case $word in
            list | bt | groups | waits) command=$word && break ;;
        esac
    done

    case $prev in
        -p | --pid)
            _pids
            return
            ;;
        --core | --exe)
            _filedir
            return
            ;;
        --lib-search-path | --sysroot)
            _filedir -d
            return
            ;;
    esac

    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "list bt groups waits --help --version" -- "$cur"))
        return
    fi
    local options="--pid --core --exe --lib-search-path --sysroot --subprocesses --json --no-color --nonblocking --help"
    [[ $command == list || $command == waits ]] || options+=" --no-symbols --native --python"
    [[ $command != bt ]] || options+=" --locals"
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
} && complete -F _gldump gldump
