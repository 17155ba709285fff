# Completion of v6kit in bash: `source` it, or put it where bash-completion looks.

# Words as they stand in the line: bash splits them at `:` and `=` too (COMP_WORDBREAKS).
_v6kit_words() {
    local line=${COMP_LINE-} word i
    local rest=${line:0:${COMP_POINT:-0}}
    _V6KIT_WORDS=()
    if [[ -z $rest ]]; then
        _V6KIT_WORDS=("${COMP_WORDS[@]:0:COMP_CWORD + 1}")
        return
    fi
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ $rest != [[:space:]]* && -n $rest ]]; then
            [[ $rest == "$word"* ]] || word=$rest
            _V6KIT_WORDS[${#_V6KIT_WORDS[@]} - 1]+=$word
        else
            rest=${rest#"${rest%%[![:space:]]*}"}
            [[ $rest == "$word"* ]] || word=$rest
            _V6KIT_WORDS+=("$word")
        fi
        rest=${rest#"$word"}
    done
}

# A command of another program: its own completion where bash-completion is there, or programs and files.
_v6kit_other() {
    local i
    if declare -F _command_offset >/dev/null; then
        for ((i = 1; i < COMP_CWORD; i++)); do
            [[ ${COMP_WORDS[i]} != -- ]] || { _command_offset $((i + 1)); return; }
        done
    fi
    if (($1 == 1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$2")
    else
        compopt -o default 2>/dev/null
        COMPREPLY=()
    fi
}

_v6kit() {
    local _V6KIT_WORDS words cur before value i
    _v6kit_words
    words=("${_V6KIT_WORDS[@]}")
    cur=${words[${#words[@]} - 1]}
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        [[ ${words[i]} == -- ]] || continue
        case " ${words[*]:1:i} " in
            *" setup "* | *" exec "* | *" lab run "*) ;;
            *) break ;;
        esac
        if [[ ${words[i + 1]##*/} != v6kit ]] || ((i + 2 == ${#words[@]})); then
            _v6kit_other $((${#words[@]} - i - 1)) "$cur"
            return
        fi
        # It is this very program: from here on the words are its own.
        words=("${words[@]:i + 1}")
        i=0
    done
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        COMPREPLY+=("$value")
    done < <("${words[0]/#\~/$HOME}" completions --at $((${#words[@]} - 1)) bash -- "${words[@]}" 2>/dev/null)
    # What stands before the last `:` or `=` is in the line already.
    before=
    for value in : =; do
        [[ $cur != *"$value"* || $COMP_WORDBREAKS != *"$value"* ]] && continue
        value=${cur%"${cur##*"$value"}"}
        ((${#value} > ${#before})) && before=$value
    done
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$before"}; done
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[/=] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}

complete -o bashdefault -o default -F _v6kit v6kit
