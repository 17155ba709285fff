#compdef v6kit
# Completion of v6kit in zsh: a function `_v6kit` in $fpath, or sourced, before or after compinit.

_v6kit() {
    local -a found
    local value help i
    for ((i = 2; i < CURRENT; i++)); do
        [[ $words[i] == -- ]] || continue
        case " ${words[2,i]} " in
            *" setup "* | *" exec "* | *" lab run "*)
                # The completion of the command that follows.
                shift $i words
                ((CURRENT -= i))
                _normal
                return ;;
        esac
        break
    done
    while IFS=$'\t' read -r value help; do
        found+=("${value//:/\\:}${help:+:$help}")
    done < <(${(Q)words[1]/#\~/$HOME} completions --at $((CURRENT - 1)) zsh -- "${(@Q)words[1,CURRENT]}" 2>/dev/null)
    if (($#found == 0)); then
        _files
    elif [[ $#found == 1 && $found[1] == */ ]]; then
        compadd -S '' -- ${found[1]//\\:/:}
    else
        _describe v6kit found
    fi
}

if [[ $funcstack[1] == _v6kit ]]; then
    _v6kit "$@"
elif (($+functions[compdef])); then
    compdef _v6kit v6kit
else
    # Sourced before compinit: registered when the first prompt comes after it.
    _v6kit_register() {
        (($+functions[compdef])) || return
        compdef _v6kit v6kit
        add-zsh-hook -d precmd _v6kit_register
    }
    autoload -Uz add-zsh-hook
    add-zsh-hook precmd _v6kit_register
fi
