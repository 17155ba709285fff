# shellcheck shell=bash
set -eu
top=/sys/fs/cgroup; name=v6kit-doctor-$$
if [ -f $top/cgroup.controllers ]; then
    echo '+cpu +memory' >$top/cgroup.subtree_control
    groups=$top/$name
else
    groups="$top/cpu/$name $top/memory/$name"
fi
# The ceiling is set one level above the group of the process.
cleanup() { for group in $groups; do echo $$ >${group%/*}/cgroup.procs; rmdir $group/inner $group; done; }
trap cleanup EXIT
for group in $groups; do
    mkdir $group
    if [ -f $group/cgroup.controllers ]; then echo '+cpu +memory' >$group/cgroup.subtree_control; fi
    mkdir $group/inner
    echo $$ >$group/inner/cgroup.procs
    limit() { [ ! -e $group/$1 ] || echo "$2" >$group/$1; }
    limit cpu.max '50000 100000'
    limit memory.max 314572800
    limit cpu.cfs_quota_us 50000
    limit memory.limit_in_bytes 314572800
done
"$V6KIT" doctor --json
