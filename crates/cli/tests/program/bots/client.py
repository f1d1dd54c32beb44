"""Answers each message by the socket of a daemon: python3 client.py SOCKET. It may be killed at any moment."""
import json, socket, sys

daemon = socket.socket(socket.AF_UNIX)
daemon.connect(sys.argv[1])
# Apart: what writes to a text file forgets what was read ahead.
lines, requests = daemon.makefile("r"), daemon.makefile("w")

def ask(method, **params):
    print(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), file=requests, flush=True)

ask("subscribe")
for line in lines:
    event = json.loads(line).get("params")
    if event is None:
        continue
    cursor = event["cursor"]
    if event["kind"] == "text" and not event["own"]:
        ask("send", room=event["room"]["id"], text="re " + event["text"], id=f"answer {cursor}", acknowledge=cursor)
    else:
        ask("acknowledge", cursor=cursor)
