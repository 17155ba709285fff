# shellcheck shell=bash
site mirror mirror
crawl literal "$url/{1..2}" -d '{"query":{"match_all":{}},"at":[{1},{{}}]}' -r max
cp "$T/literal.err" "$T/warned"
crawl quiet "$url/{1..2}" -d '{"a":{"b":1}}' -r max
crawl before "$url/{1..2}" -d 'n={}' --fill -r max
# As an earlier release left it, which had no --fill.
python3 - "$T/before/ledger.sqlite" <<'PYTHON'
import json, sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
description, words = ledger.execute("select description, invocation from job").fetchone()
description = json.loads(description)
assert description.pop("fill") == "yes"
words = [word for word in json.loads(words) if word != "--fill"]
ledger.execute("update job set description = ?, invocation = ?", [json.dumps(description), json.dumps(words)])
ledger.execute("drop table run")
ledger.commit()
PYTHON
"$V6KIT" crawl retry "$T/before" --outcome ok -q
# Another body is another job.
crawl literal "$url/{1..2}" -d '{"query":{"match_all":{}},"at":[{1},{{}}]}' -r max --fill
echo $exit
