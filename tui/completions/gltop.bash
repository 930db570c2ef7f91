# bash completion for gltop
_gltop() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  case $previous in
    -p | --pid) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && printf '%s\n' [0-9]*)" -- "$current") ;;
    -s | --sort-key)
      mapfile -t COMPREPLY < <(compgen -W "id name state thread waiting slice rate switches idle top" -- "$current")
      ;;
    --lib-search-path) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    -d | --delay | -F | --filter) ;;
    *)
      mapfile -t COMPREPLY < <(compgen -W "--pid --delay --once --sort-key --filter --native --python --nonblocking --no-color
        --lib-search-path --help --version" -- "$current")
      ;;
  esac
}
complete -F _gltop gltop
