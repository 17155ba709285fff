# shellcheck shell=bash
sudo() { "$@"; }
v6kit() { "$V6KIT" "$@"; }
follow() {
    ${as:-} "$V6KIT" verify --prefix "$V6KIT_LAB_PREFIX" --endpoint "$V6KIT_LAB_TARGET" --count 4 --timeout 1s \
        > "$T/said" || true
    grep '^hint:' "$T/said" | grep -oE '`(sudo )?[^` ]*v6kit (verify|setup) [^`]*`' | tr -d '`' | sort -u \
        > "$T/commands"
    while read -r line; do
        # Public servers are not reached from here.
        line=${line/https:\/\/api6.ipify.org/$1}
        [[ $line != *" setup "* ]] || line="$line --dry-run"
        code=0
        eval "$line" > "$T/followed" 2>&1 < /dev/null || code=$?
        echo "followed: $line ($code)"
        case $code in 2 | 4 | 12[5-7]) cat "$T/followed"; exit 1 ;; esac
    done < "$T/commands"
}
