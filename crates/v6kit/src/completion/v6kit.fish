# Completion of v6kit in fish.

function __v6kit_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    if set -l at (contains -i -- -- $before)
        if string match -qr -- ' (setup|exec|lab run) ' " $before[2..$at] "
            # The completion of the command that follows.
            set -l rest (string escape -- $before[(math $at + 1)..-1])
            complete -C (string join ' ' -- $rest $current)
            return
        end
    end
    command $before[1] completions --at (count $before) fish -- $before "$current" 2>/dev/null
end

complete -c v6kit -f -a '(__v6kit_complete)'
