import asyncio, os, ssl, sys
import aiohttp, requests, rnet
at, url, ca = "127.0.0.1:" + sys.argv[1], "https://localhost:8443/", os.environ["V6KIT_LAB_TARGET_CA"]
for scheme in ("http", "socks5h"):
    proxy = f"{scheme}://{at}"
    print(requests.get(url, proxies={"https": proxy}, verify=ca, timeout=60).text.strip())
async def main():
    context = ssl.create_default_context(cafile=ca)
    async with aiohttp.ClientSession() as session:
        async with session.get(url, proxy=f"http://{at}", ssl=context) as response:
            print((await response.text()).strip())
    for scheme in ("http", "socks5h"):
        client = rnet.Client(proxies=[rnet.Proxy.all(f"{scheme}://{at}")], verify=ca)
        print((await (await client.get(url)).text()).strip())
asyncio.run(main())
sys.stdout.flush()
os._exit(0)
