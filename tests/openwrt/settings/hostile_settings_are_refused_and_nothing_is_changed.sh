# shellcheck shell=bash
sed -i '/config prefix/,$d' $R/etc/config/v6kit-router
cat >>$R/etc/config/v6kit-router <<END
config prefix 'crawler'
	option base 'lan'
	option part '::abcd:0:0:0/80'
	option host 'fe80::9'
	option $OPTION '$VALUE'
END
before=$(disk; ip -6 route; nft -s list ruleset)
for command in plan apply 'event wan6'; do
    code=0
    router v6kit-router $command >$T/out 2>$T/err || code=$?
    is $code 2 "exit code of $command"
done
is "$(disk; ip -6 route; nft -s list ruleset)" "$before" 'the router'
[ ! -e $R/tmp/owned ]
# What is refused is named, on one line, without what could steer a terminal or a log.
(router v6kit-router check --json || true) | /usr/bin/python3 -c '
import json, sys
(problem,) = json.load(sys.stdin)["problems"]
assert problem.startswith(f"crawler.{sys.argv[1]}: "), problem
assert not set(problem) & set("$;\n\""), problem' "$OPTION"
