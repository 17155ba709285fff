# shellcheck shell=bash
# Where cargo's libraries are is none of the crawl's business.
unset LD_LIBRARY_PATH
arguments=("$V6KIT" crawl "$url/items/{1..${ITEMS}}" -o "$job" -c 8 --threads 1 --format "$FORMAT"
    --keep-free 0 --json -q)
# shellcheck disable=SC2010 # nothing else lies there
last() { ls "$job" 2>/dev/null | grep '^0' | grep -v aside | tail -1; }
segment() { # the how-manieth behind the last
    local last
    last=$(last) || last=0
    printf "%s/%06d.${EXTENSION}" "$job" $((10#${last%%.*} + $1))
}
word() { # of the job, in the names of what is not finished
    python3 -c 'import sqlite3, sys
print(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("SELECT word FROM identity").fetchone()[0])' \
        "$job/ledger.sqlite"
}
for point in ${POINTS}; do
    IFS=: read -r call kind nth <<<"$point"
    case $kind in
        job) path=$job ;;
        lock) path=$job/lock ;;
        ledger) path=$job/ledger.sqlite ;;
        wal | shm) path=$job/ledger.sqlite-$kind ;;
        leftover) path=$job/$(last) ;;
        next) path=$(segment 1) ;;
        part) path=$(segment 1).$(word).part ;;
        second) path=$(segment 2).$(word).part ;;
    esac
    # strace ends by the signal that its tracee has ended by.
    code=0
    strace -f -qq -P "$path" -o "$T/trace" -e trace=$call -e inject=$call:signal=KILL:when=$nth \
        "${arguments[@]}" -r 2000/s --commit-every 10ms --retries 0 >/dev/null 2>&1 || code=$?
    [ $code = 137 ] || { echo "$point: the crawl did not die there but ended with $code" >&2; exit 9; }
done
"${arguments[@]}" -r max
