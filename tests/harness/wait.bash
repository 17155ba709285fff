# The one place where the shell of the tests sleeps. It stands before every script of the harness; others source it.

# Waits until a command succeeds, for a minute.
eventually() { # command, argument...
    local tries
    for ((tries = 0; tries < 1200; tries++)); do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    echo "never: $*" >&2
    return 1
}

# Runs a command and shows nothing of it.
quietly() { "$@" >/dev/null 2>&1; }

# Sends SIGTERM, and succeeds when the process is gone. For `eventually`.
terminated() { # pid
    ! kill -TERM "$1" 2>/dev/null
}

# Lets time pass that is itself what is tested or measured: nothing may happen in it, samples are taken, a moment is
# drawn at random. Where something is waited for, use `eventually`.
pause() { # seconds
    sleep "$1"
}
