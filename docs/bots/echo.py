"""Answers every message once, whatever dies meanwhile: python3 echo.py FOLDER [OPTIONS OF conclave bot]"""
import json, subprocess, sys

bot = subprocess.Popen(["conclave", "bot", *sys.argv[1:]], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

def ask(method, **params):
    request = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
    print(json.dumps(request), file=bot.stdin, flush=True)

ask("subscribe")
for line in bot.stdout:
    event = json.loads(line).get("params")
    if event is None:
        continue  # the answer to a request
    cursor, room = event["cursor"], event["room"] and event["room"]["id"]
    if event["kind"] == "text" and not event["own"]:
        ask("send", room=room, text="You said: " + event["text"], id=f"answer {cursor}", acknowledge=cursor)
    else:
        ask("acknowledge", only=[cursor])
