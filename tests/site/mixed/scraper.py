import sys, urllib.request
from prometheus_client.parser import text_string_to_metric_families
from wait import eventually

def page():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(sys.argv[1]) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
        return {f.name: f for f in text_string_to_metric_families(answer.read().decode())}

def value(families, name, **labels):
    return sum(s.value for f in families.values() for s in f.samples if s.name == name and labels.items() <= s.labels.items())

eventually(lambda: value(page(), "v6kit_crawl_items_total") == 404)
families = page()
assert value(families, "v6kit_crawl_items_total", outcome="ok") == 400, families
assert value(families, "v6kit_crawl_items_total", outcome="absent") == 3
assert value(families, "v6kit_crawl_items_total", outcome="fatal") == 1
assert value(families, "v6kit_crawl_request_seconds_count") == 403
assert value(families, "v6kit_crawl_request_seconds_bucket", le="+Inf") == 403
assert value(families, "v6kit_crawl_in_flight") == 1
assert value(families, "v6kit_crawl_job_items") == 405
assert value(families, "v6kit_crawl_pace_requests_per_second") >= 2000
nets = [s for s in families["v6kit_crawl_source_requests"].samples]
assert sum(s.value for s in nets) == 403 and all(s.labels["net64"].startswith("2001:db8:6") for s in nets), nets
assert value(families, "v6kit_crawl_errors_total", kind="not_found") + value(families, "v6kit_crawl_errors_total", kind="absent") == 3, families["v6kit_crawl_errors"]
assert families["v6kit_crawl_request_seconds"].type == "histogram"
print(len(families), "families")
