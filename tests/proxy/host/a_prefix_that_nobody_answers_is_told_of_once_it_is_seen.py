import os, subprocess
def router(*words):
    subprocess.run(["nsenter", "--net=" + os.environ["V6KIT_LAB_ROUTER_NS"], "nft", *words], check=True)
def ask(host):
    return http(b"CONNECT [2001:db8:80::%x]:80 HTTP/1.1\r\n\r\n" % host)
for host in range(0x81, 0x84):
    subprocess.run(["nsenter", "--net=" + os.environ["V6KIT_LAB_TARGET_NS"], "ip", "addr", "add",
                    "2001:db8:80::%x/128" % host, "dev", "lo", "nodad"], check=True)
router("add table ip6 silence; add chain ip6 silence f { type filter hook forward priority 0; }; "
       "add rule ip6 silence f ip6 daddr 2001:db8:6::/64 drop")
check("one that is silent", (ask(0x80)[0], ask(0x80)[0], ask(0x81)[0]), (504, 504, 504))
status, answer = ask(0x82)
check("many", (status, b"prefix_silent" in answer, b"no connection from 2001:db8:6::/64 was answered by any of 3 destinations since" in answer),
      (503, True, True))
check("the hint", b"`v6kit verify --prefix 2001:db8:6::/64`" in answer, True)
check("SOCKS5", socks("2001:db8:80::83", 80)[0], 3)
router("delete table ip6 silence")
check("who refuses has answered", ask(0x81)[0], 502)
